"""An image's file system on the disk: for one user, and nowhere but below one directory.

The tree decides what there is; the disk is never asked. Every name is made once, in a
directory that was made here and is still open, and no link is ever followed: so whatever
links an image has, nothing is written through them.

An ordinary user can give files to nobody else. So everything belongs to that one user, and
a file's mode is the access that the image's own user has to it: what root alone may read in
the image cannot be read in the sandbox either. Devices, set-uid bits and extended
attributes are left out.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from layersmith.errors import LayerError, UnsafePath
from layersmith.rootfs.entries import Directory, File, Symlink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from layersmith.rootfs.entries import Entry, Meta
    from layersmith.rootfs.tree import Contents, Root, Tree
    from layersmith.sandbox.task import Ids

__all__ = ["MAX_DEPTH", "MAX_SIZE", "size_of", "unpack"]

MAX_SIZE: Final = 32 << 30
MAX_DEPTH: Final = 200
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK: Final = 4096  # what a small file takes, or a directory


def size_of(tree: Tree) -> int:
    """Return the bytes that the files of `tree` take on a disk, each inode once.

    Raises :class:`LayerError` where that is more than :data:`MAX_SIZE`.
    """
    total, seen = 0, set()
    for _, entry in tree.walk():
        if isinstance(entry, File) and not isinstance(entry.content, bytes):
            if entry.content in seen:
                continue
            seen.add(entry.content)
        total += _BLOCK + (entry.size if isinstance(entry, File) else 0)
    if total > MAX_SIZE:
        raise LayerError(f"an image of {total >> 30} GiB: at most {MAX_SIZE >> 30} are unpacked")
    return total


def unpack(root: Root, folder: Path, user: Ids, owner: Ids | None = None) -> None:
    """Write the file system `root` into the empty directory `folder`.

    `user` is the image's user, `owner` whom everything is given to (root alone can). Raises
    :class:`LayerError` for what no disk should hold, :class:`OSError` for the disk's own,
    and what reading contents raises.
    """
    top = os.open(folder, _OPEN)
    try:
        writer = _Writer(root.contents, top, user, owner)
        writer.fill(top, root.tree.root.children, "", 0)
        writer.close(top, root.tree.root, floor=0o5)
    finally:
        os.close(top)


class _Writer:
    """Makes entries in open directories."""

    def __init__(self, contents: Contents, top: int, user: Ids, owner: Ids | None) -> None:
        self._contents = contents
        self._top = top
        self._user = user
        self._owner = owner
        self._inodes: dict[File, str] = {}

    def fill(self, handle: int, children: Mapping[str, Entry], path: str, depth: int) -> None:
        """Make everything that is in a directory."""
        if depth > MAX_DEPTH:
            raise LayerError(f"directories deeper than {MAX_DEPTH}", path=path[:300])
        for name, entry in children.items():
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise UnsafePath("no name of a file", path=f"{path}/{name}"[:300])
            where = f"{path}/{name}" if path else name
            if isinstance(entry, Directory):
                os.mkdir(name, 0o700, dir_fd=handle)
                with _entered(handle, name) as child:
                    self.fill(child, entry.children, where, depth + 1)
            elif isinstance(entry, Symlink):
                os.symlink(entry.target, name, dir_fd=handle)
                if self._owner is not None:
                    os.chown(name, *self._owner, dir_fd=handle, follow_symlinks=False)
            elif isinstance(entry, File):
                self._file(handle, name, entry, where)

    def close(self, handle: int, directory: Directory, floor: int = 0) -> None:
        """Give directories their modes, when nothing is made in them any more."""
        for name, entry in directory.children.items():
            if isinstance(entry, Directory):
                with _entered(handle, name) as child:
                    self.close(child, entry)
        self._settle(handle, (_access(directory.meta, self._user, is_folder=True) | floor) * 0o111)

    def _file(self, handle: int, name: str, entry: File, where: str) -> None:
        known = self._inodes.get(entry)
        if known is not None:
            os.link(known, name, src_dir_fd=self._top, dst_dir_fd=handle, follow_symlinks=False)
            return
        file = os.open(name, _CREATE, 0o600, dir_fd=handle)
        try:
            for piece in self._contents.chunks(entry):
                _write(file, piece)
            # Bytecode is looked at only if its source has the time that it remembers.
            with suppress(OSError, OverflowError):
                os.utime(file, (entry.meta.mtime, entry.meta.mtime))
            self._settle(file, _access(entry.meta, self._user, is_folder=False) * 0o111)
        finally:
            os.close(file)
        if not isinstance(entry.content, bytes):
            self._inodes[entry] = where

    def _settle(self, handle: int, mode: int) -> None:
        if self._owner is not None:
            os.chown(handle, *self._owner)
        os.fchmod(handle, mode)


@contextmanager
def _entered(handle: int, name: str) -> Iterator[int]:
    child = os.open(name, _OPEN, dir_fd=handle)
    try:
        yield child
    finally:
        os.close(child)


def _write(file: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(file, left) :]


def _access(meta: Meta, user: Ids, *, is_folder: bool) -> int:
    """Return what the image's user may do, as a digit of a mode (path_resolution(7)).

    The supplementary groups of the user are not asked for: runtimes give none to numbers.
    """
    if user.uid == 0:
        return 0o7 if is_folder or meta.mode & 0o111 else 0o6
    if meta.uid == user.uid:
        return meta.mode >> 6 & 0o7
    return (meta.mode >> 3 if meta.gid == user.gid else meta.mode) & 0o7
