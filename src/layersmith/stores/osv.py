"""Exports of OSV databases: a zip of JSON files, a directory of them, one, or JSON lines.

OSV gives an ``all.zip`` for each ecosystem. What comes out of an export is bounded before it
is inflated: an entry, their number, and all of them together by the size of the archive.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.errors import DocumentError, NotFound, one_line, typed
from layersmith.stores.files import OpenFile, disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

__all__ = ["Export", "export_at", "export_of"]

_PIECE: Final = 1 << 20
# Far above what is in use: 8 MB of directory, 2 GB inflated, 20 times the archive's size.
_MAX_ENTRY: Final = 16 << 20
_MAX_DIRECTORY: Final = 24 << 20
_MAX_TOTAL: Final = 16 << 30
_MAX_RATIO: Final = 200
_FREE: Final = 64 << 20  # a small archive may be as dense as it likes
_MAX_FILES: Final = 500_000
_SUFFIX: Final = ".json"
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Export:
    """One export: its `name`, the `sha256` of its bytes, and its entries."""

    def __init__(self, name: str, sha256: str, opened: OpenFile | list[tuple[str, Path]]) -> None:
        self.name = name
        self.sha256 = sha256
        self._opened = opened

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of every entry; one byte more than may be of one that is too large.

        Raises :class:`DocumentError` for an archive that is damaged or a bomb, and
        :class:`OutputError` where the disk fails.
        """
        opened = self._opened
        if isinstance(opened, list):
            return _of_files(opened, self.name)
        with disk_errors(f"reading {self.name}"):
            is_zip = opened.pread(2, 0) == b"PK"
        return _of_zip(opened, self.name) if is_zip else _of_text(opened, self.name)


def export_at(path: Path) -> Export:
    """Open a file or a directory; raises :class:`NotFound` and :class:`OutputError`."""
    name = typed(str(path), 200)
    if not path.exists():
        raise NotFound(
            f"{name}: there is no such file",
            hint="a database is OSV's all.zip of an ecosystem, a directory, .json or .jsonl",
        )
    with disk_errors(f"reading {name}"):
        if not path.is_dir():
            return export_of(OpenFile.at(path), name)
        files = list(_files(path, name))
        lines = (f"{_sha256(OpenFile.at(file))}  {short}\n" for short, file in files)
        whole = "".join(lines).encode("utf-8", "surrogateescape")
        return Export(name, hashlib.sha256(whole).hexdigest(), files)


def export_of(file: OpenFile, name: str) -> Export:
    """Return the export that an open file is."""
    with disk_errors(f"reading {name}"):
        return Export(name, _sha256(file), file)


def _sha256(file: OpenFile) -> str:
    stream, hasher = file.whole(), hashlib.sha256()
    while data := stream.read(_PIECE):
        hasher.update(data)
    return hasher.hexdigest()


def _files(folder: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the JSON files below a directory in order, through no links to directories."""
    count = 0
    for place, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if file.endswith(_SUFFIX):
                count += 1
                if count > _MAX_FILES:
                    raise DocumentError(f"{name}: more than {_MAX_FILES} files")
                path = Path(place, file)
                yield str(path.relative_to(folder)), path


def _of_files(files: list[tuple[str, Path]], name: str) -> Iterator[tuple[str, bytes]]:
    for short, path in files:
        with disk_errors(f"reading {name}"):
            raw = OpenFile.at(path).pread(_MAX_ENTRY + 1, 0)
        yield short, raw


def _of_text(file: OpenFile, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the lines, if the first is an entry in itself; else all of it is one."""
    stream = io.BufferedReader(_Seekable(file, name), _PIECE)
    with disk_errors(f"reading {name}"):
        first = stream.readline(_MAX_ENTRY + 1)
        if not _is_whole(first):
            whole = first + stream.read(_MAX_ENTRY + 1 - len(first))
            if whole.strip():
                yield Path(name).name, whole
            return
        number, line = 1, first
        while line:
            if line.strip():
                yield f"line {number}", line
            while len(line) > _MAX_ENTRY and not line.endswith(b"\n"):
                line = stream.readline(_MAX_ENTRY + 1)
            number, line = number + 1, stream.readline(_MAX_ENTRY + 1)


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (ValueError, RecursionError):  # of msgspec, or for what is not UTF-8
        return False


def _of_zip(file: OpenFile, name: str) -> Iterator[tuple[str, bytes]]:
    with _zip_errors(name), zipfile.ZipFile(_Seekable(file, name)) as archive:
        entries = [one for one in archive.infolist() if one.filename.endswith(_SUFFIX)]
        _check(entries, file.size, name)
        for entry in sorted(entries, key=lambda one: one.filename):
            with archive.open(entry) as stream:
                raw = stream.read(_MAX_ENTRY + 1)
            yield one_line(entry.filename, 200), raw


def _check(entries: list[zipfile.ZipInfo], size: int, name: str) -> None:
    """Refuse what would become too much; an entry gives no more bytes than it announces."""
    total = sum(min(entry.file_size, _MAX_ENTRY + 1) for entry in entries)
    if len(entries) > _MAX_FILES or total > min(_MAX_TOTAL, _FREE + _MAX_RATIO * size):
        raise DocumentError(
            f"{name}: a zip of {size} bytes with {len(entries)} entries of {total} bytes: a bomb?"
        )
    for entry in entries:
        if entry.compress_type not in _METHODS or entry.flag_bits & 1:
            raise DocumentError(
                f"{name}: {one_line(entry.filename, 100)} is encrypted or not deflated"
            )


@contextmanager
def _zip_errors(name: str) -> Iterator[None]:
    """Turn what :mod:`zipfile` raises about an archive into a :class:`DocumentError`."""
    try:
        with disk_errors(f"reading {name}"):
            yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise DocumentError(
            f"{name} is damaged: {one_line(str(error), 200)}", hint="fetch it again"
        ) from None


class _Seekable(io.RawIOBase):
    """An open file for readers who seek; refuses to read what only a lie could ask for."""

    def __init__(self, file: OpenFile, name: str) -> None:
        super().__init__()
        self._file = file
        self._name = name
        self._at = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place; raises :class:`ValueError` for one before the start."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("a place before the start")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """Return where it is."""
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; raises :class:`DocumentError` for far too many."""
        size = self._file.size - self._at if size < 0 else size
        if size > _MAX_DIRECTORY:
            raise DocumentError(f"{self._name}: a zip whose directory has {size} bytes")
        data = self._file.pread(size, self._at)
        self._at += len(data)
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` as far as there are bytes."""
        view = memoryview(buffer).cast("B")
        data = self._file.pread(len(view), self._at)
        self._at += len(data)
        view[: len(data)] = data
        return len(data)
