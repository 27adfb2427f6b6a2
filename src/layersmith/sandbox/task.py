"""What is to be run in an image, and what a sandbox makes of it on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from layersmith.errors import LayersmithError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["EMULATOR", "HOST_ENVIRONMENT", "Ids", "Launch", "Runner", "Task", "TaskError"]

# Where an emulator is seen inside: every sandbox has a /dev of its own.
EMULATOR: Final = "/dev/emulator"
# All that a program of the host is told: an image's LD_PRELOAD is for its own programs.
HOST_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class TaskError(LayersmithError):
    """A command that cannot be run in an image: that is the image's fault, or the test's."""


class Ids(NamedTuple):
    """A user and a group, in numbers."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command in an unpacked image: `root` is its directory, everything else is inside.

    `writable` are directories that get a file system in memory, beside /tmp; `binds` are
    files and directories of the host, by where they are seen, read-only.
    """

    root: Path
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ids: Ids
    workdir: str = "/"
    network: bool = False
    writable: tuple[str, ...] = ()
    binds: Mapping[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A program of the host: the sandbox. `stop` ends what outlives it, if it had to be killed."""

    argv: tuple[str, ...]
    ids: Ids | None = None
    stop: tuple[str, ...] = ()


class Runner(Protocol):
    """A way to make a sandbox."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What it lacks on this host."""

    def launch(self, task: Task, folder: Path) -> Launch:
        """Return what to start; `folder` is empty, and only this task's."""

    def fault(self, status: int, stderr: bytes, folder: Path) -> str:
        """Return why there was no sandbox, if that is what a status but 0 means."""
