"""The laws of trees, layers and tars."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from tests.build.layers import stacked
from tests.build.tree import Shelf
from tests.property.strategies import (
    cut,
    directories,
    few_paths,
    layers,
    listed,
    names,
    puts,
    targets,
    whiteouts,
)

from layersmith.errors import LayerError, UnsafeLink
from layersmith.rootfs.compression import decompress
from layersmith.rootfs.compressor import Compressor
from layersmith.rootfs.entries import Directory, Entry, File, Meta, Slice, Symlink
from layersmith.rootfs.layer import Change, Opaque, Put, Whiteout, overlay, put
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tree import EMPTY, MemoryContents, Tree, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping


def packed(entries: Mapping[str, Entry], mtime: int = 0) -> bytes:
    return b"".join(pack(entries, MemoryContents(), mtime))


def stored(tar: bytes) -> dict[str, Entry]:
    """Return the entries of a layer, the bytes of files in them."""
    root = stacked(tar)
    return {
        path: File(entry.meta, root.contents.read(entry)) if isinstance(entry, File) else entry
        for path, entry in listed(root.tree.root).items()
    }


def tree_of(layers: list[list[Change]]) -> Tree | None:
    """Return what layers make, or None where they are refused."""
    try:
        return overlay(layers)
    except LayerError:
        return None


# tars


@given(directories)
def test_what_is_packed_is_read_back_equal(root: Directory) -> None:
    assert stored(packed(listed(root))) == listed(root)


@given(directories, st.randoms(use_true_random=False))
def test_pack_does_not_depend_on_the_order_of_insertion(
    root: Directory, rng: random.Random
) -> None:
    shuffled = list(listed(root).items())
    rng.shuffle(shuffled)
    assert packed(dict(shuffled)) == packed(listed(root))


@given(directories)
def test_packing_what_was_read_gives_the_same_bytes(root: Directory) -> None:
    once = packed(listed(root))
    read = stacked(once)
    assert b"".join(pack(listed(read.tree.root), read.contents, 0)) == once


@given(st.lists(st.tuples(names, st.integers(0, 3)), max_size=8))
def test_inodes_survive_packing(named: list[tuple[str, int]]) -> None:
    shelf = Shelf()
    inodes = [shelf.file(b"same bytes") for _ in range(4)]
    entries: dict[str, Entry] = {name: inodes[number] for name, number in named}
    tar = b"".join(pack(entries, shelf, 0))
    root = stacked(tar)

    def groups(listed: Mapping[str, Entry]) -> set[frozenset[str]]:
        by_slice: dict[object, set[str]] = {}
        for path, entry in listed.items():
            assert isinstance(entry, File)
            assert isinstance(entry.content, Slice)
            by_slice.setdefault(entry.content.offset, set()).add(path)
        return {frozenset(paths) for paths in by_slice.values()}

    assert groups(listed(root.tree.root)) == groups(entries)
    assert tar.count(b"same bytes") == len({number for _, number in dict(named).items()})


# layers


@given(directories)
def test_overlay_with_no_changes_is_identity(root: Directory) -> None:
    tree = Tree(root)
    assert overlay([], tree) == tree
    assert overlay([[], []], tree) == tree


@given(directories)
def test_overlay_with_what_is_there_is_identity(root: Directory) -> None:
    tree = Tree(root)
    entries = [put(path, entry) for path, entry in sorted(listed(root).items())]
    assert overlay([entries], tree) == tree
    assert overlay([[put("", Directory(root.meta, {})), *entries]]) == tree


@given(layers, layers, layers)
def test_layers_can_be_applied_together_or_one_by_one(
    first: list[Change], second: list[Change], third: list[Change]
) -> None:
    together = tree_of([first, second, third])
    try:
        apart = overlay([third], overlay([second], overlay([first])))
    except LayerError:
        assert together is None
    else:
        assert together == apart


@given(layers, st.lists(puts, max_size=5), st.lists(whiteouts, max_size=3), st.data())
def test_where_whiteouts_stand_in_a_layer_means_nothing(
    lower: list[Change], layer: list[Put], hidden: list[Whiteout | Opaque], data: st.DataObject
) -> None:
    first: list[Change] = [*hidden, *layer]
    places = data.draw(
        st.lists(st.integers(0, len(layer)), min_size=len(hidden), max_size=len(hidden))
    )
    second: list[Change] = list(layer)
    for place, change in sorted(zip(places, hidden, strict=True), key=lambda pair: -pair[0]):
        second.insert(place, change)
    assert tree_of([lower, first]) == tree_of([lower, second])


@given(layers, few_paths, st.binary(max_size=3))
def test_a_layer_that_deletes_and_adds_leaves_the_new_one(
    lower: list[Change], path: str, content: bytes
) -> None:
    new = File(Meta(0o600), content)
    first: list[Change] = [Whiteout(path), put(path, new)]
    for layer in (first, first[::-1]):
        shown = tree_of([lower, layer])
        assert shown is None or shown.lookup(path) == new


@given(layers)
def test_an_opaque_root_hides_everything(lower: list[Change]) -> None:
    shown = tree_of([lower, [Opaque("")]])
    assert shown is None or shown.root.children == {}
    assert (shown is None) == (tree_of([lower]) is None)


@given(layers, layers)
def test_a_lower_tree_is_never_changed(first: list[Change], second: list[Change]) -> None:
    lower = tree_of([first])
    if lower is None:
        return
    before = listed(lower.root)
    with suppress(LayerError):
        overlay([second], lower)
    assert listed(lower.root) == before


# trees


@given(directories, st.lists(targets, max_size=3).map("/".join))
def test_resolve_never_leaves_the_tree(root: Directory, path: str) -> None:
    tree = Tree(root)
    try:
        found = tree.resolve(path)
    except UnsafeLink:
        return
    if found is not None:
        assert found.path == canonical(found.path)
        assert tree.entry(found.path) is found.entry
        assert not isinstance(found.entry, Symlink)
        assert tree.resolve(found.path) == (found.path, found.entry, ())
        assert all(isinstance(tree.entry(link), Symlink) for link in found.links)


@given(layers, few_paths)
def test_a_path_without_links_is_where_it_says(layer: list[Change], path: str) -> None:
    tree = tree_of([layer]) or EMPTY
    entry = tree.entry(path)
    if entry is not None:
        found = tree.resolve(path, follow_last=False)
        assert found is not None
        assert (found.path, found.entry, found.links) == (path, entry, ())


@given(st.text("ab./", max_size=12))
def test_a_canonical_path_is_its_own(path: str) -> None:
    assert canonical(canonical(path)) == canonical(path)
    assert not {"", ".", ".."} & set(canonical(path).split("/")) or canonical(path) == ""


@given(directories)
def test_walk_finds_every_entry_once_and_parents_first(root: Directory) -> None:
    walked = [path for path, _ in Tree(root).walk()]
    assert sorted(walked) == sorted(listed(root))
    seen = {""}
    for path in walked:
        assert path.rpartition("/")[0] in seen
        seen.add(path)


# compression


@given(
    st.data(),
    st.one_of(st.binary(max_size=3000), st.just(bytes(range(256)) * 5000)),
    st.sampled_from([Compressor.parse(codec) for codec in ("gzip", "zstd:1", "none")]),
)
def test_what_is_compressed_is_inflated_again_however_it_is_cut(
    data: st.DataObject, content: bytes, compressor: Compressor
) -> None:
    chunks = list(compressor.compress(data.draw(cut(content))))
    blob = b"".join(chunks)
    assert list(compressor.compress([content])) == chunks
    assert b"".join(decompress(io.BytesIO(blob), compressor.codec, len(blob))) == content
