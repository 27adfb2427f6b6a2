"""A Root that reads a directory of this machine: for trees that real tools unpacked."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from layersmith.rootfs.entries import Directory, Entry, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.tree import Root, Tree


class DiskContents:
    """The files of a directory tree; hard links have equal slices."""

    def __init__(self) -> None:
        self.paths: dict[bytes, Path] = {}

    def read(self, file: File) -> bytes:
        assert isinstance(file.content, Slice)
        return self.paths[file.content.checksum].read_bytes()

    def chunks(self, file: File) -> Iterator[bytes]:
        yield self.read(file)


def disk_root(path: Path) -> Root:
    contents = DiskContents()
    entry = _entry(path.resolve(), contents)
    assert isinstance(entry, Directory)
    return Root(Tree(entry), contents)


def _entry(path: Path, contents: DiskContents) -> Entry:
    status = path.lstat()
    meta = Meta(status.st_mode & 0o7777, status.st_uid, status.st_gid, int(status.st_mtime))
    if stat.S_ISDIR(status.st_mode):
        with os.scandir(path) as entries:
            return Directory(meta, {e.name: _entry(Path(e.path), contents) for e in entries})
    if stat.S_ISLNK(status.st_mode):
        return Symlink(meta, str(path.readlink()))
    if stat.S_ISREG(status.st_mode):
        inode = b"%d:%d" % (status.st_dev, status.st_ino)
        contents.paths[inode] = path
        return File(meta, Slice(inode.decode(), 0, status.st_size, inode))
    return Special(meta, Kind.FIFO)
