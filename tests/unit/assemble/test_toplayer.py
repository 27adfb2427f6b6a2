"""The new layer: made once, then known by everything that its bytes depend on."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from tests.build.layers import stacked
from tests.build.tree import Shelf, described, entries, tree

from layersmith.assemble.toplayer import make_layer
from layersmith.oci.content import NoProgress
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_LAYER
from layersmith.rootfs.compressor import Compressor
from layersmith.rootfs.entries import Directory, Entry, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.tree import Contents, MemoryContents, Root
from layersmith.stores.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.assemble.outcome import TopLayer

GZIP = Compressor()
FILLED = entries({"usr/bin/x": b"content" * 100_000, "usr/lib/l": "../bin/x", "tmp/": None})


class Reading:
    """Contents that count how often they are asked."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, file: File) -> bytes:
        self.asked += 1
        assert isinstance(file.content, bytes)
        return file.content

    def chunks(self, file: File) -> Iterator[bytes]:
        yield self.read(file)


class Told:
    """A progress that sums."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, task: str, done: int, total: int) -> None:
        assert task == "pack"
        assert total
        self.done += done


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def make(
    cache: Cache,
    listed: dict[str, Entry],
    mtime: int = 0,
    contents: Contents | None = None,
    compressor: Compressor = GZIP,
) -> TopLayer:
    shelf = contents or MemoryContents()
    return make_layer(listed, shelf, mtime, compressor, cache, NoProgress(), "pack")


def test_the_layer_is_in_the_cache_as_both_digests_say(cache: Cache) -> None:
    made = make(cache, FILLED)
    blob = cache.blob_path(Digest(made.digest)).read_bytes()
    tar = gzip.decompress(blob)
    assert (Digest.of(blob), len(blob)) == (made.digest, made.size)
    assert (Digest.of(tar), len(tar)) == (made.diff_id, made.uncompressed)
    assert described(stacked(tar)) == described(Root(tree(FILLED), MemoryContents()))
    assert made.layer.diff_id == made.diff_id
    assert made.layer.descriptor.media_type == f"{OCI_LAYER}+gzip"


def test_every_codec_has_one_diff_id_and_a_type_of_its_own(cache: Cache) -> None:
    made = [
        make(cache, FILLED, compressor=Compressor.parse(codec))
        for codec in ("gzip:6", "gzip:1", "zstd", "none")
    ]
    assert len({layer.diff_id for layer in made}) == 1
    assert len({layer.digest for layer in made}) == len(made)
    types = [layer.layer.descriptor.media_type for layer in made]
    assert types == [f"{OCI_LAYER}+gzip", f"{OCI_LAYER}+gzip", f"{OCI_LAYER}+zstd", OCI_LAYER]
    assert made[-1].digest == made[-1].diff_id
    # The cache tells them apart.
    assert make(cache, FILLED, compressor=Compressor.parse("zstd")) == made[2]
    assert make(cache, FILLED) == made[0]


def test_another_version_of_the_library_is_another_compressor(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = Reading()
    make(cache, FILLED, contents=contents)
    monkeypatch.setattr("deflate.__version__", "99")
    make(cache, FILLED, contents=contents)
    assert contents.asked == 2


def test_the_same_entries_are_packed_once(cache: Cache) -> None:
    contents = Reading()
    first = make(cache, FILLED, contents=contents)
    again = make(cache, dict(reversed(FILLED.items())), contents=contents)
    assert again == first
    assert contents.asked == 1


def test_another_cache_gives_the_same_bytes(cache: Cache, tmp_path: Path) -> None:
    assert make(Cache(tmp_path / "other"), FILLED) == make(cache, FILLED)


@pytest.mark.parametrize("damage", ["rot", "cut", "delete"])
def test_a_layer_that_was_damaged_is_made_again(cache: Cache, damage: str) -> None:
    made = make(cache, FILLED)
    path = cache.blob_path(Digest(made.digest))
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + (b"x" if damage == "rot" else b""))
    assert make(cache, FILLED) == made
    assert cache.intact(made.layer.descriptor)


def entry_of(**changed: object) -> Entry:
    about = {"mode": 0o644, "uid": 1, "gid": 2, "xattrs": (("user.a", b"1"),)} | changed
    return File(Meta(**about), b"content")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        {"f": entry_of(mode=0o645)},
        {"f": entry_of(uid=2)},
        {"f": entry_of(gid=1)},
        {"f": entry_of(xattrs=())},
        {"f": entry_of(xattrs=(("user.a", b"2"),))},
        {"f": entry_of(xattrs=(("user.b", b"1"),))},
        {"g": entry_of()},
        {"f": File(entry_of().meta, b"Content")},
        {"f": File(entry_of().meta, b"")},
        {"f": Symlink(entry_of().meta, "content")},
        {"f": Symlink(entry_of().meta, "other")},
        {"f": Directory(entry_of().meta, {})},
        {"f": Special(entry_of().meta, Kind.FIFO)},
        {"f": Special(entry_of().meta, Kind.CHAR, 1, 3)},
        {"f": Special(entry_of().meta, Kind.CHAR, 1, 4)},
        {"f": entry_of(), "g": entry_of()},
        {},
    ],
)
def test_the_cache_never_takes_one_layer_for_another(cache: Cache, other: dict[str, Entry]) -> None:
    made = make(cache, {"f": entry_of()})
    assert make(cache, other).diff_id != made.diff_id
    assert make(cache, {"f": entry_of()}) == made


def test_another_time_is_another_layer(cache: Cache) -> None:
    assert make(cache, FILLED, 1).diff_id != make(cache, FILLED, 2).diff_id


def test_equal_files_and_linked_files_are_not_the_same_layer(cache: Cache) -> None:
    shelf = Shelf()
    one, two = shelf.file(b"same"), shelf.file(b"same")
    linked = make(cache, {"a": one, "b": one}, contents=shelf)
    apart = make(cache, {"a": one, "b": two}, contents=shelf)
    assert linked.diff_id != apart.diff_id
    assert isinstance(one.content, Slice)


def test_names_of_any_bytes_are_packed(cache: Cache) -> None:
    assert make(cache, entries({"caf\udce9": "\udcff"})).size


def test_progress_counts_every_byte_of_the_tar(cache: Cache) -> None:
    told = Told()
    made = make_layer(FILLED, MemoryContents(), 0, GZIP, cache, told, "pack")
    assert told.done == made.uncompressed


def test_a_failure_leaves_nothing(cache: Cache) -> None:
    class Failing(Reading):
        def chunks(self, file: File) -> Iterator[bytes]:
            yield b"half"
            raise RuntimeError(file)

    with pytest.raises(RuntimeError):
        make(cache, FILLED, contents=Failing())
    assert [path for path in cache.root.rglob("*") if path.is_file()] == []
