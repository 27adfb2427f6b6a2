"""Reading each ELF object once, whatever tree and path it is met at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layersmith.analysis.elf import read_elf
from layersmith.errors import ElfError, UnsafeLink
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Hashable

    from layersmith.analysis.elf import ElfFile
    from layersmith.rootfs.tree import Found, Root

__all__ = ["Objects", "Opened", "find_file", "inode"]


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
                known = read_elf(root.contents.read(file), path) or "not an ELF file"
            except ElfError as error:
                known = error.message
            self._known[key] = known
        return known


def find_file(root: Root, path: str) -> Found | None:
    """Follow `path` to a regular file; too many links are as good as no file (ELOOP)."""
    try:
        found = root.tree.resolve(path)
    except UnsafeLink:
        return None
    return found if found is not None and isinstance(found.entry, File) else None


def inode(found: Found) -> Hashable:
    """Return what equals for two names of one file: hard links share their slice."""
    assert isinstance(found.entry, File)
    content = found.entry.content
    return found.path if isinstance(content, bytes) else content
