"""Compressed streams that readers end, join or check differently.

The archive inside is a plain one, so all that can be read in two ways is the framing.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from dataclasses import dataclass
from random import Random

import zstandard
from tests.build.tar import archive, file

NOISE = Random(11).randbytes(3000)
INSIDE = archive(file("a", b"hello"), file("b", NOISE))
HALF = 700  # in the middle of an entry
OTHER = archive(file("smuggled", b"!"))


@dataclass(frozen=True)
class Frame:
    """A blob of a layer, and the tar that it is, or None if it is to be refused."""

    name: str
    compression: str
    blob: bytes
    tar: bytes | None = INSIDE


def _no(name: str, compression: str, blob: bytes) -> Frame:
    return Frame(name, compression, blob, None)


def _member(
    data: bytes = INSIDE, *, level: int = 6, flags: int = 0, extra: bytes = b"", **wrong: int
) -> bytes:
    """Return one gzip member (RFC 1952) with header flags, and what is `wrong` about it."""
    head = struct.pack("<BBBBIBB", 31, 139, wrong.get("method", 8), flags, 0, 0, 255) + extra
    if flags & 2:
        head += struct.pack("<H", wrong.get("header_crc", zlib.crc32(head) & 0xFFFF))
    raw = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = raw.compress(data) + raw.flush()
    crc, size = wrong.get("crc", zlib.crc32(data)), wrong.get("size", len(data))
    return head + body + struct.pack("<II", crc, size & 0xFFFFFFFF)


ONE, REST = _member(INSIDE[:HALF]), _member(INSIDE[HALF:])
WHOLE = _member()
EMPTY = _member(b"")

GZIP = [
    Frame("gzip", "gzip", WHOLE),
    Frame("stored blocks", "gzip", _member(level=0)),
    Frame("two members", "gzip", ONE + REST),
    Frame("a member for every byte", "gzip", b"".join(_member(INSIDE[n : n + 1]) for n in range(len(INSIDE)))),
    Frame("an empty member first", "gzip", EMPTY + WHOLE),
    Frame("an empty member between", "gzip", ONE + EMPTY + REST),
    Frame("an empty member last", "gzip", WHOLE + EMPTY),
    Frame("a member of zeros behind the end", "gzip", WHOLE + _member(bytes(5000)), INSIDE + bytes(5000)),
    Frame("a name", "gzip", _member(flags=8, extra=b"layer.tar\0")),
    Frame("a comment of gzip", "gzip", _member(flags=16, extra=b"by hand\0")),
    Frame("an extra field", "gzip", _member(flags=4, extra=b"\x08\0SG\4\0abcd")),
    Frame("a name of 511 bytes", "gzip", _member(flags=8, extra=b"n" * 511 + b"\0")),
    _no("a name of 512 bytes", "gzip", _member(flags=8, extra=b"n" * 512 + b"\0")),
    _no("a comment of 512 bytes", "gzip", _member(flags=24, extra=b"n\0" + b"c" * 512 + b"\0")),
    Frame("a checksum of the header", "gzip", _member(flags=2)),
    Frame("all that a header can have", "gzip", _member(flags=29, extra=b"\x08\0SG\4\0abcdname\0text\0")),
    _no("a checksum of a header with a name", "gzip", _member(flags=10, extra=b"name\0")),
    _no("a checksum of a header with a comment", "gzip", _member(flags=18, extra=b"text\0")),
    _no("a checksum of a header with an extra field", "gzip", _member(flags=6, extra=b"\x08\0SG\4\0abcd")),
    Frame("an extra field of 65,535 bytes", "gzip", _member(flags=4, extra=b"\xff\xffSG\xfb\xff" + bytes(65_531))),
    Frame("a name and a comment", "gzip", _member(flags=24, extra=b"layer.tar\0by hand\0")),
    Frame("a name in the second member only", "gzip", ONE + _member(INSIDE[HALF:], flags=8, extra=b"etc\0")),
    _no("an archive in each of two members", "gzip", WHOLE + _member(OTHER)),
    _no("an archive in a member behind padding", "gzip", WHOLE + bytes(512) + _member(OTHER)),
    _no("an archive behind a member of zeros", "gzip", WHOLE + _member(bytes(512)) + _member(OTHER)),
    Frame("a reserved flag", "gzip", _member(flags=32)),
    _no("a wrong checksum of the header", "gzip", _member(flags=2, header_crc=0)),
    _no("a wrong checksum of the content", "gzip", _member(crc=0)),
    _no("a wrong size", "gzip", _member(size=0)),
    _no("a size that is too large", "gzip", _member(size=len(INSIDE) + 1)),
    _no("a wrong checksum of the first member", "gzip", _member(INSIDE[:HALF], crc=1) + REST),
    _no("a wrong checksum of an empty member behind", "gzip", WHOLE + _member(b"", crc=1)),
    _no("another method", "gzip", _member(method=7)),
    _no("half a header", "gzip", WHOLE[:6]),
    _no("a name without an end", "gzip", WHOLE[:3] + b"\x08" + WHOLE[4:10] + b"x" * 70_000),
    _no("half a stream", "gzip", WHOLE[: len(WHOLE) // 2]),
    _no("no trailer", "gzip", WHOLE[:-8]),
    _no("half a trailer", "gzip", WHOLE[:-3]),
    _no("half a second header", "gzip", WHOLE + WHOLE[:6]),
    _no("half a second member", "gzip", ONE + REST[:-9]),
    _no("garbage behind", "gzip", WHOLE + b"garbage"),
    _no("garbage that begins like a header", "gzip", WHOLE + b"\x1f\x8bgarbage garbage"),
    _no("garbage behind padding", "gzip", WHOLE + bytes(600) + b"garbage"),
    _no("zstd behind gzip", "gzip", WHOLE + zstandard.ZstdCompressor().compress(OTHER)),
    _no("a reserved block", "gzip", WHOLE[:10] + b"\x07" + WHOLE[11:]),
    _no("a distance before the start", "gzip", WHOLE[:10] + b"\x4b\x04\x83\x00\x00" + WHOLE[-8:]),
    _no("a NUL behind", "gzip", WHOLE + b"\0"),
    _no("a block of NULs behind", "gzip", WHOLE + bytes(512)),
    _no("a MiB of NULs behind", "gzip", WHOLE + bytes(1 << 20)),
    _no("nothing", "gzip", b""),
    _no("zeros alone", "gzip", bytes(1024)),
    _no("gzip in gzip", "gzip", _member(WHOLE)),
    _no("a zlib stream", "gzip", zlib.compress(INSIDE)),
    _no("a raw stream", "gzip", WHOLE[10:-8]),
    _no("bzip2", "gzip", bz2.compress(INSIDE)),
    _no("xz", "gzip", lzma.compress(INSIDE)),
    _no("zstd named gzip", "gzip", zstandard.ZstdCompressor().compress(INSIDE)),
    _no("a plain tar named gzip", "gzip", INSIDE),
    _no("gzip named a plain tar", "none", WHOLE),
    _no("zstd named a plain tar", "none", zstandard.ZstdCompressor().compress(INSIDE)),
]  # fmt: skip


def _frame(data: bytes = INSIDE, **options: bool | int) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)  # type: ignore[arg-type]


def _streamed(data: bytes, window: int = 0) -> bytes:
    """Return a frame that does not say how much it holds, with a window of 2**`window`."""
    chosen = zstandard.ZstdCompressionParameters(
        window_log=window, enable_ldm=window > 27, write_content_size=False
    )
    writer = zstandard.ZstdCompressor(compression_params=chosen).compressobj()
    return writer.compress(data) + writer.flush()


def _skippable(data: bytes = b"toc", number: int = 0) -> bytes:
    return struct.pack("<II", 0x184D2A50 + number, len(data)) + data


def _blocks(*blocks: bytes, size: int | None = None) -> bytes:
    """Return a frame of given blocks, one segment if it says a size (RFC 8878, 3.1.1)."""
    if size is None:
        return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(blocks)
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", size) + b"".join(blocks)


def _block(kind: int, size: int, data: bytes, *, last: bool = True) -> bytes:
    return struct.pack("<I", size << 3 | kind << 1 | last)[:3] + data


DICTIONARY = zstandard.ZstdCompressionDict(NOISE, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
ZSTD_ONE, ZSTD_REST, ZSTD = _frame(INSIDE[:HALF]), _frame(INSIDE[HALF:]), _frame()
RAW = _blocks(_block(0, len(INSIDE), INSIDE))
LONGER = _blocks(_block(0, len(INSIDE), INSIDE), size=len(INSIDE) - 1)
SHORTER = _blocks(_block(0, len(INSIDE), INSIDE), size=len(INSIDE) + 1)

ZSTANDARD = [
    Frame("zstd", "zstd", ZSTD),
    Frame("zstd with a checksum", "zstd", _frame(write_checksum=True)),
    Frame("no content size", "zstd", _streamed(INSIDE)),
    Frame("blocks as they are", "zstd", RAW),
    Frame("a block of one byte many times", "zstd", _blocks(
        _block(0, len(INSIDE) - 1024, INSIDE[:-1024], last=False), _block(1, 1024, b"\0"))),
    Frame("an empty last block", "zstd", _blocks(_block(0, len(INSIDE), INSIDE, last=False), _block(0, 0, b""))),
    Frame("two frames", "zstd", ZSTD_ONE + ZSTD_REST),
    Frame("a frame for every ten bytes", "zstd", b"".join(_frame(INSIDE[n : n + 10]) for n in range(0, len(INSIDE), 10))),
    Frame("an empty frame first", "zstd", _frame(b"") + ZSTD),
    Frame("an empty frame last", "zstd", ZSTD + _frame(b"")),
    Frame("a frame of zeros behind the end", "zstd", ZSTD + _frame(bytes(5000)), INSIDE + bytes(5000)),
    Frame("a skippable frame between", "zstd", ZSTD_ONE + _skippable(number=15) + ZSTD_REST),
    Frame("a skippable frame last", "zstd", ZSTD + _skippable(b"x" * 5000)),
    Frame("an empty skippable frame", "zstd", ZSTD + _skippable(b"")),
    Frame("a skippable frame that looks like a frame", "zstd", ZSTD + _skippable(_frame(OTHER))),
    Frame("a window of 8 MiB", "zstd", _streamed(INSIDE, 23)),
    Frame("a window of 32 MiB", "zstd", _streamed(INSIDE, 25)),
    _no("a window of 64 MiB", "zstd", _streamed(INSIDE, 26)),
    _no("a window of 128 MiB", "zstd", _streamed(INSIDE, 27)),
    _no("a window of 256 MiB", "zstd", _streamed(INSIDE, 28)),
    _no("a window of 2 GiB", "zstd", _streamed(INSIDE, 31)),
    _no("a window of terabytes", "zstd", b"\x28\xb5\x2f\xfd\x00\xff" + RAW[6:]),
    _no("an archive in each of two frames", "zstd", ZSTD + _frame(OTHER)),
    _no("an archive behind a skippable frame", "zstd", ZSTD + _skippable() + _frame(OTHER)),
    _no("a content size too small", "zstd", LONGER),
    _no("a content size too large", "zstd", SHORTER),
    _no("a wrong checksum of zstd", "zstd", _frame(write_checksum=True)[:-1] + b"\0"),
    _no("a dictionary that nobody has", "zstd", zstandard.ZstdCompressor(
        dict_data=zstandard.train_dictionary(2048, [NOISE[n : n + 100] for n in range(0, 2900, 10)])).compress(INSIDE)),
    _no("a dictionary by number", "zstd", b"\x28\xb5\x2f\xfd\x01\x58\x07" + RAW[6:]),
    _no("a reserved bit", "zstd", RAW[:4] + b"\x08" + RAW[5:]),
    _no("a reserved block of zstd", "zstd", _blocks(_block(3, 5, b"hello"))),
    _no("a block of more than 128 KiB", "zstd", _blocks(_block(1, (128 << 10) + 1, b"\0"))),
    _no("a format of old", "zstd", b"\x27\xb5\x2f\xfd" + ZSTD[4:]),
    _no("half a frame's header", "zstd", ZSTD[:5]),
    _no("half a frame", "zstd", ZSTD[: len(ZSTD) // 2]),
    _no("half a frame at a block", "zstd", _blocks(_block(0, len(INSIDE), INSIDE, last=False))),
    _no("half a second frame", "zstd", ZSTD_ONE + ZSTD_REST[:-9]),
    _no("half a magic number behind", "zstd", ZSTD + ZSTD[:2]),
    _no("half a skippable frame", "zstd", ZSTD + _skippable(b"x" * 100)[:-50]),
    _no("half a skippable frame's header", "zstd", ZSTD + _skippable()[:6]),
    _no("a skippable frame of 4 GiB", "zstd", ZSTD + struct.pack("<II", 0x184D2A50, 0xFFFFFFFF) + bytes(100)),
    _no("garbage behind zstd", "zstd", ZSTD + b"garbage garbage"),
    _no("zeros behind zstd", "zstd", ZSTD + bytes(512)),
    _no("gzip behind zstd", "zstd", ZSTD + _member(OTHER)),
    _no("nothing of zstd", "zstd", b""),
    _no("a skippable frame first", "zstd", _skippable() + ZSTD),
    _no("a skippable frame alone", "zstd", _skippable()),
    _no("zstd in zstd", "zstd", _frame(ZSTD)),
    _no("gzip named zstd", "zstd", WHOLE),
    _no("a plain tar named zstd", "zstd", INSIDE),
]  # fmt: skip


def _estargz() -> bytes:
    """Return members as eStargz cuts them: an entry each, a table and a footer behind."""
    out = io.BytesIO()
    for part in (INSIDE[:1024], INSIDE[1024:]):
        with gzip.GzipFile(mode="wb", fileobj=out, mtime=0) as member:
            member.write(part)
    out.write(_member(b"", level=0, flags=4, extra=b"\x1a\0SG\x16\0" + b"%016xSTARGZ" % out.tell()))
    return out.getvalue()


FRAMES: list[Frame] = [*GZIP, *ZSTANDARD, Frame("a footer of eStargz", "gzip", _estargz())]
