"""Reading each ELF object once, whatever tree and path it is met at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.analysis.elf import MAGIC, read_elf
from layersmith.errors import ElfError, UnsafeLink
from layersmith.rootfs.entries import Directory, File

if TYPE_CHECKING:
    from collections.abc import Hashable

    from layersmith.analysis.elf import ElfFile
    from layersmith.rootfs.tree import Found, Root

__all__ = ["Objects", "Opened", "find_directory", "find_file", "inode"]

_LARGE: Final = 1 << 20


class Opened(NamedTuple):
    """A regular file: where it really is, the `links` crossed on the way, what is in it.

    Without an `elf`, `cause` says why there is none: no ELF file, or a damaged one.
    """

    path: str
    links: tuple[str, ...]
    inode: Hashable
    elf: ElfFile | None
    cause: str = ""


class Objects:
    """A memory of what was read, by content; share one among all steps of a run."""

    def __init__(self) -> None:
        self._known: dict[bytes, ElfFile | str] = {}

    def open(self, root: Root, path: str) -> Opened | None:
        """Follow `path` inside `root` to a regular file and read it; None if there is none."""
        found = find_file(root, path)
        if found is None:
            return None
        assert isinstance(found.entry, File)
        elf = self.read(root, found.entry, found.path)
        where = found.path, found.links, inode(found)
        return Opened(*where, None, elf) if isinstance(elf, str) else Opened(*where, elf)

    def read(self, root: Root, file: File, path: str) -> ElfFile | str:
        """Return the object in `file`, or why it is none."""
        content = file.content
        key = content if isinstance(content, bytes) else content.sha256
        known = self._known.get(key)
        if known is None:
            try:
                known = read_elf(_data(root, file), path) or "not an ELF file"
            except ElfError as error:
                known = error.message
            self._known[key] = known
        return known


def _data(root: Root, file: File) -> bytes:
    """Return all bytes of an ELF file, but of a large other file no more than it takes to tell."""
    if file.size > _LARGE:
        start = next(iter(root.contents.chunks(file)), b"")
        if len(start) >= len(MAGIC) and not start.startswith(MAGIC):
            return b""
    return root.contents.read(file)


def find_file(root: Root, path: str) -> Found | None:
    """Follow `path` to a regular file; too many links are as good as no file (ELOOP)."""
    found = _resolve(root, path)
    return found if found is not None and isinstance(found.entry, File) else None


def find_directory(root: Root, path: str) -> tuple[str, Directory] | None:
    """Follow `path` to a directory: where it really is, and the directory."""
    found = _resolve(root, path)
    if found is None or not isinstance(found.entry, Directory):
        return None
    return found.path, found.entry


def _resolve(root: Root, path: str) -> Found | None:
    try:
        return root.tree.resolve(path)
    except UnsafeLink:
        return None


def inode(found: Found) -> Hashable:
    """Return what equals for two names of one file: hard links share their slice."""
    assert isinstance(found.entry, File)
    content = found.entry.content
    return found.path if isinstance(content, bytes) else content
