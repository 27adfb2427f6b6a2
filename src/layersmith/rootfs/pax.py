"""PAX extended headers: ``length keyword=value`` records (POSIX.1-2001 pax)."""

from __future__ import annotations

import re
from typing import Final

from layersmith.errors import MalformedTar

__all__ = ["encode", "number", "parse", "times", "xattrs"]

XATTR: Final = "SCHILY.xattr."
_NO_NUL: Final = frozenset({"path", "linkpath", "uname", "gname"})
_MAX_RECORDS: Final = 1000
# Go reads over these, while libarchive and star take size, type or device from them.
_RIVALS: Final = frozenset({
    "SCHILY.realsize", "SCHILY.filetype", "SCHILY.devmajor", "SCHILY.devminor",
    "SUN.devmajor", "SUN.devminor",
})  # fmt: skip
_CHARSETS: Final = frozenset({b"BINARY", b"ISO-IR 10646 2000 UTF-8"})
_INTEGER = re.compile(rb"-?[0-9]{1,19}")
_SECONDS = re.compile(rb"(-?[0-9]{1,15})(?:\.([0-9]*))?")


def parse(data: bytes) -> dict[str, bytes]:
    """Return the records of one header; raises :class:`MalformedTar`."""
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 8)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit() or digits.startswith(b"0"):
            raise MalformedTar("a PAX record without a length")
        end = position + int(digits)
        if end > len(data) or data[end - 1 : end] != b"\n" or end <= space + 1:
            raise MalformedTar("a PAX record whose length is wrong")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        _add(records, key, equals, value)
        position = end
    return records


def _add(records: dict[str, bytes], raw: bytes, equals: bytes, value: bytes) -> None:
    key = raw.decode("utf-8", "surrogateescape")
    if not equals or not key or "\0" in key or (key in _NO_NUL and b"\0" in value):
        raise MalformedTar("a malformed PAX record")
    if key in records or len(records) >= _MAX_RECORDS:
        raise MalformedTar(f"the PAX record {key[:60]!r} stands twice, or there are too many")
    if key.startswith("GNU."):
        raise MalformedTar(f"a sparse file or a part of a dump ({key[:60]!r})")
    if key in _RIVALS or (key == "hdrcharset" and value not in _CHARSETS):
        raise MalformedTar(f"the PAX record {key[:60]!r}, which readers understand differently")
    if not value and not key.startswith(XATTR):
        # To POSIX an empty value deletes the record; readers differ, so it is refused.
        raise MalformedTar(f"the PAX record {key[:60]!r} is empty")
    records[key] = value


def number(records: dict[str, bytes], key: str, default: int) -> int:
    """Return the integer record `key`, or `default` where there is none."""
    value = records.get(key)
    if value is None:
        return default
    if _INTEGER.fullmatch(value) is None:
        raise MalformedTar(f"the PAX record {key!r} is not a number")
    return int(value)


def times(records: dict[str, bytes], mtime: int) -> int:
    """Return ``mtime`` in whole seconds, `mtime` where there is none.

    The other times are of no use here, but Go refuses them too where they are none.
    """
    if not records:
        return mtime
    found = [_seconds(records, key) for key in ("mtime", "atime", "ctime")]
    return mtime if found[0] is None else found[0]


def _seconds(records: dict[str, bytes], key: str) -> int | None:
    """Return a time in whole seconds, rounded towards the past."""
    value = records.get(key)
    if value is None:
        return None
    match = _SECONDS.fullmatch(value)
    if match is None:
        raise MalformedTar(f"the PAX record {key!r} is not a time")
    fraction = (match[2] or b"").strip(b"0")
    return int(match[1]) - (value.startswith(b"-") and bool(fraction))


def xattrs(records: dict[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    """Return the extended attributes, sorted by name; Go skips empty ones."""
    return tuple(
        sorted((k.removeprefix(XATTR), v) for k, v in records.items() if k.startswith(XATTR) and v)
    )


def encode(records: dict[str, bytes]) -> bytes:
    """Return `records` as the content of an extended header, keys sorted."""
    return b"".join(_record(key, records[key]) for key in sorted(records))


def _record(key: str, value: bytes) -> bytes:
    body = b" " + key.encode("utf-8", "surrogateescape") + b"=" + value + b"\n"
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body
