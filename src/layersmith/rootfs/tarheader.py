"""One header of a tar archive: 512 bytes, with PAX records or GNU names, into an entry.

What two well-known readers understand differently is refused here: a wrong checksum, a
size on an entry that has no content, two long names for one entry, sparse files, types
that runtimes do not extract, names with ``..``.

Formats: ustar and PAX (POSIX.1-2001 pax), GNU (long names), V7.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from zlib import adler32

import msgspec

from layersmith.errors import MalformedTar, UnsafePath, one_line
from layersmith.rootfs import pax

__all__ = ["Extensions", "TarEntry", "check_sum", "decode", "extension_size", "long_text"]

_MAX_NAME: Final = 4095
_MAX_SIZE: Final = 1 << 40
_MAX_EXTENSION: Final = 1 << 20
_MAX_OCTAL_7: Final = 0o7777777
_MAX_OCTAL_11: Final = 0o77777777777
_REGULAR: Final = frozenset({b"0", b"\0"})
_NO_CONTENT: Final = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_DEVICES: Final = frozenset({b"3", b"4"})
# Some writers put the file type into the mode, and a regular file's into every mode.
_TYPE_BITS: Final = {
    b"2": 0o120000, b"3": 0o020000, b"4": 0o060000, b"5": 0o040000, b"6": 0o010000,
}  # fmt: skip
_REGULAR_BITS: Final = 0o100000
# So many different numbers are remembered: most headers have the same mode, owner and time.
_REMEMBERED: Final = 4096
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


class Extensions(NamedTuple):
    """What stood in front of a header: PAX records, and GNU's long names."""

    records: dict[str, bytes]
    name: bytes | None = None
    link: bytes | None = None


def decode(block: bytes, before: Extensions, offset: int) -> TarEntry:
    """Return the entry of a header whose content starts at `offset`.

    Raises :class:`MalformedTar` or :class:`UnsafePath`.
    """
    flag, records = block[156:157], before.records
    name = _one_of(_short_name(block), before.name, records.get("path"), "name")
    link = _one_of(_field(block, 157, 257), before.link, records.get("linkpath"), "link name")
    if flag not in _REGULAR and flag not in _NO_CONTENT:
        raise MalformedTar(f"an entry of type {flag!r}", path=_text(name))
    numbers = _numbers(block)
    path = _checked_path(name, flag)
    is_device = flag in _DEVICES
    return TarEntry(
        path=path,
        type="0" if flag in _REGULAR else flag.decode(),
        mode=_permissions(numbers.mode, flag, path),
        uid=_owner(pax.number(records, "uid", numbers.uid) if records else numbers.uid, path),
        gid=_owner(pax.number(records, "gid", numbers.gid) if records else numbers.gid, path),
        mtime=pax.times(records, numbers.mtime),
        size=_checked_size(numbers.size, records, flag, path),
        link=_checked_link(link, flag, path),
        major=_device(numbers.major, path) if is_device else 0,
        minor=_device(numbers.minor, path) if is_device else 0,
        xattrs=pax.xattrs(records) if records else (),
        offset=offset,
    )


def check_sum(block: bytes) -> None:
    """Raise :class:`MalformedTar` where the checksum is wrong."""
    if block[148:156].strip(b"01234567 \0"):  # no header: what would be its name is noise
        raise MalformedTar("no header of a tar is where one should be")
    said = _number(block, 148, 156, "checksum")
    if said != _sum(block) - sum(block[148:156]) + 8 * 32:
        raise MalformedTar("a header's checksum is wrong", path=_shown(block))


def _sum(block: bytes) -> int:
    """Return the sum of all bytes; it is what Adler-32 has in its lower half (RFC 1950, 8.2).

    That is modulo 65521, which half a block of zeros never reaches.
    """
    if block.count(0) * 2 >= len(block):
        return (adler32(block) & 0xFFFF) - 1
    return sum(block)


def extension_size(block: bytes) -> int:
    """Return how many bytes an extended header has."""
    size = _numbers(block).size
    if not 0 <= size <= _MAX_EXTENSION:
        raise MalformedTar(f"an extended header of {size} bytes")
    return size


def long_text(data: bytes) -> bytes:
    """Return the name in a GNU long name's content."""
    text, _, rest = data.partition(b"\0")
    if rest.strip(b"\0"):
        raise MalformedTar("a GNU long name with bytes behind its end", path=_text(text))
    return text


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
    try:
        return _value(block[start:end])
    except ValueError as error:
        raise MalformedTar(f"the {what} field {error}", path=_shown(block)) from None


@lru_cache(_REMEMBERED)
def _value(field: bytes) -> int:
    """Read an octal field, or GNU's base-256 (first byte 0x80 or 0xff)."""
    if not field[0] & 0x80:
        return _octal(field)
    value = int.from_bytes(field) & ((1 << (8 * len(field) - 1)) - 1)
    if field[0] & 0x40:
        value -= 1 << (8 * len(field) - 1)
    if not -(2**63) <= value < 2**63:
        raise ValueError("overflows")
    return value


def _octal(field: bytes) -> int:
    text = field.strip(b" \0")
    if not text:
        return 0
    if text.strip(b"01234567"):
        raise ValueError("is not octal")
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


def _checked_path(name: bytes, flag: bytes) -> str:
    text = _text(name)
    if not name or len(name) > _MAX_NAME:
        raise UnsafePath(f"a name of {len(name)} bytes", path=text[:100])
    if name.endswith(b"/") and flag != b"5":
        raise MalformedTar("a trailing slash on what is no directory", path=text)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafePath("the name goes up with ..", path=text)
    if len(name) > 255 and any(len(part) > 255 for part in parts):
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


def _device(number: int, path: str) -> int:
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
