"""Sandboxes by bubblewrap: user namespaces, and nothing that outlives us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.sandbox.task import Launch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.sandbox.task import Ids, Task

__all__ = ["Bubblewrap"]

_MEMORY: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """bubblewrap as `program`, started as `ids` (as ourselves if None).

    Releases before 0.8 are not `modern`: they neither bound file systems in memory nor keep
    programs from making namespaces of their own. In a container that hides parts of /proc
    the kernel mounts no other one: then there is none, rather than the host's.
    """

    program: Path
    ids: Ids | None
    modern: bool = True
    proc: bool = True
    name: str = "bubblewrap"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is missing on this host."""
        return () if self.proc else ("without /proc: this host lets nobody mount one",)

    def launch(self, task: Task, folder: Path) -> Launch:  # noqa: ARG002 - it keeps no files
        """Return bubblewrap's command line for a task."""
        return Launch(argv=(str(self.program), *self._words(task)), ids=self.ids)

    def fault(self, status: int, stderr: bytes, folder: Path) -> str:  # noqa: ARG002 - as above
        """Return what bubblewrap said: as its own last word, or an image's that feigns it."""
        last = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return last if status and last.startswith("bwrap: ") else ""

    def _words(self, task: Task) -> Iterator[str]:
        yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session")
        yield from ("--cap-drop", "ALL", "--hostname", "layersmith")
        if self.modern:
            yield "--disable-userns"
        if task.network:
            yield "--share-net"
        yield from ("--uid", str(task.ids.uid), "--gid", str(task.ids.gid))
        yield from ("--ro-bind", str(task.root), "/")
        if self.proc:
            yield from ("--proc", "/proc")
        yield from ("--dev", "/dev")
        for place in ("/dev/shm", "/tmp", *task.writable):  # noqa: S108 - inside
            yield from (*(["--size", str(_MEMORY)] if self.modern else []), "--perms", "1777")
            yield from ("--tmpfs", place)
        for place, source in task.binds.items():
            yield from ("--ro-bind", str(source), place)
        yield from ("--remount-ro", "/dev", "--chdir", task.workdir, "--clearenv")
        for name, value in task.env.items():
            yield from ("--setenv", name, value)
        yield from ("--", *task.argv)
