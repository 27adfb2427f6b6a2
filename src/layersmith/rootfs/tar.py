"""A strict reader of tar archives.

Every runtime reads layers with Go's archive/tar; this reader accepts no more than
that one does, and refuses whatever two well-known readers understand differently:
a wrong checksum, a size on an entry that has no content, two long names for one
entry, malformed or repeated PAX records, sparse files, global headers, types that
runtimes do not extract, names with a NUL or with ``..``, data behind the end.

Formats: ustar and PAX (POSIX.1-2001 pax), GNU (long names), V7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from layersmith.errors import MalformedTar, UnsafePath, one_line
from layersmith.rootfs import pax

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Readable

__all__ = ["BLOCK", "TarEntry", "TarReader"]

BLOCK: Final = 512
_PIECE: Final = 1 << 20
_ZERO: Final = bytes(BLOCK)
_MAX_EXTENSION: Final = 1 << 20
_MAX_ENTRIES: Final = 4_000_000
_MAX_NAME: Final = 4095
_MAX_SIZE: Final = 1 << 40
_MAX_OCTAL_7: Final = 0o7777777
_MAX_OCTAL_11: Final = 0o77777777777
_REGULAR: Final = frozenset({b"0", b"\0"})
_NO_CONTENT: Final = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
# Some writers put the file type into the mode, and a regular file's into every mode.
_TYPE_BITS: Final = {
    b"2": 0o120000, b"3": 0o020000, b"4": 0o060000, b"5": 0o040000, b"6": 0o010000,
}  # fmt: skip
_REGULAR_BITS: Final = 0o100000
_NO_DEVICE: Final = frozenset({bytes(16), b"0000000\x000000000\0"})


class TarEntry(msgspec.Struct, gc=False):
    """One entry's header; `offset` is where its `size` bytes start in the archive.

    `type` is the type flag: ``0`` file, ``1`` hard link, ``2`` symbolic link, ``3``
    and ``4`` device, ``5`` directory, ``6`` named pipe. `path` is canonical.
    """

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    link: str
    major: int
    minor: int
    xattrs: tuple[tuple[str, bytes], ...]
    offset: int


class _Numbers(NamedTuple):
    """Every number of a header, as the block has them."""

    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    major: int
    minor: int


class TarReader:
    """Iterate over the entries of a stream; :meth:`content` reads the current one's.

    Raises :class:`MalformedTar` or :class:`UnsafePath`.
    """

    def __init__(self, stream: Readable) -> None:
        self._read = stream.read
        self._position = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield entries up to the end marker, then check that nothing follows."""
        for _ in range(_MAX_ENTRIES):
            entry = self._next()
            if entry is None:
                return
            yield entry
        raise MalformedTar(f"more than {_MAX_ENTRIES} entries")

    def content(self) -> Iterator[bytes]:
        """Yield what is left of the current entry's content in bounded pieces."""
        while self._left:
            data = self._exactly(min(self._left, _PIECE), "content")
            self._left -= len(data)
            yield data

    def _next(self) -> TarEntry | None:
        records: dict[str, bytes] = {}
        long_name = long_link = None
        while True:
            block = self._header()
            if block is None:
                if records or long_name is not None or long_link is not None:
                    raise MalformedTar("an extended header with no entry behind it")
                return None
            flag = block[156:157]
            if flag == b"x":
                if records:
                    raise MalformedTar("two PAX headers for one entry")
                records = pax.parse(self._extension(block))
            elif flag == b"L" and long_name is None:
                long_name = _c_string(self._extension(block))
            elif flag == b"K" and long_link is None:
                long_link = _c_string(self._extension(block))
            else:
                return self._entry(block, flag, records, long_name, long_link)

    def _header(self) -> bytes | None:
        for _ in self.content():
            pass
        if self._padding:
            self._exactly(self._padding, "padding")
            self._padding = 0
        block = self._some(BLOCK)
        if not block:
            return None
        if block == _ZERO:
            self._end()
            return None
        if len(block) != BLOCK:
            raise MalformedTar(f"a header of {len(block)} bytes at the end")
        said = _octal(block[148:156], "checksum", block)
        if said != sum(block) - sum(block[148:156]) + 8 * 32:
            raise MalformedTar("a header's checksum is wrong", path=_shown(block))
        return block

    def _end(self) -> None:
        rest = self._some(BLOCK)
        if rest and rest != _ZERO:
            raise MalformedTar("half an end marker")
        while data := self._some(_PIECE):
            if data.strip(b"\0"):
                raise MalformedTar("data behind the end marker")

    def _extension(self, block: bytes) -> bytes:
        size = _numbers(block).size
        if not 0 <= size <= _MAX_EXTENSION:
            raise MalformedTar(f"an extended header of {size} bytes")
        data = self._exactly(size, "extended header")
        self._exactly(-size % BLOCK, "padding")
        return data

    def _entry(
        self,
        block: bytes,
        flag: bytes,
        records: dict[str, bytes],
        long_name: bytes | None,
        long_link: bytes | None,
    ) -> TarEntry:
        name = _one_of(_short_name(block), long_name, records.get("path"), "name")
        link = _one_of(_field(block, 157, 257), long_link, records.get("linkpath"), "link name")
        if flag not in _REGULAR and flag not in _NO_CONTENT:
            raise MalformedTar(f"an entry of type {flag!r}", path=_text(name))
        numbers = _numbers(block)
        path = _checked_path(name, flag)
        size = _checked_size(numbers.size, records, flag, path)
        entry = TarEntry(
            path=path,
            type="0" if flag in _REGULAR else flag.decode(),
            mode=_permissions(numbers.mode, flag, path),
            uid=_owner(pax.number(records, "uid", numbers.uid), path),
            gid=_owner(pax.number(records, "gid", numbers.gid), path),
            mtime=pax.times(records, numbers.mtime),
            size=size,
            link=_checked_link(link, flag, path),
            major=_device(numbers.major, flag, path),
            minor=_device(numbers.minor, flag, path),
            xattrs=pax.xattrs(records) if records else (),
            offset=self._position,
        )
        self._left = size
        self._padding = -size % BLOCK
        return entry

    def _some(self, size: int) -> bytes:
        """Read up to `size` bytes, fewer only at the end of the stream."""
        data = self._read(size)
        if data and len(data) < size:
            pieces, left = [data], size - len(data)
            while left and (more := self._read(left)):
                pieces.append(more)
                left -= len(more)
            data = b"".join(pieces)
        self._position += len(data)
        return data

    def _exactly(self, size: int, what: str) -> bytes:
        if not size:
            return b""
        data = self._some(size)
        if len(data) != size:
            raise MalformedTar(f"the archive ends inside {what}")
        return data


def _numbers(block: bytes) -> _Numbers:
    """Read all numbers, needed or not: Go refuses a header where any of them is none."""
    major = minor = 0
    if block[329:345] not in _NO_DEVICE and block[257:262] == b"ustar":
        major = _number(block, 329, 337, "major")
        minor = _number(block, 337, 345, "minor")
    return _Numbers(
        _number(block, 100, 108, "mode"),
        _number(block, 108, 116, "uid"),
        _number(block, 116, 124, "gid"),
        _number(block, 124, 136, "size"),
        _number(block, 136, 148, "mtime"),
        major,
        minor,
    )


def _number(block: bytes, start: int, end: int, what: str) -> int:
    """Read an octal field, or GNU's base-256 (first byte 0x80 or 0xff)."""
    field = block[start:end]
    if not field[0] & 0x80:
        return _octal(field, what, block)
    value = int.from_bytes(field) & ((1 << (8 * len(field) - 1)) - 1)
    if field[0] & 0x40:
        value -= 1 << (8 * len(field) - 1)
    if not -(2**63) <= value < 2**63:
        raise MalformedTar(f"the {what} field overflows", path=_shown(block))
    return value


def _octal(field: bytes, what: str, block: bytes) -> int:
    text = field.strip(b" \0")
    if not text:
        return 0
    if text.strip(b"01234567"):
        raise MalformedTar(f"the {what} field is not octal", path=_shown(block))
    return int(text, 8)


def _field(block: bytes, start: int, end: int) -> bytes:
    return block[start:end].partition(b"\0")[0]


def _short_name(block: bytes) -> bytes:
    name = _field(block, 0, 100)
    magic = block[257:265]
    if magic == b"ustar\x0000":
        if block[508:512] == b"tar\0":
            raise MalformedTar("a star archive, whose prefix field is shorter", path=_text(name))
        if prefix := _field(block, 345, 500):
            return prefix + b"/" + name
    elif magic == b"ustar  \0":
        # Go falls back to reading an old prefix here when the times are not numbers.
        _number(block, 345, 357, "atime")
        _number(block, 357, 369, "ctime")
        if block[482] or block[386:482].strip(b"\0"):
            raise MalformedTar("a sparse or multi-volume entry", path=_text(name))
    elif magic[:5] == b"ustar":
        raise MalformedTar(f"an unknown format, magic {magic!r}", path=_text(name))
    return name


def _one_of(short: bytes, long: bytes | None, record: bytes | None, what: str) -> bytes:
    if long is not None and record is not None:
        raise MalformedTar(f"a PAX and a GNU {what} for one entry", path=_text(long))
    if record is not None:
        return record
    return short if long is None else long


def _c_string(data: bytes) -> bytes:
    text, _, rest = data.partition(b"\0")
    if rest.strip(b"\0"):
        raise MalformedTar("a GNU long name with bytes behind its end", path=_text(text))
    return text


def _checked_path(name: bytes, flag: bytes) -> str:
    text = _text(name)
    if not name or len(name) > _MAX_NAME:
        raise UnsafePath(f"a name of {len(name)} bytes", path=text[:100])
    if name.endswith(b"/") and flag != b"5":
        raise MalformedTar("a trailing slash on what is no directory", path=text)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafePath("the name goes up with ..", path=text)
    if any(len(part) > 255 for part in parts):
        raise UnsafePath("a name of more than 255 bytes between slashes", path=text[:300])
    if not parts and flag != b"5":
        raise UnsafePath("the root can only be a directory", path=text)
    return "/".join(parts)


def _checked_link(link: bytes, flag: bytes, path: str) -> str:
    if flag not in b"12":
        return ""
    if not link or len(link) > _MAX_NAME:
        raise MalformedTar(f"a link to a name of {len(link)} bytes", path=path)
    text = _text(link)
    if flag == b"2":
        return text
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise UnsafePath(f"a hard link to {one_line(text, 100)!r}", path=path)
    return "/".join(parts)


def _checked_size(said: int, records: dict[str, bytes], flag: bytes, path: str) -> int:
    """Return the size; a PAX one is for what the field cannot hold, not to differ from it."""
    size = pax.number(records, "size", said)
    if not 0 <= size <= _MAX_SIZE or (said if flag in _NO_CONTENT else said < 0):
        raise MalformedTar(f"a size of {min(size, said)} on type {flag.decode()!r}", path=path)
    if size != said and size <= _MAX_OCTAL_11:
        raise MalformedTar(f"the size is {said}, and {size} to PAX", path=path)
    return size


def _permissions(mode: int, flag: bytes, path: str) -> int:
    kind = mode & ~0o7777
    if kind not in (0, _REGULAR_BITS, _TYPE_BITS.get(flag)) and (flag != b"1" or kind >> 16):
        raise MalformedTar(f"a mode of {mode:#o} on type {flag.decode()!r}", path=path)
    return mode & 0o7777


def _device(number: int, flag: bytes, path: str) -> int:
    if flag not in b"34":
        return 0
    if not 0 <= number <= _MAX_OCTAL_7:
        raise MalformedTar(f"a device of number {number}", path=path)
    return number


def _owner(number: int, path: str) -> int:
    if not 0 <= number < 2**32 - 1:
        raise MalformedTar(f"an owner of number {number}", path=path)
    return number


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _shown(block: bytes) -> str:
    return _text(_field(block, 0, 100))
