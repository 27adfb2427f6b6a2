"""Compressors: pinned bytes, whatever the cut, and what says which they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from layersmith.errors import RecipeError
from layersmith.oci.documents import LAYER_COMPRESSION
from layersmith.rootfs.compression import decompress
from layersmith.rootfs.compressor import Compressor

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
TEXT = b"".join(b"line %d\n" % n for n in range(20_000))
NOISE = random.Random(7).randbytes(300_000)
ALL = [Compressor.parse(text) for text in ("gzip", "gzip:1", "zstd", "zstd:3", "none")]
every = pytest.mark.parametrize("compressor", ALL, ids=str)


def whole(compressor: Compressor, content: bytes) -> bytes:
    return b"".join(compressor.compress([content]))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", "gzip:6"),
        ("gzip", "gzip:6"),
        ("gzip:12", "gzip:12"),
        ("zstd", "zstd:9"),
        ("zstd:19", "zstd:19"),
        ("none", "none"),
    ],
)
def test_a_compressor_is_a_codec_and_a_level(text: str, meant: str) -> None:
    compressor = Compressor.parse(text)
    assert str(compressor) == meant
    assert Compressor.parse(meant) == compressor


def test_the_default_is_gzip() -> None:
    assert Compressor() == Compressor.parse("")


@pytest.mark.parametrize(
    "text",
    [
        "xz", "GZIP", "gzip:", "gzip:0", "gzip:13", "gzip:-1", "gzip:6 ", "zstd:20", "zstd:0",
        "zstd:999", "none:0", "none:1", "gzip:٣", "gzip\n", "\x1b[2J",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="is no compression of a layer") as caught:
        Compressor.parse(text)
    assert str(caught.value).isprintable()
    assert "zstd:19" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("gzip:1", "5100f24a47aa9f01"),
        ("gzip:6", "e6cffa19a32dd7a4"),
        ("gzip:12", "669d11610a88681b"),
        ("zstd:1", "711c1f921c23ef39"),
        ("zstd:9", "746f8d692ef80b5c"),
        ("zstd:19", "93a8dbb15f730ec0"),
        ("none", "03f557bacdbc8524"),
    ],
)
def test_the_bytes_are_pinned(text: str, digest: str) -> None:
    # A new version of a library may change them: then identity has changed too.
    content = TEXT + bytes(5 * MIB) + NOISE
    made = hashlib.sha256(whole(Compressor.parse(text), content)).hexdigest()
    assert made[:16] == digest


@every
@pytest.mark.parametrize("content", [b"", b"x", bytes(MIB), bytes(4 * MIB + 1), NOISE * 8])
def test_how_the_content_is_cut_does_not_matter(compressor: Compressor, content: bytes) -> None:
    once = list(compressor.compress([content]))
    pieces = [content[n : n + 100_003] for n in range(0, len(content), 100_003)]
    assert list(compressor.compress(pieces)) == once
    assert list(compressor.compress([b"", *pieces, b""])) == once
    blob = b"".join(once)
    assert b"".join(decompress(io.BytesIO(blob), compressor.codec, len(blob))) == content


@every
def test_blocks_side_by_side_give_the_same_bytes(compressor: Compressor) -> None:
    content = (TEXT + NOISE) * 12
    with ThreadPoolExecutor(4) as pool:
        made = b"".join(pool.map(compressor.squeeze, compressor.blocks([content])))
    assert made == whole(compressor, content)


def test_gzip_says_no_time_and_no_name() -> None:
    (member,) = Compressor().compress([TEXT])
    assert member[:8] == b"\x1f\x8b\x08\0\0\0\0\0"


def test_members_are_of_one_mib() -> None:
    members = list(Compressor().compress([bytes(3 * MIB)]))
    assert [len(gzip.decompress(member)) for member in members] == [MIB, MIB, MIB]


def test_frames_of_zstd_carry_a_checksum() -> None:
    blob = whole(Compressor("zstd", 3), TEXT)
    cut = bytearray(blob)
    cut[-1] ^= 1
    with pytest.raises(Exception, match="zstd"):
        list(decompress(io.BytesIO(bytes(cut)), "zstd", len(cut)))


def test_none_is_the_tar_itself() -> None:
    assert whole(Compressor.parse("none"), TEXT + NOISE) == TEXT + NOISE


@every
def test_no_more_than_a_block_is_held(compressor: Compressor) -> None:
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for chunk in itertools.repeat(bytes(MIB), 50):
            taken += 1
            yield chunk

    next(compressor.compress(counted()))
    assert taken <= 5


@every
def test_the_media_type_says_the_codec(compressor: Compressor) -> None:
    assert LAYER_COMPRESSION[compressor.media_type] == compressor.codec


def test_no_two_writers_have_one_identity() -> None:
    names = [compressor.identity for compressor in ALL]
    assert len(set(names)) == len(ALL)


def test_an_identity_names_library_version_level_and_blocks() -> None:
    import deflate
    import zstandard

    assert Compressor().identity == (
        f"libdeflate (deflate {deflate.__version__}), level 6, members of 1 MiB"
    )
    assert Compressor.parse("zstd:3").identity == (
        f"zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))} "
        f"(zstandard {zstandard.__version__}), level 3, frames of 4 MiB"
    )
    assert Compressor.parse("none").identity == "none"
