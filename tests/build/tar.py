"""Tar archives byte by byte, with any header field raw: right ones and wrong ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = 512
END = bytes(2 * BLOCK)
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
V7 = bytes(8)


@dataclass(frozen=True)
class Header:
    """One header block; numbers are written as octal, bytes as they are."""

    name: bytes = b"f"
    flag: bytes = b"0"
    mode: int | bytes = 0o644
    uid: int | bytes = 0
    gid: int | bytes = 0
    size: int | bytes = 0
    mtime: int | bytes = 0
    link: bytes = b""
    magic: bytes = USTAR
    major: int | bytes = 0
    minor: int | bytes = 0
    prefix: bytes = b""
    checksum: bytes | None = None
    patch: Mapping[int, bytes] = field(default_factory=dict)

    def block(self) -> bytes:
        """Return the 512 bytes; `patch` is laid over them before the checksum is taken."""
        raw = bytearray(BLOCK)
        for start, width, value in (
            (0, 100, self.name),
            (100, 8, self.mode),
            (108, 8, self.uid),
            (116, 8, self.gid),
            (124, 12, self.size),
            (136, 12, self.mtime),
            (156, 1, self.flag),
            (157, 100, self.link),
            (257, 8, self.magic),
            (329, 8, self.major),
            (337, 8, self.minor),
            (345, 155, self.prefix),
        ):
            text = value if isinstance(value, bytes) else b"%0*o\0" % (width - 1, value)
            if len(text) > width:
                raise ValueError(f"{text!r} does not fit into {width} bytes")
            raw[start : start + len(text)] = text
        for start, text in self.patch.items():
            raw[start : start + len(text)] = text
        raw[148:156] = b" " * 8
        raw[148:156] = self.checksum or b"%06o\0 " % sum(raw)
        return bytes(raw)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def base256(value: int, width: int) -> bytes:
    """Write a number the GNU way, for fields that octal digits do not fit into."""
    raw = bytearray(value.to_bytes(width, "big", signed=True))
    raw[0] |= 0x80
    return bytes(raw)


def member(header: Header, content: bytes = b"") -> bytes:
    """Return header and content; the size field is set unless it is given raw."""
    if header.size == 0 and content:
        header = replace(header, size=len(content))
    return header.block() + padded(content)


def file(name: str | bytes, content: bytes = b"", *, mode: int = 0o644, uid: int = 0) -> bytes:
    return member(Header(_bytes(name), mode=mode, uid=uid, gid=uid), content)


def directory(name: str | bytes, *, mode: int = 0o755) -> bytes:
    return member(Header(_bytes(name), b"5", mode=mode))


def symlink(name: str | bytes, target: str | bytes) -> bytes:
    return member(Header(_bytes(name), b"2", mode=0o777, link=_bytes(target)))


def hard_link(name: str | bytes, target: str | bytes, *, mode: int = 0o644) -> bytes:
    return member(Header(_bytes(name), b"1", mode=mode, link=_bytes(target)))


def fifo(name: str) -> bytes:
    return member(Header(_bytes(name), b"6"))


def device(name: str, major: int, minor: int, *, flag: bytes = b"3") -> bytes:
    return member(Header(_bytes(name), flag, mode=0o600, major=major, minor=minor))


def record(key: str | bytes, value: str | bytes) -> bytes:
    """Return one PAX record with the right length."""
    body = b" " + _bytes(key) + b"=" + _bytes(value) + b"\n"
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body


def pax(*records: tuple[str, str | bytes]) -> bytes:
    """Return an extended header that holds `records`, in their order."""
    return pax_raw(b"".join(record(key, value) for key, value in records))


def pax_raw(data: bytes, *, flag: bytes = b"x") -> bytes:
    return member(Header(b"PaxHeaders/f", flag), data)


def long_name(name: str | bytes) -> bytes:
    """Return GNU's header for a name that the next entry's header cannot hold."""
    return member(Header(b"././@LongLink", b"L", magic=GNU), _bytes(name) + b"\0")


def long_link(name: str | bytes) -> bytes:
    return member(Header(b"././@LongLink", b"K", magic=GNU), _bytes(name) + b"\0")


def archive(*members: bytes, end: bytes = END) -> bytes:
    return b"".join(members) + end


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
