"""Reading each ELF object once, whatever tree and path it is met at.

What was found out of a content never changes, so it can be kept between runs: a warm run
reads no object at all.
"""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from layersmith.analysis.elf import MAGIC, ElfFile, read_elf
from layersmith.errors import ElfError, UnsafeLink
from layersmith.rootfs.entries import Directory, File

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from layersmith.rootfs.tree import Found, Root

__all__ = ["NOT_ELF", "Objects", "Opened", "find_directory", "find_file", "inode"]

NOT_ELF: Final = "not an ELF file"
_LARGE: Final = 1 << 20
# A compiler in a library has 130 MB: one of all threads at a time is enough in memory.
_HUGE: Final = 16 << 20
_TURN: Final = Lock()
_LARGEST_FACT: Final = 16 << 20  # of a loader or a C library; the largest have 2 MB


class Opened(NamedTuple):
    """A regular file: where it really is, the `links` crossed on the way, what is in it.

    Without an `elf`, `cause` says why there is none: no ELF file, or a damaged one.
    """

    path: str
    links: tuple[str, ...]
    inode: Hashable
    elf: ElfFile | None
    cause: str = ""


class _Kept(msgspec.Struct, array_like=True):
    """What :meth:`Objects.dump` writes: objects and facts, by the SHA-256 of contents."""

    objects: dict[bytes, ElfFile | str] = {}
    facts: dict[str, dict[bytes, str]] = {}


# Made here, not at its first use: see strictjson.typed.
_DECODER: Final = msgspec.msgpack.Decoder(_Kept)


class Objects:
    """A memory of what was read, by content; share one among all steps of a run.

    `kept` is what an earlier run's :meth:`dump` gave, or nothing.
    """

    def __init__(self, kept: bytes | None = None) -> None:
        known = _DECODER.decode(kept) if kept else _Kept()
        self._known = known.objects
        self._facts = known.facts
        self.grown = False

    def dump(self) -> bytes:
        """Return what was learnt, for another run.

        An object with strings that are not UTF-8 is left out, and read again there.
        """
        known = {key: of for key, of in self._known.items() if _is_text(of)}
        return msgspec.msgpack.encode(_Kept(known, self._facts))

    def fact(self, kind: str, root: Root, path: str, find: Callable[[bytes], str]) -> str:
        """Return what `find` makes of the bytes of the file at `path`; empty without one."""
        found = find_file(root, path)
        if found is None:
            return ""
        assert isinstance(found.entry, File)
        if found.entry.size > _LARGEST_FACT:
            return ""
        facts = self._facts.setdefault(kind, {})
        key = _key(found.entry)
        if key not in facts:
            facts[key] = find(root.contents.read(found.entry))
            self.grown = True
        return facts[key]

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
        key = _key(file)
        known = self._known.get(key)
        if known is None:
            with _TURN if file.size > _HUGE else nullcontext():
                try:
                    known = read_elf(_data(root, file), path) or NOT_ELF
                except ElfError as error:
                    known = error.message
            self._known[key] = known
            self.grown = True
        return known


def _is_text(known: ElfFile | str) -> bool:
    try:
        msgspec.msgpack.encode(known)
    except UnicodeEncodeError:
        return False
    return True


def _key(file: File) -> bytes:
    """Return what is equal for the same bytes only: a checksum of strangers' files may lie."""
    content = file.content
    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    return f"{content.layer} {content.offset} {content.size}".encode()


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
