"""Placing: through the base's links, parents once with the base's modes, nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.layers import changes
from tests.build.tree import Shelf, described, entries, root, tree

from layersmith.errors import RecipeError, UnsafePath
from layersmith.plan.placing import Placing
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Special, Symlink
from layersmith.rootfs.layer import HardLink
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from tests.build.tree import Literal

SHARED = b"the same bytes in both"
BASE: Literal = {
    "usr/lib/": Directory(Meta(0o711, 3, 4), {}),
    "usr/lib/libc.so.6": SHARED,
    "usr/lib/libother.so.1": b"the base's own",
    "usr/lib/liblink.so": "libc.so.6",
    "lib": "usr/lib",
    "lib64": "/usr/lib",
    "tmp/": Directory(Meta(0o1777), {}),
    "broken": "no/where",
    "file": b"",
}
BUILDER: Literal = {
    "usr/lib/libc.so.6": SHARED,
    "usr/lib/libother.so.1": b"the builder's",
    "usr/lib/libffi.so.8.1": b"ffi",
    "usr/lib/libffi.so.8": "libffi.so.8.1",
    "usr/local/": Directory(Meta(0o750, 9, 9), {}),
    "usr/local/bin/python": b"python",
    "usr/local/empty/": Directory(Meta(0o2775, 9, 9), {}),
    "lib/libold.so.1": b"not merged",
    "tmp/x": b"x",
}


def placing(base: Literal = BASE, builder: Literal = BUILDER) -> Placing:
    return Placing(root(base), root(builder))


def paths(placing: Placing) -> list[str]:
    return sorted(placing.entries)


def test_a_file_is_taken_with_all_its_parents() -> None:
    plan = placing()
    plan.take("usr/local/bin/python", "CPython")
    assert paths(plan) == ["usr", "usr/local", "usr/local/bin", "usr/local/bin/python"]
    assert plan.reasons == {"usr/local/bin/python": "CPython"}


def test_parents_have_the_mode_and_owner_of_the_base() -> None:
    plan = placing()
    plan.take("usr/lib/libffi.so.8.1", "x")
    assert plan.entries["usr/lib"] == Directory(Meta(0o711, 3, 4), {})
    plan.take("tmp/x", "x")
    assert plan.entries["tmp"].meta.mode == 0o1777


def test_parents_that_only_the_builder_has_have_its_mode_and_belong_to_root() -> None:
    plan = placing()
    plan.take("usr/local/bin/python", "x")
    assert plan.entries["usr/local"] == Directory(Meta(0o750, 0, 0), {})


def test_parents_that_neither_has_are_plain() -> None:
    plan = placing()
    plan.put("opt/a/b", File(Meta(0o600), b""), "ours")
    assert plan.entries["opt/a"] == Directory(Meta(0o755), {})


@pytest.mark.parametrize("path", ["lib/libold.so.1", "lib64/new.so", "lib/deep/new.so"])
def test_nothing_is_written_through_a_link(path: str) -> None:
    plan = placing()
    plan.put(path, File(Meta(0o644), b""), "x")
    where = "usr/lib/" + path.partition("/")[2]
    assert where in plan.entries
    assert not {"lib", "lib64"} & set(plan.entries)
    assert isinstance(plan.final().entry("lib"), Symlink)
    assert plan.final().lookup(path) == File(Meta(0o644), b"")


def test_a_builder_that_is_not_merged_lands_in_the_merged_base() -> None:
    plan = placing()
    plan.take("lib/libold.so.1", "x")
    assert "usr/lib/libold.so.1" in plan.entries
    assert "lib" not in plan.entries


def test_what_the_base_has_byte_for_byte_is_left_out() -> None:
    plan = placing()
    plan.take("usr/lib/libc.so.6", "x")
    assert plan.entries == {}
    assert plan.provided == ["usr/lib/libc.so.6"]


def test_another_file_of_the_base_is_never_replaced() -> None:
    with pytest.raises(
        RecipeError, match=r"the base has another 'usr/lib/libother\.so\.1'"
    ) as caught:
        placing().take("usr/lib/libother.so.1", "needed by x")
    assert "needed by x" in str(caught.value)
    assert caught.value.hint == "keep the base's with --exclude usr/lib/libother.so.1"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("libc.so.6", "libc.so.6"),
        ("/usr/lib/x", "../lib/x"),
        ("./x", "x"),
        ("../../usr/lib/x", "x"),
    ],
)
def test_a_link_to_the_same_place_is_the_same(ours: str, theirs: str) -> None:
    plan = placing({"usr/lib/l": ours}, {"usr/lib/l": theirs})
    plan.take("usr/lib/l", "x")
    assert plan.provided == ["usr/lib/l"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("x", "y"), ("../x", "x"), ("/x", "x"), ("/usr/lib/x", "/x"), ("../../x", "../x")],
)
def test_a_link_to_another_place_is_another_one(ours: str, theirs: str) -> None:
    with pytest.raises(RecipeError, match="the base has another"):
        placing({"usr/lib/l": ours}, {"usr/lib/l": theirs}).take("usr/lib/l", "x")


def test_a_link_and_a_file_are_not_the_same() -> None:
    with pytest.raises(RecipeError, match="the base has another"):
        placing({"a": "b"}, {"a": b""}).take("a", "x")
    with pytest.raises(RecipeError, match="the base has another"):
        placing({"a/b": b""}, {"a": "b"}).take("a", "x")


def test_taken_files_belong_to_root_and_carry_no_strangers_privilege() -> None:
    shelf = Shelf()
    attributes = (("security.capability", b"\1"), ("user.note", b"2"))
    meta = Meta(0o6777, 7, 8, 99, attributes)
    builder = Root(
        tree({"f": File(meta, shelf.file(b"x").content), "l": Symlink(meta, "f")}), shelf
    )
    plan = Placing(root({}), builder)
    plan.take("f", "x")
    plan.take("l", "x")
    assert plan.entries["f"].meta == Meta(0o755, 0, 0, 0, (("user.note", b"2"),))
    assert plan.entries["l"].meta == Meta(0o777)


def test_directories_and_absent_paths_are_not_taken() -> None:
    plan = placing()
    for path in ("usr", "usr/local/empty", "nothing", "usr/lib/libc.so.6/x"):
        plan.take(path, "x")
    assert plan.entries == {}


def test_an_empty_directory_can_be_kept() -> None:
    plan = placing()
    plan.keep_directory("usr/local/empty", "CPython")
    assert plan.entries["usr/local/empty"] == Directory(Meta(0o2775), {})
    before = dict(plan.entries)
    for path in ("usr/lib", "nothing", "usr/local/bin/python"):
        plan.keep_directory(path, "x")
    assert plan.entries == before


def test_a_file_taken_twice_is_there_once_for_its_first_reason() -> None:
    plan = placing()
    plan.take("usr/local/bin/python", "first")
    plan.take("usr/local/bin/python", "second")
    assert plan.reasons == {"usr/local/bin/python": "first"}


def test_a_path_is_never_there_twice() -> None:
    plan = placing()
    for path in (*BUILDER, "lib/libold.so.1"):
        if path != "usr/lib/libother.so.1":
            plan.take(path.strip("/"), "x")
    found = [
        change.path for change in changes(b"".join(pack(plan.entries, plan.builder.contents, 0)))
    ]
    assert len(found) == len(set(found))
    assert found == sorted(plan.entries, key=str.encode)


def test_two_files_of_the_builder_never_become_one() -> None:
    plan = placing(BASE, {"lib/x": b"1", "usr/lib/x": b"2", "lib/y": SHARED, "usr/lib/y": SHARED})
    plan.take("lib/y", "x")
    plan.take("usr/lib/y", "x")
    plan.take("lib/x", "x")
    with pytest.raises(RecipeError, match="two different files of the builder become 'usr/lib/x'"):
        plan.take("usr/lib/x", "x")


@pytest.mark.parametrize("path", ["file/x", "usr/lib/libc.so.6/x/y", "usr/lib/liblink.so/x"])
def test_nothing_is_placed_below_a_file_of_the_base(path: str) -> None:
    with pytest.raises(UnsafePath, match="which is no directory"):
        placing().put(path, File(Meta(0o644), b""), "x")


def test_nothing_is_placed_through_a_link_to_nothing() -> None:
    with pytest.raises(UnsafePath, match="'broken' is a link to nothing"):
        placing().put("broken/x", File(Meta(0o644), b""), "x")


def test_a_device_is_not_taken() -> None:
    with pytest.raises(UnsafePath, match="only files and links"):
        placing({}, {"null": Special(Meta(0o600), Kind.CHAR, 1, 3)}).take("null", "x")


def test_a_chain_of_links_and_its_target_arrive_together() -> None:
    plan = placing()
    plan.take("usr/lib/libffi.so.8", "needed")
    plan.take("usr/lib/libffi.so.8.1", "needed")
    plan.drop_dangling()
    assert plan.dangling == []
    final = Root(plan.final(), plan.builder.contents)
    assert final.read("lib/libffi.so.8") == b"ffi"


def test_links_whose_target_is_not_shipped_are_dropped() -> None:
    plan = placing({"b/there": b""}, {"a/one": "two", "a/two": "gone", "a/fine": "../b/there"})
    for path in ("a/one", "a/two", "a/fine"):
        plan.take(path, "x")
    plan.drop_dangling()
    assert sorted(plan.dangling) == ["a/one", "a/two"]
    assert paths(plan) == ["a", "a/fine"]
    assert set(plan.reasons) == {"a/fine"}


def test_a_link_to_what_the_base_has_is_kept() -> None:
    plan = placing({"usr/lib/libc.so.6": SHARED}, {"usr/local/lib/libc.so": "../../lib/libc.so.6"})
    plan.take("usr/local/lib/libc.so", "x")
    plan.drop_dangling()
    assert "usr/local/lib/libc.so" in plan.entries


def test_a_hard_link_whose_first_name_is_not_shipped_arrives_as_a_file() -> None:
    shelf = Shelf()
    inode = shelf.file(b"one inode")
    builder = Root(tree({"a": inode, "b": inode, "c": inode}), shelf)
    plan = Placing(root({}), builder)
    for path in ("b", "c"):
        plan.take(path, "x")
    found = changes(b"".join(pack(plan.entries, shelf, 0)))
    assert [change.path for change in found] == ["b", "c"]
    assert found[1] == HardLink("c", "b")


def test_the_final_tree_is_the_base_with_the_layer_on_top() -> None:
    plan = placing({"a/x": b"1", "l": "a"}, {"l/y": b"2"})
    plan.take("l/y", "x")
    shelf_free = {
        path: what[:2]
        for path, what in described(Root(plan.final(), plan.builder.contents)).items()
        if what[0] != "file"
    }
    assert shelf_free == {"a": ("directory", "0o755"), "l": ("link", "a")}
    assert plan.final().entry("a/y") == plan.entries["a/y"]
    assert plan.base.tree.entry("a/y") is None


def test_the_root_itself_is_no_parent() -> None:
    plan = placing({}, {"f": b""})
    plan.take("f", "x")
    assert paths(plan) == ["f"]
    assert entries({"f": b""}).keys() == {"f"}
