"""Layers: the tar inside, and the framing around it."""

from __future__ import annotations

import gzip
import io
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

import zstandard
from tests.build.corpus import CASES, FRAMES
from tests.build.layers import changes, pack_index, stacked
from tests.build.mutants import WHOLE, random_layers
from tests.build.streams import Dribble
from tests.build.tar import BLOCK
from tests.build.tree import described
from tests.fuzz.target import Target, parted, refused, seamed

from layersmith.errors import LayersmithError
from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.entries import Directory
from layersmith.rootfs.layer import Change, read_layer
from layersmith.rootfs.pack import pack
from layersmith.stores.index import unpack_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.rootfs.tree import Root

_PIECE = 37  # no divisor of anything
_SMALL = 3  # not even a magic number
_MOST = 1 << 22  # what both readers of a stream are compared on


def mended(data: bytes) -> bytes:
    """Return an archive with the checksums that its headers should have."""
    whole = bytearray(data)
    for at in range(0, len(data) - BLOCK + 1, BLOCK):
        if data[at + 257 : at + 262] == b"ustar":
            whole[at + 148 : at + 156] = b" " * 8
            whole[at + 148 : at + 156] = b"%06o\0 " % sum(whole[at : at + BLOCK])
    return bytes(whole)


def _tar(data: bytes) -> None:
    for archive in dict.fromkeys((data, mended(data))):
        in_pieces = partial(_changes, Dribble(archive, _PIECE))
        if refused(partial(changes, archive)):
            assert refused(in_pieces)
        else:
            assert in_pieces() == changes(archive)
            refused(partial(_layer, archive))


def _changes(stream: Dribble) -> list[Change]:
    return list(read_layer(stream, "layer"))


def _layer(archive: bytes) -> None:
    """Hold what was read against its index, and the tree against the tar that we would write."""
    found = changes(archive)
    assert unpack_index(pack_index(len(archive), found), "layer") == (len(archive), found)
    assert unpack_index(archive, "layer") is None
    _check_packed(stacked(archive))


def _check_packed(root: Root) -> None:
    """Read what is written of a file system: it is the same."""
    entries = {
        path: Directory(entry.meta, {}) if isinstance(entry, Directory) else entry
        for path, entry in root.tree.walk()
    }
    again = stacked(b"".join(pack(entries, root.contents, 0)))
    assert described(again) == described(root)


def _layers(data: bytes) -> None:
    """Lay three layers over each other."""
    layers = [mended(layer) for layer in parted(data, 3)]
    _check_packed(stacked(*layers))


def _stacks() -> Iterator[bytes]:
    for case in CASES:
        if 1 < len(case.layers) < 4:
            yield seamed(*case.layers)
    for number in range(60):
        yield seamed(*random_layers(Random(number)))


def _tars() -> Iterator[bytes]:
    yield from WHOLE
    for case in CASES:
        yield from case.layers


def _inflated(data: bytes, compression: str) -> bytes | None:
    """Return what comes out, whole and in pieces; None for what is refused, or too much."""
    found: list[bytes | None] = []
    for stream in (io.BytesIO(data), Dribble(data, _SMALL)):
        pieces = decompress(stream, compression, len(data))
        try:
            out = b"".join(_bounded(pieces))
        except LayersmithError:
            found.append(None)
        else:
            found.append(out)
    if any(out is not None and len(out) == _MOST for out in found):
        return None  # an error behind that may be met by one and not the other
    assert found[0] == found[1]
    return found[0]


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    left = _MOST
    while left > 0 and (piece := next(pieces, None)) is not None:
        yield piece[:left]
        left -= len(piece)


def _gzip(data: bytes) -> None:
    found = _inflated(data, "gzip")
    if found is not None:
        assert found == gzip.decompress(data), "another reader reads something else"
        stream = PieceReader(decompress(io.BytesIO(data), "gzip", len(data)))
        refused(lambda: list(read_layer(stream, "layer")))


def _zstd(data: bytes) -> None:
    found = _inflated(data, "zstd")
    if found is not None:
        other = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True)
        assert found == other.read(), "another reader reads something else"


def _frames(compression: str) -> list[bytes]:
    return [frame.blob for frame in FRAMES if frame.compression == compression]


TARGETS: Final = (
    Target(
        "tar",
        _tar,
        _tars,
        ("rootfs.tar", "rootfs.tarheader", "rootfs.pax", "rootfs.layer", "stores.index"),
        (b"ustar\x0000", b"ustar  \0", b"path=", b"size=", b"SCHILY.xattr.", b".wh.", b"/../", *[b"%d" % n for n in range(8)]),
    ),
    Target(
        "layers",
        _layers,
        _stacks,
        ("rootfs.layer",),
        (b".wh.", b".wh..wh..opq", b"\n%%\n", b"d/", b"../", b"ustar\x0000"),
        16384,
    ),
    Target(
        "gzip",
        _gzip,
        lambda: _frames("gzip"),
        ("rootfs.compression", "rootfs.gzipheader"),
        (b"\x1f\x8b\x08", b"\x00\x00\xff\xff", b"\x03\x00"),
    ),
    Target(
        "zstd",
        _zstd,
        lambda: _frames("zstd"),
        ("rootfs.compression", "rootfs.gzipheader"),
        (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"),
    ),
)  # fmt: skip
