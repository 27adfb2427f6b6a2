"""Looking after a cache: least recently used first, every byte checked, nothing in the way."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from tests.build.image import AMD64, HELLO, Made, descriptor
from tests.build.layers import pack_index
from tests.build.tar import archive, file
from tests.fakes.memory import Memory

from layersmith.errors import OutputError
from layersmith.oci.content import NoProgress
from layersmith.oci.digest import Digest
from layersmith.oci.image import load, select
from layersmith.rootfs.entries import File
from layersmith.rootfs.layer import Put
from layersmith.stores.cache import Cache, CachedSource
from layersmith.stores.files import appearing
from layersmith.stores.layers import LayerStore
from layersmith.stores.upkeep import Item, items, prune, verify

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = (HELLO, archive(file("big", b"x" * 100_000)))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache with two blobs, two layers and three memos."""
    memory, cache = Memory(), Cache(tmp_path / "cache")
    memory.tag("t", Made(LAYERS).put(memory))
    source = CachedSource(memory, cache)
    store = LayerStore(cache, NoProgress())
    for layer in select(memory, load(memory, "t"), AMD64).layers:
        store.changes(source, layer, keep_blob=True)
    cache.remember("question", b"answer")
    return cache


def used(item: Item, ago: float) -> None:
    for path in item.paths:
        os.utime(path, (time.time() - ago,) * 2)


def kinds(cache: Cache) -> list[str]:
    return sorted(item.kind for item in items(cache))


def faults(cache: Cache) -> list[str]:
    return [fault for _, fault in verify(cache) if fault]


def leftover(cache: Cache, ago: float) -> Path:
    path = cache.root / "blobs" / "sha256" / ".new-abcdefgh"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - ago,) * 2)
    return path


def test_everything_is_listed(cache: Cache) -> None:
    assert kinds(cache) == ["blob"] * 2 + ["layer"] * 2 + ["memo"] * 3
    total = sum(path.stat().st_size for path in cache.root.rglob("*") if path.is_file())
    assert sum(item.size for item in items(cache)) == total


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "none")
    assert (items(cache), prune(cache, 0), list(verify(cache))) == ([], [], [])
    assert not (tmp_path / "none").exists()


def test_what_was_not_used_for_longest_goes_first(cache: Cache) -> None:
    found = items(cache)
    for age, item in enumerate(found):
        used(item, 1000 * (age + 1))
    oldest = items(cache)
    assert [i.name for i in oldest] == [i.name for i in reversed(found)]
    rest = sum(item.size for item in oldest[2:])
    assert [i.name for i in prune(cache, rest)] == [i.name for i in oldest[:2]]
    assert sum(item.size for item in items(cache)) == rest


def test_reading_is_using(cache: Cache) -> None:
    for item in items(cache):
        used(item, 10_000)
    blob = next(item for item in items(cache) if item.kind == "blob")
    size = blob.paths[0].stat().st_size
    wanted = descriptor(blob.paths[0].read_bytes())
    assert wanted.size == size
    assert cache.intact(wanted)
    assert cache.recall("question") == b"answer"
    assert {item.kind for item in items(cache)[-2:]} == {"blob", "memo"}
    assert time.time() - items(cache)[-1].used < 60


def test_all_can_go_and_no_empty_directories_of_layers_stay(cache: Cache) -> None:
    prune(cache, 0)
    assert items(cache) == []
    assert list((cache.root / "layers").iterdir()) == []


def test_what_a_dead_process_left_goes_and_what_is_being_written_stays(cache: Cache) -> None:
    place = cache.root / "blobs" / "sha256"
    with appearing(place / "x") as new:
        new.write(b"half")
        (place / ".new-deadbeef").write_bytes(b"half")
        assert kinds(cache).count("leftover") == 2
        assert [item.name for item in prune(cache, 1 << 40)] == [".new-deadbeef"]
        (place / ".new-deadbeef").write_bytes(b"half")
        assert faults(cache) == ["left behind"]
        assert kinds(cache).count("leftover") == 1
    assert (place / "x").read_bytes() == b"half"


def test_where_there_are_no_locks_leftovers_go_when_they_are_old(
    cache: Cache, no_locks: None
) -> None:
    young = leftover(cache, 3600)
    assert prune(cache, 1 << 40) == []
    assert faults(cache) == []
    assert young.exists()
    leftover(cache, 90_000)
    assert [item.kind for item in prune(cache, 1 << 40)] == ["leftover"]
    leftover(cache, 90_000)
    assert faults(cache) == ["left behind"]
    assert not young.exists()


def half_a_layer(cache: Cache) -> Path:
    index = next((cache.root / "layers").glob("*/index"))
    index.unlink()
    assert "leftover" in kinds(cache)
    return index.parent


def test_half_a_layer_is_a_leftover(cache: Cache) -> None:
    folder = half_a_layer(cache)
    with cache.turns.taken(f"layer-{folder.name}", 1):
        assert faults(cache) == []
        assert prune(cache, 0)
        assert (folder / "tar").exists()
    assert faults(cache) == ["left behind"]
    assert not folder.exists()


def test_half_a_layer_stays_for_a_day_where_there_are_no_locks(
    cache: Cache, no_locks: None
) -> None:
    folder = half_a_layer(cache)
    assert faults(cache) == []
    os.utime(folder / "tar", (time.time() - 90_000,) * 2)
    assert faults(cache) == ["left behind"]
    assert not folder.exists()


def test_locks_and_directories_of_the_dead_go(cache: Cache) -> None:
    (cache.root / "turns" / "blob-of-the-dead").write_bytes(b"")
    (cache.root / "layers" / "empty").mkdir()
    with cache.turns.taken("blob-of-the-living", 1):
        assert [item.name for item in prune(cache, 1 << 40)] == ["blob-of-the-dead"]
        assert (cache.root / "turns" / "blob-of-the-living").exists()
    assert not (cache.root / "layers" / "empty").exists()
    assert list((cache.root / "turns").iterdir()) == []


@pytest.mark.parametrize("name", ["turns", "memo", "layers", "blobs", "blobs/md5", "layers/x"])
def test_links_to_other_places_are_not_followed(cache: Cache, tmp_path: Path, name: str) -> None:
    precious = tmp_path / "home" / "sha256" / "thesis"
    precious.parent.mkdir(parents=True)
    precious.write_text("years")
    place = cache.root / name
    if place.exists():
        shutil.rmtree(place)
    place.symlink_to(tmp_path / "home")
    place.with_name("other").symlink_to(precious.parent)
    list(verify(cache))
    prune(cache, 0)
    assert precious.read_text() == "years"


def test_a_whole_cache_has_no_faults(cache: Cache) -> None:
    assert [fault for _, fault in verify(cache)] == [""] * 7
    assert len(items(cache)) == 7


@pytest.mark.parametrize("number", range(9))
def test_every_file_that_rots_is_found_and_removed(cache: Cache, number: int) -> None:
    path = sorted(p for p in cache.root.rglob("*") if p.is_file())[number]
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert len(faults(cache)) == 1
    assert not path.exists()
    assert faults(cache) == []


def test_an_index_that_says_something_else_is_found(cache: Cache) -> None:
    index = next(
        path for path in (cache.root / "layers").glob("*/index")
        if path.parent.name == Digest.of(HELLO).encoded
    )  # fmt: skip
    index.write_bytes(pack_index(len(HELLO), []))
    assert faults(cache) == ["its index says something else"]


def test_a_strange_file_is_removed(cache: Cache) -> None:
    (cache.root / "blobs/sha256/strange").write_bytes(b"x")
    assert faults(cache) == ["its name is no digest"]


def test_a_file_in_use_survives_to_its_end(cache: Cache) -> None:
    blob = max((i for i in items(cache) if i.kind == "blob"), key=lambda item: item.size)
    data = blob.paths[0].read_bytes()
    with cache.open(descriptor(data)) as stream:
        first = stream.read(10)
        prune(cache, 0)
        assert first + stream.read() == data


def test_what_is_held_is_not_lost(cache: Cache) -> None:
    blob = next(item for item in items(cache) if item.kind == "blob")
    data = blob.paths[0].read_bytes()
    assert cache.hold(descriptor(data))
    prune(cache, 0)
    with cache.open(descriptor(data)) as stream:
        assert stream.read() == data
    assert not cache.hold(descriptor(b"never"))


def test_a_layer_that_is_read_survives(tmp_path: Path) -> None:
    memory, cache = Memory(), Cache(tmp_path / "cache")
    memory.tag("t", Made(LAYERS).put(memory))
    store = LayerStore(cache, NoProgress())
    (_, layer) = select(memory, load(memory, "t"), AMD64).layers
    changes = store.changes(CachedSource(memory, cache), layer, keep_blob=False)
    entries = [change.entry for change in changes if isinstance(change, Put)]
    (big,) = [entry for entry in entries if isinstance(entry, File)]
    pieces = store.chunks(big)
    first = next(pieces)
    prune(cache, 0)
    assert first + b"".join(pieces) == b"x" * 100_000


def test_what_cannot_be_read_is_one_of_our_errors(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    cache.root.parent.mkdir(parents=True)
    cache.root.symlink_to(cache.root.name)
    with pytest.raises(OutputError, match="reading the cache"):
        items(cache)
