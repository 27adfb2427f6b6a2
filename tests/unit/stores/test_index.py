"""The index of a layer: what was packed comes back, and nothing else does."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from tests.build.hostile import CASES
from tests.build.layers import changes, pack_index

from layersmith.rootfs.entries import Directory, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.layer import Change, HardLink, Opaque, Put, Whiteout, put
from layersmith.stores.index import unpack_index

META = Meta(0o4755, 1000, 65532, -5, (("user.\udcff", b"\0\xff"), ("user.b", b"")))
ALL: list[Change] = [
    put("", Directory(META, {})),
    put("d", Directory(META, {})),
    put("d/caf\udce9\n", File(META, Slice("diff", 512, 2**40, hashlib.sha256(b"").digest()))),
    put("d/l", Symlink(META, "../\udcff")),
    put("d/c", Special(META, Kind.CHAR, 1, 3)),
    put("d/b", Special(META, Kind.BLOCK, 8, 0)),
    put("d/p", Special(META, Kind.FIFO)),
    HardLink("d/h", "d/\udce9"),
    Whiteout("d/gone"),
    Opaque(""),
]


def test_all_changes_come_back_equal() -> None:
    assert unpack_index(pack_index(12345, ALL), "diff") == (12345, ALL)


def test_no_changes_come_back_too() -> None:
    assert unpack_index(pack_index(0, []), "diff") == (0, [])


def test_real_layers_come_back_equal() -> None:
    for case in CASES:
        if case.is_accepted:
            for data in case.layers:
                found = changes(data, "diff")
                assert unpack_index(pack_index(len(data), found), "diff") == (len(data), found)


def test_equal_metadata_is_one_object() -> None:
    unpacked = unpack_index(pack_index(0, ALL), "diff")
    assert unpacked is not None
    metas = {id(change.entry.meta) for change in unpacked[1] if isinstance(change, Put)}
    assert len(metas) == 1


def test_files_are_slices_of_the_layer_that_is_asked_for() -> None:
    unpacked = unpack_index(pack_index(0, ALL[2:3]), "other")
    assert unpacked is not None
    (change,) = unpacked[1]
    assert isinstance(change, Put)
    assert isinstance(change.entry, File)
    assert isinstance(change.entry.content, Slice)
    assert change.entry.content.layer == "other"


def test_every_damaged_byte_is_noticed() -> None:
    good = pack_index(12345, ALL)
    for at in range(len(good)):
        assert unpack_index(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], "diff") is None
    for end in range(0, len(good), 7):
        assert unpack_index(good[:end], "diff") is None
    assert unpack_index(good + b"x", "diff") is None
    assert unpack_index(b"", "diff") is None


@pytest.mark.parametrize(
    "batch",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(7),
        msgspec.msgpack.encode([["0"]]),
        msgspec.msgpack.encode([["?", b"path"]]),
        msgspec.msgpack.encode([[0, b"path"]]),
        msgspec.msgpack.encode([["0", b"path", "mode"]]),
    ],
)
def test_an_index_of_another_shape_is_none(batch: bytes) -> None:
    body = bytes(8) + len(batch).to_bytes(8, "big") + batch
    assert unpack_index(_index(body), "diff") is None


@pytest.mark.parametrize("body", [bytes(8) + b"x", bytes(15) + b"\x01", bytes(15) + b"\x02\x90"])
def test_a_batch_that_is_cut_is_none(body: bytes) -> None:
    assert unpack_index(_index(bytes(8)), "diff") == (0, [])
    assert unpack_index(_index(body), "diff") is None


def _index(body: bytes) -> bytes:
    magic = pack_index(0, []).partition(b"\n")[0] + b"\n"
    return magic + body + hashlib.sha256(body).digest()


def test_many_changes_come_back_in_their_order() -> None:
    many: list[Change] = [put(f"d/{n}", Symlink(META, str(n))) for n in range(10_000)]
    unpacked = unpack_index(pack_index(1, many), "diff")
    assert unpacked == (1, many)
    folders = {id(change.folder) for change in unpacked[1] if isinstance(change, Put)}
    assert len(folders) == 1


def test_an_index_of_another_version_is_none() -> None:
    good = pack_index(0, [])
    assert good.startswith(b"layersmith index 4\n")
    assert unpack_index(good.replace(b"index 4", b"index 3"), "diff") is None
