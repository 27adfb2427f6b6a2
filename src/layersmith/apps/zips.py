"""Zip archives read the strict way: what two readers could read differently is refused.

A wheel is a zip (PyPA, "Binary distribution format"); its central directory (APPNOTE 4.3.12)
is what counts here. Refused: encryption, other methods than stored and deflated, links and
special files, names that lead out, names that stand twice, data that overlaps or that stands
before the archive, and more bytes than any honest archive has.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from layersmith.errors import WheelError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

__all__ = ["Archive", "Member", "Positioned", "name_problem"]

_PIECE: Final = 1 << 20
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_PATCHED: Final = 0x20
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LOCAL_HEADER: Final = 30
_MOST_MEMBERS: Final = 200_000
_LARGEST: Final = 16 << 30
_END_SEARCHED: Final = 22 + 0xFFFF + 20  # the end record, the longest comment, zip64's locator
# Beyond this size no wheel shrinks to a hundredth: such an archive is a bomb.
_UNSUSPICIOUS: Final = 256 << 20
_RATIO: Final = 100
_LARGEST_DIRECTORY: Final = 64 << 20  # all of it is in memory, as objects many times larger
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 4096
_DAMAGE: Final = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OverflowError,
    ValueError,
    struct.error,
    zlib.error,
)


class Positioned(Protocol):
    """What can be read at any place."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def pread(self, size: int, offset: int) -> bytes:
        """Read up to `size` bytes at `offset`, whoever else reads."""


class Member(NamedTuple):
    """A file of an archive: `offset` tells it from all others."""

    path: str
    offset: int
    size: int
    is_executable: bool


class Archive:
    """An archive whose directory was found sound; `name` is for messages.

    Raises :class:`WheelError`.
    """

    def __init__(self, file: Positioned, name: str) -> None:
        self.name = name
        with self._sound():
            if (size := _directory_size(file)) > _LARGEST_DIRECTORY:
                raise self._error(f"has a directory of {size} bytes: a zip bomb")
            self._zip = zipfile.ZipFile(io.BufferedReader(_Stream(file), _PIECE))
            self._infos = self._zip.infolist()
            self._check_sizes(file.size)
            self.members = self._members()

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the bytes of a member; all of them, or :class:`WheelError`."""
        return self.at(member.offset)

    def at(self, offset: int) -> Iterator[bytes]:
        """Yield the bytes of the member whose header is at `offset`."""
        info = self._by_offset[offset]
        left = info.file_size
        with self._sound(), self._zip.open(info) as stream:
            while piece := stream.read(_PIECE):
                left -= len(piece)
                yield piece
            if left:
                raise zipfile.BadZipFile(f"{info.filename} is cut short")

    def read(self, member: Member, most: int) -> bytes:
        """Return a member of at most so many bytes."""
        if member.size > most:
            raise self._error(f"{one_line(member.path, 200)} has {member.size} bytes")
        return b"".join(self.chunks(member))

    def digests(self, member: Member, algorithm: str) -> tuple[bytes, bytes]:
        """Return a member's SHA-256, and its digest by another algorithm."""
        first, second = hashlib.sha256(), hashlib.new(algorithm)
        for piece in self.chunks(member):
            first.update(piece)
            if algorithm != "sha256":
                second.update(piece)
        return first.digest(), first.digest() if algorithm == "sha256" else second.digest()

    def _members(self) -> dict[str, Member]:
        found: dict[str, Member] = {}
        self._by_offset = {info.header_offset: info for info in self._infos}
        end = 0
        for info in sorted(self._infos, key=lambda info: info.header_offset):
            self._check(info)
            if info.header_offset < end or (end == 0 and info.header_offset):
                raise self._error("has data before, or in, another's data")
            end = info.header_offset + _LOCAL_HEADER + info.compress_size
            if info.filename.endswith("/"):
                continue
            if info.filename in found:
                raise self._error(f"has {one_line(info.filename, 200)!r} twice")
            mode = info.external_attr >> 16
            executable = stat.S_ISREG(mode) and bool(mode & 0o111)
            about = info.filename, info.header_offset, info.file_size, executable
            found[info.filename] = Member(*about)
        for path in found:
            parent = path.rpartition("/")[0]
            while parent:
                if parent in found:
                    raise self._error(f"has {one_line(parent, 200)!r} as a file and a directory")
                parent = parent.rpartition("/")[0]
        return found

    def _check_sizes(self, size: int) -> None:
        total = sum(info.file_size for info in self._infos)
        if len(self._infos) > _MOST_MEMBERS:
            raise self._error(f"has more than {_MOST_MEMBERS} files")
        if total > _LARGEST or (total > _UNSUSPICIOUS and total > size * _RATIO):
            raise self._error(f"would become {total} bytes from {size}: a zip bomb")

    def _check(self, info: zipfile.ZipInfo) -> None:
        shown = one_line(info.orig_filename, 200)
        if info.flag_bits & _ENCRYPTED:
            raise self._error(f"{shown!r} is encrypted")
        if info.compress_type not in _METHODS or info.flag_bits & _PATCHED:
            raise self._error(f"{shown!r} is compressed in a way that wheels are not")
        kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
        is_folder = info.filename.endswith("/")
        if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
            what = "a symbolic link" if kind == stat.S_IFLNK else "no regular file"
            raise self._error(f"{shown!r} is {what}")
        if is_folder and info.file_size:
            raise self._error(f"the directory {shown!r} has contents")
        if problem := name_problem(info.filename, info.orig_filename):
            raise self._error(f"the name {shown!r} {problem}")

    @contextmanager
    def _sound(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            why = one_line(str(error), 200) or type(error).__name__
            raise self._error(f"is damaged: {why}") from None

    def _error(self, message: str) -> WheelError:
        return WheelError(message, wheel=self.name, hint="get or build it anew")


def _directory_size(file: Positioned) -> int:
    """Return how large the archive says its directory is (APPNOTE 4.3.14 to 4.3.16)."""
    start = max(file.size - _END_SEARCHED, 0)
    tail = file.pread(file.size - start, start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        return 0  # no archive: zipfile says so
    size = int(struct.unpack_from("<I", tail, at + 12)[0])
    if tail[max(at - 20, 0) :].startswith(b"PK\x06\x07"):
        where = struct.unpack_from("<Q", tail, at - 12)[0]
        record = file.pread(56, where)
        if record.startswith(b"PK\x06\x06") and len(record) == 56:
            return int(struct.unpack_from("<Q", record, 40)[0])
    return size


def name_problem(name: str, as_written: str) -> str:
    """Say what is wrong with the name of a member, or nothing."""
    parts = name.removesuffix("/").split("/")
    odd = "\\" in as_written or "\0" in as_written or not name.isprintable()
    longest = max(len(part.encode("utf-8", "surrogateescape")) for part in parts)
    problems = (
        (".." in parts, "leads out of the wheel"),
        (name.startswith("/"), "is absolute"),
        (odd, "has characters that no path of a wheel has"),
        (any(part in ("", ".") for part in parts), "is not canonical"),
        (len(name) > _LONGEST_PATH or longest > _LONGEST_NAME, "is too long"),
        (any(part.startswith(".wh.") for part in parts), "would delete a file of the image"),
    )
    return next((text for is_wrong, text in problems if is_wrong), "")


class _Stream(io.RawIOBase):
    """A place in what can be read at any place."""

    def __init__(self, file: Positioned) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("a place before the start")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        data = self._file.pread(len(view), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
