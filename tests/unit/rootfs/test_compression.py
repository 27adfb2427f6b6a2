"""Reading compressed layers: all framings, and no bombs."""

from __future__ import annotations

import gzip
import io
import itertools
import random
import time
import zlib
from typing import TYPE_CHECKING

import pytest
import zstandard
from tests.build.image import compressed

from layersmith.errors import LayerError
from layersmith.rootfs import compression
from layersmith.rootfs.compression import PieceReader, decompress

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
TEXT = b"".join(b"line %d\n" % n for n in range(20_000))
NOISE = random.Random(7).randbytes(300_000)


class Dripping:
    """A stream that gives at most `most` bytes at once."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = io.BytesIO(data)
        self._most = most

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, self._most))


def inflated(data: bytes, kind: str, most: int = MIB) -> bytes:
    return b"".join(decompress(Dripping(data, most), kind, len(data)))


@pytest.mark.parametrize("kind", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("content", [b"", b"x", TEXT, NOISE, bytes(3 * MIB), b"ab" * MIB])
@pytest.mark.parametrize("most", [1013, MIB])
def test_what_was_compressed_is_read_back(kind: str, content: bytes, most: int) -> None:
    assert inflated(compressed(content, kind), kind, most) == content


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 2 * MIB])
def test_sizes_around_the_pieces_are_no_special_case(size: int) -> None:
    for content in (bytes(size), random.Random(size).randbytes(size)):
        data = gzip.compress(content, 6, mtime=0)
        for most in (len(data) - 8, len(data) - 4, len(data) - 1, len(data)):
            assert inflated(data, "gzip", most) == content


def test_pieces_are_bounded_and_not_tiny() -> None:
    many = b"".join(gzip.compress(b"x" * 100, 1, mtime=0) for _ in range(30_000))
    sizes = [len(piece) for piece in decompress(io.BytesIO(many), "gzip", len(many))]
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= 2 * MIB
    assert all(size >= MIB for size in sizes[:-1])


def test_all_members_and_frames_are_read() -> None:
    assert inflated(gzip.compress(b"a") + gzip.compress(b"") + gzip.compress(b"b"), "gzip") == b"ab"
    frame = zstandard.ZstdCompressor().compress
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"toc.."
    data = frame(b"a") + frame(b"") + skippable + frame(b"b") + skippable
    for most in (1, 3, 100):
        assert inflated(data, "zstd", most) == b"ab"


def test_very_many_frames_take_linear_time() -> None:
    data = zstandard.ZstdCompressor().compress(b"x") * 20_000
    started = time.process_time()
    assert inflated(data, "zstd") == b"x" * 20_000
    assert time.process_time() - started < 5


def test_a_gzip_header_may_carry_a_name() -> None:
    out = io.BytesIO()
    with gzip.GzipFile("layer.tar", "wb", fileobj=out, mtime=5) as file:
        file.write(b"content")
    assert inflated(out.getvalue(), "gzip") == b"content"


@pytest.mark.parametrize("count", [1, 512, 500_000])
def test_nuls_behind_gzip_are_refused_as_go_does(count: int) -> None:
    for most in (17, MIB):
        with pytest.raises(LayerError, match="padding behind the gzip stream"):
            inflated(gzip.compress(TEXT) + bytes(count), "gzip", most)


def test_a_skippable_frame_first_is_refused_as_containers_tools_do() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"toc.."
    for most in (1, MIB):
        with pytest.raises(LayerError, match="does not start with a zstd frame"):
            inflated(skippable + compressed(TEXT, "zstd"), "zstd", most)


GZIP, ZSTD = compressed(TEXT, "gzip"), compressed(TEXT, "zstd")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "gzip"),
        (b"", "zstd"),
        (GZIP[:5], "gzip"),
        (GZIP[:-1], "gzip"),
        (GZIP[:-8], "gzip"),
        (GZIP[:-9], "gzip"),
        (GZIP[: len(GZIP) // 2], "gzip"),
        (GZIP[:-8] + b"\0\0\0\0" + GZIP[-4:], "gzip"),
        (GZIP[:-4] + b"\0\0\0\0", "gzip"),
        (GZIP + b"garbage", "gzip"),
        (GZIP + GZIP[:20], "gzip"),
        (GZIP + bytes(5) + b"x", "gzip"),
        (GZIP + bytes(300_000) + b"x", "gzip"),
        (GZIP + bytes(5) + GZIP, "gzip"),
        (b"\x1f\x8b\x08\x02" + GZIP[4:10] + b"zz" + GZIP[10:], "gzip"),
        (b"\x1f\x8b\x07" + GZIP[3:], "gzip"),
        (b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"a name without an end", "gzip"),
        (zlib.compress(TEXT), "gzip"),
        (TEXT, "gzip"),
        (ZSTD, "gzip"),
        (GZIP, "zstd"),
        (TEXT, "zstd"),
        (ZSTD[:3], "zstd"),
        (ZSTD[:-1], "zstd"),
        (ZSTD[: len(ZSTD) // 2], "zstd"),
        (ZSTD + ZSTD[:10], "zstd"),
        (ZSTD + b"garbage!", "zstd"),
        (ZSTD + bytes(9), "zstd"),
    ],
)
@pytest.mark.parametrize("most", [17, MIB])
def test_damaged_framing_is_refused(data: bytes, kind: str, most: int) -> None:
    with pytest.raises(LayerError):
        inflated(data, kind, most)


def test_a_frame_cut_at_a_block_is_refused() -> None:
    writer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    data = writer.compress(NOISE) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    with pytest.raises(LayerError, match="too early"):
        inflated(data, "zstd")


def test_a_checksum_of_zstd_is_checked() -> None:
    data = zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
    assert inflated(data, "zstd") == TEXT
    with pytest.raises(LayerError):
        inflated(data[:-1] + bytes([data[-1] ^ 1]), "zstd")


def test_a_window_of_gigabytes_is_refused() -> None:
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    ).compressobj()
    data = wide.compress(b"x" * 1000) + wide.flush()
    with pytest.raises(LayerError, match="zstd"):
        inflated(data, "zstd")


def zeros(count: int) -> Iterator[bytes]:
    return itertools.repeat(bytes(MIB), count)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_has_filled_anything(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_FLOOR", 8 * MIB)
    bomb = compressed(bytes(100 * MIB), kind)
    given: list[bytes] = []
    with pytest.raises(LayerError, match="inflates to more than 8 MiB") as caught:
        given.extend(decompress(io.BytesIO(bomb), kind, 1000))
    assert sum(map(len, given)) <= 8 * MIB
    assert caught.value.hint


def test_a_large_bomb_ends_as_early_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_ADVANCE", 8 * MIB)
    member = gzip.compress(bytes(MIB), 9, mtime=0)
    bomb = Dripping(member * 1000, len(member))
    given: list[bytes] = []
    with pytest.raises(LayerError, match="inflates to more than 8 MiB"):
        given.extend(decompress(bomb, "gzip", 1 << 40))
    assert sum(map(len, given)) <= 9 * MIB


def test_what_compresses_100_to_1_is_no_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_FLOOR", 0)
    assert b"".join(decompress(io.BytesIO(b"x" * 100), "none", 1)) == b"x" * 100
    with pytest.raises(LayerError):
        list(decompress(io.BytesIO(b"x" * 101), "none", 1))


def test_pieces_read_as_a_stream() -> None:
    stream = PieceReader(iter([b"", b"abc", b"", b"defg"]))
    assert (stream.read(2), stream.read(2), stream.read(), stream.read(9)) == (
        b"ab",
        b"c",
        b"defg",
        b"",
    )
    assert PieceReader(iter([b"abc", b"d"])).readall() == b"abcd"
