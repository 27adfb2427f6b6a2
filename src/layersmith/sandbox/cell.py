"""An image unpacked, and what its programs are given: the place where tests run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from layersmith.errors import one_line
from layersmith.rootfs.entries import Directory, File
from layersmith.sandbox.insides import DEFAULT_PATH, command_line, home_of
from layersmith.sandbox.running import MAX_OUTPUT, run
from layersmith.sandbox.task import EMULATOR, Task, TaskError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.oci.documents import ImageConfig
    from layersmith.rootfs.tree import Root
    from layersmith.sandbox.emulation import Way
    from layersmith.sandbox.running import Ended
    from layersmith.sandbox.task import Ids, Runner

__all__ = ["Cell"]

_PYTHONS: Final = ("/app/.venv/bin/python", "/usr/local/bin/python3", "/usr/bin/python3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """`root` unpacked in ``rootfs`` below `folder`, for one user, to be run by `runner`.

    `known` are Python's files that were imported already, as they are, on another platform.
    """

    root: Root
    folder: Path
    config: ImageConfig
    ids: Ids
    network: bool
    way: Way
    runner: Runner
    known: frozenset[str] = frozenset()

    @property
    def start(self) -> tuple[str, ...]:
        """What the image starts: entry point and command."""
        asked = self.config.config
        return (*self.entrypoint, *((asked.cmd if asked else None) or ()))

    @property
    def entrypoint(self) -> tuple[str, ...]:
        """The words before any arguments."""
        return (self.config.config.entrypoint if self.config.config else None) or ()

    @property
    def workdir(self) -> str:
        """Where programs are started."""
        return (self.config.config.working_dir if self.config.config else "") or "/"

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return the config's variables, those that every runtime adds, and `more`."""
        own = self.config.environment()
        usual = {"PATH": DEFAULT_PATH, "HOME": home_of(self.root, self.ids.uid)}
        return {**usual, **own, **more}

    def python(self, env: Mapping[str, str]) -> str:
        """Return the image's Python: what it starts, the application's, or what PATH says.

        Raises :class:`TaskError`.
        """
        folders = (env.get("PATH") or DEFAULT_PATH).split(":")
        inside = [f"{folder}/python3" for folder in folders if folder.startswith("/")]
        for place in (*self.entrypoint[:1], *_PYTHONS[:1], *inside, *_PYTHONS[1:]):
            found = self.root.tree.lookup(place) if place.startswith("/") else None
            name = place.rpartition("/")[2]
            if isinstance(found, File) and found.meta.mode & 0o111 and name.startswith("python"):
                return place
        raise TaskError("the image has no Python, and this test is a program for it")

    def words(self, words: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
        """Return what the kernel is to execute; raises :class:`TaskError`."""
        if not words:
            raise TaskError("the image starts nothing, and no command is given")
        emulated = self.way.program is not None
        return command_line(self.root, words, env, self.workdir, emulated=emulated)

    def run(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        *,
        stdin: bytes = b"",
        writable: tuple[str, ...] = (),
        timeout: float,
        most: int = MAX_OUTPUT,
    ) -> Ended:
        """Run a command to its end; raises :class:`TaskError` where it cannot be started."""
        if not isinstance(self.root.tree.lookup(self.workdir), Directory):
            raise TaskError(f"the working directory {one_line(self.workdir, 200)} is not there")
        program = self.way.program
        task = Task(
            root=self.folder / "rootfs",
            argv=self.words(words, env),
            env=env,
            ids=self.ids,
            workdir=self.workdir,
            network=self.network,
            writable=writable,
            binds={EMULATOR: program} if program is not None else {},
        )
        _check_texts(task)
        folder = Path(mkdtemp(prefix="task-", dir=self.folder))
        try:
            ended = run(self.runner.launch(task, folder), stdin=stdin, timeout=timeout, most=most)
        except OSError as error:  # more words than a command line has room for
            raise TaskError(f"it could not be started: {error.strerror}") from None
        fault = self.runner.fault(ended.status, ended.stderr, folder)
        if fault and not ended.timed_out:
            raise TaskError(f"it could not be started: {one_line(fault, 400)}")
        return ended


def _check_texts(task: Task) -> None:
    """Refuse what no system call can be told: an image's config may hold any text."""
    for text in (*task.argv, *task.env, *task.env.values(), task.workdir):
        try:
            is_sound = b"\0" not in os.fsencode(text)
        except UnicodeEncodeError:
            is_sound = False
        if not is_sound:
            raise TaskError(f"{one_line(text, 100)!r} is no text for a command or a variable")
    if odd := [name for name in task.env if not name or "=" in name]:
        raise TaskError(f"{one_line(odd[0], 100)!r} is no name of a variable")
