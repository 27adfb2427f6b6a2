"""A tar file read at random: the strict reader's index of it, and bytes by offset.

Archives of images come from strangers as layers do. They are indexed by
:mod:`layersmith.rootfs.tar`, never unpacked; what two readers could understand
differently (a file that is there twice, a link in place of a blob) is refused. A
compressed one is inflated to an unnamed temporary file first.
"""

from __future__ import annotations

import os
import posixpath
import stat
import tempfile
from typing import TYPE_CHECKING, Final

from layersmith.errors import DocumentError, MalformedTar, NotFound, OutputError, intention
from layersmith.oci.strictjson import MAX_DOCUMENT
from layersmith.rootfs.compression import decompress
from layersmith.rootfs.tar import TarReader
from layersmith.stores.files import OpenFile, Section, disk_errors

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.rootfs.tar import TarEntry
    from layersmith.stores.parts import Joined

__all__ = ["Tarball", "compression_of", "identity"]

_MAX_MEMBERS: Final = 100_000
_UNREAD: Final = {b"\xfd7z": "xz -d", b"BZh": "bzip2 -d"}
_FILE, _SYMLINK, _DIRECTORY = "0", "2", "5"


class Tarball:
    """An archive that was opened and indexed once; `identity` tells whether it is still that.

    Raises :class:`NotFound` where no file is, :class:`OutputError` where it cannot be
    read, and :class:`LayerError` for an archive that is damaged or ambiguous.
    """

    def __init__(self, path: Path, where: str) -> None:
        self._where = where
        with disk_errors(f"reading {path}"):
            file = _open(path, where)
            status = file.status
            if not stat.S_ISREG(status.st_mode):
                raise OutputError(f"{where}: {path} is not a file")
            self.identity = identity(status)
            with intention(f"reading {where}"):
                self._archive: OpenFile | Joined = _inflated(file)
                self._members = self._index()

    @classmethod
    def joined(cls, parts: Joined, where: str) -> Tarball:
        """Index an archive that lies in several files; raises as the constructor does."""
        self = cls.__new__(cls)
        self._where, self.identity = where, ()
        with disk_errors(f"reading {where}"), intention(f"reading {where}"):
            self._archive = _inflated(parts)
            self._members = self._index()
        return self

    @property
    def names(self) -> list[str]:
        """Every name of a file in it, sorted."""
        return sorted(name for name, entry in self._members.items() if entry.type == _FILE)

    def has(self, name: str) -> bool:
        """Tell whether a file (or a link to one) has this name."""
        return name in self._members

    def size(self, name: str) -> int:
        """Return the size of a file; raises as :meth:`open`."""
        return self._file(name).size

    def open(self, name: str) -> Section:
        """Open a file; raises :class:`NotFound`, or :class:`MalformedTar` for what is none."""
        entry = self._file(name)
        return Section(self._archive, entry.offset, entry.size)

    def read(self, name: str) -> bytes:
        """Return a document whole; raises :class:`DocumentError` for a large one."""
        size = self.size(name)
        if size > MAX_DOCUMENT:
            raise DocumentError(
                f"{self._where}: {name} has {size} bytes, documents at most {MAX_DOCUMENT}"
            )
        with disk_errors(f"reading {self._where}"):
            return self.open(name).read()

    def target(self, name: str) -> str:
        """Return the file that `name` is, through one symbolic link inside the archive.

        Old `docker save` writes a layer that two images share once, and links to it.
        """
        entry = self._members.get(name)
        if entry is None or entry.type != _SYMLINK:
            return name
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.link))
        if entry.link.startswith("/") or joined.split("/")[0] == "..":
            raise MalformedTar(f"{self._where}: a link that leaves the archive", path=name)
        return joined

    def _file(self, name: str) -> TarEntry:
        entry = self._members.get(name)
        if entry is None:
            raise NotFound(f"{self._where} has no file {name!r}")
        if entry.type != _FILE:
            raise MalformedTar(f"{self._where}: a link or directory, not a file", path=name)
        return entry

    def _index(self) -> dict[str, TarEntry]:
        members: dict[str, TarEntry] = {}
        for entry in TarReader(self._archive.whole()):
            known = members.setdefault(entry.path, entry)
            if known is not entry and not known.type == entry.type == _DIRECTORY:
                raise MalformedTar("the archive has two entries of one name", path=entry.path)
            if len(members) > _MAX_MEMBERS:
                raise MalformedTar(f"more than {_MAX_MEMBERS} files: not an archive of images")
        return members


def compression_of(head: bytes) -> str:
    """Return the compression that the first 4 bytes of a stream show, or ``none``."""
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    return "zstd" if head[:4] == b"\x28\xb5\x2f\xfd" else "none"


def identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is replaced or written to."""
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def _open(path: Path, where: str) -> OpenFile:
    try:
        return OpenFile.at(path)
    except FileNotFoundError:
        raise NotFound(f"{where}: there is no file {path}", hint="is the path right?") from None


def _inflated(file: OpenFile | Joined) -> OpenFile | Joined:
    """Return the archive itself, from a temporary file if `file` is a compressed one."""
    head = file.pread(4, 0)
    if known := _UNREAD.get(head[:3]):
        hint = f"decompress it first: {known}"
        raise MalformedTar("it is compressed in a way that no layer is", hint=hint)
    compression = compression_of(head)
    if compression == "none":
        return file
    size = file.size
    with tempfile.TemporaryFile(prefix="layersmith-", buffering=0) as spool:
        for piece in decompress(file.whole(), compression, size):
            view = memoryview(piece)
            while view:
                view = view[spool.write(view) :]
        return OpenFile(os.dup(spool.fileno()))
