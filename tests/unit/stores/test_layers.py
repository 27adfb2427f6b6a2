"""Layers of the cache: read once, then known, and verified to the last byte."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from tests.build.image import compressed, descriptor, put
from tests.build.layers import changes
from tests.build.tar import archive, directory, file, hard_link
from tests.fakes.memory import Memory

from layersmith.errors import (
    DigestMismatch,
    LayerError,
    MalformedTar,
    VerificationError,
)
from layersmith.oci.content import NoProgress
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_LAYER
from layersmith.oci.image import Layer
from layersmith.rootfs.entries import File, Meta, Slice
from layersmith.rootfs.layer import Change, Put, overlay
from layersmith.rootfs.tree import Root
from layersmith.stores.cache import Cache, CachedSource
from layersmith.stores.layers import CacheDamagedError, LayerStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BIG = bytes(range(256)) * 10_000
TAR = archive(directory("d"), file("d/f", b"content"), file("d/big", BIG), hard_link("h", "d/f"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def store(cache: Cache) -> Iterator[LayerStore]:
    store = LayerStore(cache, NoProgress())
    yield store
    store.close()


@pytest.fixture
def memory() -> Memory:
    return Memory()


def layer_of(memory: Memory, tar: bytes = TAR, compression: str = "gzip") -> Layer:
    suffix = "" if compression == "none" else f"+{compression}"
    blob = put(memory, compressed(tar, compression), OCI_LAYER + suffix)
    return Layer(blob, Digest.of(tar))


def read(
    store: LayerStore, cache: Cache, memory: Memory, layer: Layer, *, keep_blob: bool = False
) -> list[Change]:
    return store.changes(CachedSource(memory, cache), layer, keep_blob=keep_blob)


def kept(cache: Cache) -> list[str]:
    """Name what is kept of contents; answers to questions are small and harmless."""
    found = (p.relative_to(cache.root).as_posix() for p in cache.root.rglob("*") if p.is_file())
    return sorted(path for path in found if not path.startswith("memo/"))


def a_file(found: list[Change], path: str) -> File:
    (change,) = [c for c in found if isinstance(c, Put) and c.path == path]
    assert isinstance(change.entry, File)
    return change.entry


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("keep_blob", [True, False])
def test_a_layer_is_fetched_once(
    store: LayerStore, cache: Cache, memory: Memory, compression: str, *, keep_blob: bool
) -> None:
    layer = layer_of(memory, compression=compression)
    first = read(store, cache, memory, layer, keep_blob=keep_blob)
    assert first == changes(TAR, layer.diff_id)
    assert read(LayerStore(cache, NoProgress()), cache, memory, layer) == first
    assert memory.asked("open") == [layer.descriptor.digest]
    assert cache.has(layer.descriptor) == keep_blob
    diff_id = layer.diff_id.encoded
    assert set(kept(cache)) >= {f"layers/{diff_id}/index", f"layers/{diff_id}/tar"}


def test_files_are_read_from_the_cache(store: LayerStore, cache: Cache, memory: Memory) -> None:
    root = Root(overlay([read(store, cache, memory, layer_of(memory))]), store)
    assert root.read("d/f") == b"content"
    assert root.read("h") == b"content"
    assert root.read("d/big") == BIG
    assert store.read(File(Meta(0o644), b"inline")) == b"inline"


def test_big_files_come_in_bounded_pieces(store: LayerStore, cache: Cache, memory: Memory) -> None:
    found = read(store, cache, memory, layer_of(memory))
    pieces = list(store.chunks(a_file(found, "d/big")))
    assert b"".join(pieces) == BIG
    assert max(map(len, pieces)) <= 1 << 20


def test_an_empty_file_is_empty(store: LayerStore, cache: Cache, memory: Memory) -> None:
    found = read(store, cache, memory, layer_of(memory, archive(file("empty"))))
    assert store.read(a_file(found, "empty")) == b""


def test_a_layer_that_is_not_its_diff_id_is_refused(
    store: LayerStore, cache: Cache, memory: Memory
) -> None:
    layer = Layer(layer_of(memory).descriptor, Digest.of(b"another"))
    with pytest.raises(DigestMismatch, match="the uncompressed layer") as caught:
        read(store, cache, memory, layer)
    assert str(caught.value).startswith(f"reading layer {layer.descriptor.digest} of memory: ")
    assert kept(cache) == []


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("at", [0, 30, -1])
def test_damaged_bytes_are_called_that_and_not_a_broken_layer(
    store: LayerStore, cache: Cache, memory: Memory, compression: str, at: int
) -> None:
    layer = layer_of(memory, compression=compression)
    blob = bytearray(memory.blobs[layer.descriptor.digest])
    blob[at] ^= 1
    memory.blobs[layer.descriptor.digest] = bytes(blob)
    with pytest.raises(DigestMismatch):
        read(store, cache, memory, layer)
    assert kept(cache) == []


@pytest.mark.parametrize(
    ("blob", "error"),
    [
        (compressed(TAR, "gzip")[:-9], LayerError),
        (compressed(TAR, "gzip") + b"garbage", LayerError),
        (compressed(TAR[:1000], "gzip"), MalformedTar),
        (compressed(TAR + b"x", "gzip"), MalformedTar),
        (b"", LayerError),
    ],
)
def test_a_broken_layer_is_refused_and_not_kept(
    store: LayerStore, cache: Cache, memory: Memory, blob: bytes, error: type[LayerError]
) -> None:
    layer = Layer(put(memory, blob, f"{OCI_LAYER}+gzip"), Digest.of(TAR))
    with pytest.raises(error):
        read(store, cache, memory, layer)
    assert kept(cache) == []


def test_what_follows_the_end_marker_counts_for_the_diff_id(
    store: LayerStore, cache: Cache, memory: Memory
) -> None:
    padded = TAR + bytes(100_000)
    assert read(store, cache, memory, layer_of(memory, padded))
    with pytest.raises(DigestMismatch):
        read(
            store,
            cache,
            memory,
            Layer(layer_of(memory, TAR + bytes(512)).descriptor, Digest.of(TAR)),
        )


# damage in the cache


def damage(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("part", ["index", "tar"])
def test_a_part_that_is_missing_is_made_again(
    store: LayerStore, cache: Cache, memory: Memory, part: str
) -> None:
    layer = layer_of(memory)
    first = read(store, cache, memory, layer)
    cache.layer_path(layer.diff_id, part).unlink()
    assert read(store, cache, memory, layer) == first
    assert len(memory.asked("open")) == 2
    assert store.read(a_file(first, "d/f")) == b"content"


@pytest.mark.parametrize("part", ["index", "tar"])
def test_a_part_that_was_cut_is_made_again(
    store: LayerStore, cache: Cache, memory: Memory, part: str
) -> None:
    layer = layer_of(memory)
    first = read(store, cache, memory, layer)
    path = cache.layer_path(layer.diff_id, part)
    path.write_bytes(path.read_bytes()[:-1])
    assert read(store, cache, memory, layer) == first
    assert len(memory.asked("open")) == 2


def test_a_rotten_index_is_made_again(store: LayerStore, cache: Cache, memory: Memory) -> None:
    layer = layer_of(memory)
    first = read(store, cache, memory, layer)
    damage(cache.layer_path(layer.diff_id, "index"))
    assert read(store, cache, memory, layer) == first
    assert len(memory.asked("open")) == 2


@pytest.mark.parametrize("path", ["d/f", "d/big"])
def test_rotten_contents_are_noticed_dropped_and_fetched_again(
    store: LayerStore, cache: Cache, memory: Memory, path: str
) -> None:
    layer = layer_of(memory)
    wanted = a_file(read(store, cache, memory, layer), path)
    good = store.read(wanted)
    assert isinstance(wanted.content, Slice)
    damage(cache.layer_path(layer.diff_id, "tar"), wanted.content.offset)
    with pytest.raises(CacheDamagedError, match="it was dropped") as caught:
        store.read(wanted)
    assert caught.value.hint
    assert kept(cache) == []
    read(store, cache, memory, layer)
    assert store.read(wanted) == good


def test_rotten_contents_never_come_to_their_end(
    store: LayerStore, cache: Cache, memory: Memory
) -> None:
    layer = layer_of(memory)
    wanted = a_file(read(store, cache, memory, layer), "d/big")
    assert isinstance(wanted.content, Slice)
    damage(cache.layer_path(layer.diff_id, "tar"), wanted.content.offset)
    given: list[bytes] = []
    with pytest.raises(CacheDamagedError):
        given.extend(store.chunks(wanted))
    assert sum(map(len, given)) < len(BIG)


def test_a_tar_cut_while_it_is_open_is_noticed(
    store: LayerStore, cache: Cache, memory: Memory
) -> None:
    layer = layer_of(memory)
    wanted = a_file(read(store, cache, memory, layer), "d/big")
    store.read(wanted)
    os.truncate(cache.layer_path(layer.diff_id, "tar"), 1 << 20)
    with pytest.raises(CacheDamagedError):
        store.read(wanted)


def test_contents_of_a_layer_that_is_gone_are_an_error(store: LayerStore) -> None:
    gone = Slice(Digest.of(b"gone"), 0, 1, b"")
    with pytest.raises(CacheDamagedError, match="damaged"):
        store.read(File(Meta(0o644), gone))


def test_what_another_process_mended_meanwhile_is_not_dropped(
    store: LayerStore, cache: Cache, memory: Memory
) -> None:
    layer = layer_of(memory)
    wanted = a_file(read(store, cache, memory, layer), "d/f")
    assert isinstance(wanted.content, Slice)
    damage(cache.layer_path(layer.diff_id, "tar"), wanted.content.offset)
    cache.layer_path(layer.diff_id, "tar").unlink()
    read(LayerStore(cache, NoProgress()), cache, memory, layer)
    with pytest.raises(CacheDamagedError):
        store.read(wanted)
    assert len(kept(cache)) == 2
    assert store.read(wanted) == b"content"


def test_progress_counts_the_uncompressed_bytes(cache: Cache, memory: Memory) -> None:
    class Summing:
        def __init__(self) -> None:
            self.done = 0

        def advance(self, task: str, done: int, total: int) -> None:
            assert task
            assert total >= 0
            self.done += done

    progress = Summing()
    read(LayerStore(cache, progress), cache, memory, layer_of(memory))
    assert progress.done == len(TAR)


def test_a_descriptor_of_an_uncompressed_layer_is_its_diff_id(memory: Memory) -> None:
    assert layer_of(memory, compression="none").descriptor == descriptor(TAR)


def test_another_blob_that_claims_a_known_layer_is_read_before_it_is_believed(
    store: LayerStore, cache: Cache, memory: Memory
) -> None:
    layer = layer_of(memory)
    read(store, cache, memory, layer)
    evil = gzip.compress(b"evil", mtime=0)
    digest = Digest.of(evil)
    memory.blobs[digest] = evil
    lie = replace(
        layer, descriptor=structs.replace(layer.descriptor, digest=digest, size=len(evil))
    )
    with pytest.raises((LayerError, VerificationError)):
        read(store, cache, memory, lie)
