"""``/etc/ld.so.conf``: which directories ldconfig indexes besides the built-in ones.

The grammar is that of `parse_conf` in glibc's elf/ldconfig.c: a directory a line, ``#``
starts a comment, ``include`` takes globs, ``hwcap`` is ignored. ldconfig follows include
loops until it dies; here no file is read twice, and depth, files and globs are bounded.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final

from layersmith.analysis.objects import find_directory, find_file
from layersmith.errors import ElfError
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from layersmith.rootfs.tree import Root

__all__ = ["CONF", "conf_for", "configured", "directories_in"]

CONF: Final = "etc/ld.so.conf"
MAX_DEPTH: Final = 8
MAX_FILES: Final = 1000
MAX_SIZE: Final = 256 << 10  # of all files together
MAX_DIRECTORIES: Final = 10_000
MAX_PATTERN: Final = 4096  # PATH_MAX
MAX_WORK: Final = 200_000  # names looked at by all includes together
_COMPILING: Final = 100  # what a glob costs before it is used

_SPACE: Final = " \t\n\v\f\r"


def configured(root: Root) -> tuple[str, ...]:
    """Return the directories that the root's own ld.so.conf names, in order."""
    return _Conf(root).directories(_read(root, CONF))


def directories_in(root: Root, conf: bytes) -> tuple[str, ...]:
    """Return the directories that `conf` would name if it were the root's ld.so.conf."""
    return _Conf(root).directories(conf)


def conf_for(base: Root, system: Collection[str], used: Collection[str]) -> bytes:
    """Return the ld.so.conf that an image on `base` must have to find all it ships.

    A base without one gets Debian's order: /usr/local/lib, its multiarch directory, the
    `system` directories of the loader; then those that are `used`. A base that has one
    keeps it, and what it lacks of the `used` ones is added below.
    """
    own = _read(base, CONF)
    if own is None:
        # Debian's multiarch directories are called as the platform: x86_64-linux-gnu.
        multiarch = [name for name in system if "-" in name.rpartition("/")[2]]
        local = [f"/usr/local{name}" for name in ("/lib", *multiarch) if name.startswith("/lib")]
        wanted, own = [*local, *multiarch, *used], b"# written by layersmith\n"
    else:
        wanted = [d for d in used if d not in directories_in(base, own)]
        if wanted and not own.endswith(b"\n"):
            own += b"\n"
    lines = dict.fromkeys(wanted)
    return own + "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _read(root: Root, path: str, limit: int = MAX_SIZE) -> bytes | None:
    found = find_file(root, path)
    if found is None:
        return None
    assert isinstance(found.entry, File)
    if found.entry.size > limit:
        raise ElfError(f"larger than {MAX_SIZE} bytes, includes and all", path=found.path)
    return root.contents.read(found.entry)


class _Conf:
    """One reading of the configuration, with what it has already visited."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.visited: set[str] = set()
        self.size = 0
        self.work = 0

    def directories(self, conf: bytes | None) -> tuple[str, ...]:
        found: dict[str, None] = {}
        if conf is not None:
            self.size = len(conf)
            self.visited.add(CONF)
            for directory in self._lines(conf, CONF, 1):
                found[directory] = None
                if len(found) > MAX_DIRECTORIES:
                    raise ElfError(f"more than {MAX_DIRECTORIES} directories", path=CONF)
        return tuple(found)

    def _lines(self, conf: bytes, path: str, depth: int) -> Iterator[str]:
        for raw in conf.decode("utf-8", "surrogateescape").split("\n"):
            line = raw.partition("\0")[0].partition("#")[0].lstrip(_SPACE)
            if line.startswith(("include ", "include\t")):
                for pattern in re.split("[ \t]+", line[8:]):
                    yield from self._include(pattern, path, depth)
            elif line[:5].lower() == "hwcap" and line[5:6] in (" ", "\t"):
                continue
            else:
                # ldconfig would take a relative one too, from its own working directory.
                directory = line.rstrip(_SPACE).rstrip("/")
                if directory.startswith("/"):
                    yield directory

    def _include(self, pattern: str, path: str, depth: int) -> Iterator[str]:
        if not pattern:
            return
        if not pattern.startswith("/"):
            pattern = f"{path.rpartition('/')[0]}/{pattern}"
        for name in self._glob(pattern):
            self._spend(1 + len(name) // 32)
            found = find_file(self.root, name)
            if found is None or found.path in self.visited:
                continue
            if depth >= MAX_DEPTH:
                raise ElfError(f"includes go deeper than {MAX_DEPTH} files", path=CONF)
            self.visited.add(found.path)
            if len(self.visited) > MAX_FILES:
                raise ElfError(f"includes more than {MAX_FILES} files", path=CONF)
            conf = _read(self.root, name, MAX_SIZE - self.size) or b""
            self.size += len(conf)
            yield from self._lines(conf, name, depth + 1)

    def _glob(self, pattern: str) -> list[str]:
        """Expand `pattern` inside the tree; sorted by bytes, as ldconfig's C collation is."""
        names = [""]
        for part in pattern[:MAX_PATTERN].split("/"):
            if part in ("", "."):
                continue
            if not re.search(r"[*?\[]", part):
                names = [f"{name}/{part}" for name in names]
                continue
            self._spend(_COMPILING + len(part))
            matches = re.compile(fnmatch.translate(part)).match
            names = [
                f"{name}/{child}"
                for name in names
                for child in self._children(name)
                if (child[0] != "." or part[0] == ".") and matches(child)
            ]
        return sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))

    def _children(self, name: str) -> list[str]:
        found = find_directory(self.root, name)
        children = list(found[1].children) if found else []
        self._spend(len(children) + 1)
        return children

    def _spend(self, work: int) -> None:
        self.work += work
        if self.work > MAX_WORK:
            raise ElfError("its includes are too many, or match too much", path=CONF)
