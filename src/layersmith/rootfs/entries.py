"""What a file system is made of, as frozen values.

A hard link is no kind of entry: files with the same :class:`Slice` are one inode.
Names are text; bytes that are not UTF-8 travel as surrogate escapes.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import msgspec

__all__ = ["Directory", "Entry", "File", "Kind", "Meta", "Slice", "Special", "Symlink", "as_utf8"]


def as_utf8(name: str) -> str:
    r"""Return a name as a document can have it: bytes that are not UTF-8 as ``\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Meta(msgspec.Struct, frozen=True, gc=False):
    """Owner, permission bits (of 0o7777), time in whole seconds, extended attributes."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()


class Slice(msgspec.Struct, frozen=True, gc=False):
    """`size` bytes at `offset` of the uncompressed layer `layer` (its diff_id).

    `checksum` is what its reader verifies just these bytes by: of a layer its
    :data:`~layersmith.rootfs.checksum.Checksum`, taken when it was read; elsewhere a SHA-256.
    """

    layer: str
    offset: int
    size: int
    checksum: bytes


class File(msgspec.Struct, frozen=True, gc=False):
    """A regular file: a slice of a layer, or bytes that we made."""

    meta: Meta
    content: Slice | bytes

    @property
    def size(self) -> int:
        """The length in bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.size


class Symlink(msgspec.Struct, frozen=True, gc=False):
    """A symbolic link; `target` as it was written."""

    meta: Meta
    target: str


class Kind(Enum):
    """The special files, by their tar type flag."""

    CHAR = "3"
    BLOCK = "4"
    FIFO = "6"


class Special(msgspec.Struct, frozen=True, gc=False):
    """A device node or a named pipe."""

    meta: Meta
    kind: Kind
    major: int = 0
    minor: int = 0


class Directory(msgspec.Struct, frozen=True):
    """A directory; its children belong to it and are never changed afterwards."""

    meta: Meta
    children: dict[str, Entry]


Entry: TypeAlias = File | Directory | Symlink | Special
