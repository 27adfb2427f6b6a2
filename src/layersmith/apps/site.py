"""Where distributions are installed, as it is put together: whose each path is, nothing twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from layersmith.errors import WheelError, one_line
from layersmith.rootfs.checksum import proven
from layersmith.rootfs.entries import Directory, File, Meta, Slice, Symlink
from layersmith.rootfs.tree import glob_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.wheel import Wheel
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents

__all__ = [
    "APP",
    "ENVIRONMENT",
    "VENV",
    "Prefix",
    "Site",
    "WheelContents",
    "lay_out",
    "site_packages",
    "with_parents",
]

APP: Final = "app"
VENV: Final = f"{APP}/.venv"
_OURS: Final = "the virtual environment"


@dataclass(frozen=True, slots=True)
class Prefix:
    """A place to install to: a virtual environment, or the user's own (``pip install --user``).

    `python` runs its scripts, by default the one in its own bin; files are owned by `uid`, `gid`.
    """

    root: str
    python: str = ""
    uid: int = 0
    gid: int = 0

    @property
    def program(self) -> str:
        """What the first line of scripts names."""
        return self.python or f"/{self.root}/bin/python"

    def meta(self, mode: int) -> Meta:
        """Return the mode with the owner."""
        return Meta(mode, self.uid, self.gid)

    def packages(self, interpreter: Interpreter) -> str:
        """Return where modules are."""
        return f"{self.root}/lib/python{interpreter.short}/site-packages"

    def folders(self, interpreter: Interpreter, name: str) -> dict[str, str]:
        """Return the directory of each scheme for a distribution (sysconfig's "Schemes")."""
        site = "" if self.python else "site/"
        return {
            "purelib": self.packages(interpreter),
            "platlib": self.packages(interpreter),
            "scripts": f"{self.root}/bin",
            "headers": f"{self.root}/include/{site}python{interpreter.short}/{name}",
            "data": self.root,
        }


ENVIRONMENT: Final = Prefix(VENV)


def site_packages(interpreter: Interpreter) -> str:
    """Return where the distributions of an application are installed."""
    return ENVIRONMENT.packages(interpreter)


@dataclass(slots=True)
class Site:
    """Entries by path, and who brought each; `shared` are globs of what two may bring.

    Paths that are `taken` already belong to what is below.
    """

    shared: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()
    entries: dict[str, Entry] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, entry: Entry, owner: str) -> None:
        """Put an entry; raises :class:`WheelError` where somebody else's is."""
        before = self.owners.get(path, "the dependencies" if path in self.taken else "")
        if before and not any(glob_pattern(glob).fullmatch(path) for glob in self.shared):
            twice = "brings" if before == owner else f"and {before} both bring"
            raise WheelError(
                f"{owner} {twice} {one_line(path, 300)!r}" + (" twice" if before == owner else ""),
                hint="leave one of them out, or allow it: shared = ['GLOB'] in [app]",
            )
        self.entries[path] = entry
        self.owners[path] = owner

    def check(self) -> None:
        """Refuse a file below which there are others; raises :class:`WheelError`."""
        folders = {parent for path in self.entries for parent in parents(path)}
        for path in sorted(folders & self.entries.keys()):
            if not isinstance(self.entries[path], Directory):
                inside = next(p for p in sorted(self.entries) if p.startswith(f"{path}/"))
                raise WheelError(
                    f"{self.owners[path]} brings the file {one_line(path, 300)!r}, "
                    f"{self.owners[inside]} a directory of that name"
                )


def parents(path: str) -> Iterator[str]:
    """Yield the directories above a path, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def with_parents(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return entries with every directory above them."""
    found: dict[str, Entry] = {}
    for path, entry in entries.items():
        for parent in parents(path):
            if parent in found:
                break
            found[parent] = Directory(Meta(0o755), {})
        found[path] = entry
    return {**found, **entries}


def lay_out(site: Site, interpreter: Interpreter) -> None:
    """Put what the module `venv` of the standard library would, but for activation scripts.

    The patch level is left out: the same layer serves every release of a minor version.
    """
    version = interpreter.short
    text = (
        f"home = {interpreter.program.rpartition('/')[0]}\n"
        "include-system-site-packages = false\n"
        f"version = {version}\n"
        f"executable = {interpreter.program}\n"
    )
    site.add(f"{VENV}/pyvenv.cfg", File(Meta(0o644), text.encode()), _OURS)
    links = {
        "bin/python": interpreter.program,
        "bin/python3": "python",
        f"bin/python{version}": "python",
        "lib64": "lib",
    }
    for name, target in links.items():
        site.add(f"{VENV}/{name}", Symlink(Meta(0o777), target), _OURS)
    site.add(site_packages(interpreter), Directory(Meta(0o755), {}), _OURS)


@dataclass(frozen=True, slots=True)
class WheelContents:
    """The bytes of files that are slices of wheels; other files are asked of `below`."""

    wheels: Mapping[str, Wheel]
    below: Contents

    def read(self, file: File) -> bytes:
        """Return all bytes of `file`, verified."""
        return b"".join(self.chunks(file))

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield the bytes of `file`; the last piece comes only if all of them verify."""
        content = file.content
        wheel = self.wheels.get(content.layer) if isinstance(content, Slice) else None
        if wheel is None:
            yield from self.below.chunks(file)
            return
        assert isinstance(content, Slice)
        failure = WheelError("changed while it was read", wheel=wheel.filename)
        pieces = wheel.archive.at(content.offset)
        yield from proven(pieces, hashlib.sha256(), content.checksum, failure)
