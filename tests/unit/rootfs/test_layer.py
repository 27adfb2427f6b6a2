"""Layers as changes, and trees from layers (the hostile corpus has the odd ones)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from tests.build.layers import changes, stacked
from tests.build.tar import (
    archive,
    device,
    directory,
    file,
    hard_link,
    long_link,
    long_name,
    pax,
    symlink,
)
from tests.build.tree import described, flat, tree

from layersmith.errors import UnsafeLink, UnsafePath
from layersmith.rootfs.checksum import checksum
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.layer import Change, HardLink, Opaque, Put, Whiteout, overlay, put
from layersmith.rootfs.tree import EMPTY

USR_MERGED = archive(
    directory("usr"),
    directory("usr/lib", mode=0o700),
    file("usr/lib/old", b"old"),
    symlink("lib", "usr/lib"),
)


def test_entries_become_changes() -> None:
    data = archive(
        directory("d", mode=0o700),
        file("d/f", b"content", uid=5),
        symlink("d/s", "f"),
        hard_link("d/h", "d/f"),
        device("d/null", 1, 3),
        file("d/.wh.gone"),
        file("d/.wh..wh..opq"),
    )
    where = Slice("layer", 1024, 7, checksum(b"content"))
    assert changes(data) == [
        put("d", Directory(Meta(0o700), {})),
        put("d/f", File(Meta(0o644, 5, 5), where)),
        put("d/s", Symlink(Meta(0o777), "f")),
        HardLink("d/h", "d/f"),
        put("d/null", Special(Meta(0o600), Kind.CHAR, 1, 3)),
        Whiteout("d/gone"),
        Opaque("d"),
    ]
    assert data[where.offset : where.offset + where.size] == b"content"


def test_times_and_attributes_are_kept() -> None:
    (change,) = changes(archive(pax(("mtime", "7"), ("SCHILY.xattr.user.a", "b")), file("f")))
    assert isinstance(change, Put)
    assert change.entry.meta == Meta(0o644, 0, 0, 7, (("user.a", b"b"),))


def test_equal_metadata_is_one_object() -> None:
    first, second = changes(archive(file("a"), file("b")))
    assert isinstance(first, Put)
    assert isinstance(second, Put)
    assert first.entry.meta is second.entry.meta


def test_a_name_with_the_prefix_inside_is_no_whiteout() -> None:
    assert [c.path for c in changes(archive(file("a.wh.b"), file("x.wh./y")))] == [
        "a.wh.b",
        "x.wh./y",
    ]


def test_an_upper_layer_writes_through_the_links_of_a_lower_one() -> None:
    shown = stacked(USR_MERGED, archive(file("lib/new", b"new"), file("lib/old", b"newer")))
    assert described(shown) == {
        "lib": ("link", "usr/lib"),
        "usr": ("directory", "0o755"),
        "usr/lib": ("directory", "0o700"),
        "usr/lib/new": ("file", "0o644", b"new"),
        "usr/lib/old": ("file", "0o644", b"newer"),
    }


def test_an_upper_directory_replaces_a_lower_link() -> None:
    shown = stacked(USR_MERGED, archive(directory("lib"), file("lib/new", b"new")))
    assert shown.tree.entry("lib") == Directory(Meta(0o755), {"new": shown.tree.entry("lib/new")})  # type: ignore[dict-item]
    assert shown.read("usr/lib/new") is None


def test_a_directory_put_again_gets_its_new_mode_and_keeps_its_children() -> None:
    shown = stacked(USR_MERGED, archive(directory("usr/lib", mode=0o711)))
    assert described(shown)["usr/lib"] == ("directory", "0o711")
    assert shown.read("usr/lib/old") == b"old"


def test_the_root_can_be_given_another_mode() -> None:
    assert stacked(archive(directory(".", mode=0o700), file("f"))).tree.root.meta.mode == 0o700


def test_parents_that_no_layer_has_are_plain() -> None:
    assert described(stacked(archive(file("a/b/c"))))["a/b"] == ("directory", "0o755")


def test_whiteouts_act_on_lower_layers_in_any_order() -> None:
    members = [file(".wh.usr"), directory("usr"), file("usr/new", b"n"), file(".wh.lib")]
    wanted = {"usr": ("directory", "0o755"), "usr/new": ("file", "0o644", b"n")}
    for order in itertools.permutations(members):
        assert described(stacked(USR_MERGED, archive(*order))) == wanted


def test_opaque_directories_hide_lower_layers_in_any_order() -> None:
    members = [directory("usr/lib"), file("usr/lib/.wh..wh..opq"), file("usr/lib/new", b"n")]
    for order in itertools.permutations(members):
        shown = stacked(USR_MERGED, archive(*order))
        assert set(shown.tree.listing("usr/lib")) == {"new"}


def test_a_whiteout_reaches_all_lower_layers() -> None:
    shown = stacked(archive(file("d/a")), archive(file("d/b")), archive(file(".wh.d")))
    assert described(shown) == {}


def test_a_file_deleted_and_put_again_is_the_new_one() -> None:
    shown = stacked(archive(file("f", b"1")), archive(file(".wh.f")), archive(file("f", b"2")))
    assert shown.read("f") == b"2"


def test_hard_links_are_one_inode_across_layers() -> None:
    shown = stacked(archive(file("a", b"x")), archive(hard_link("b", "a"), file("a", b"y")))
    assert (shown.read("a"), shown.read("b")) == (b"y", b"x")
    twins = stacked(archive(file("a", b"x"), hard_link("b", "a"), hard_link("c", "b")))
    assert twins.tree.entry("a") == twins.tree.entry("c")


def test_a_lower_tree_is_never_changed() -> None:
    lower = tree({"d/a": b"1", "d/e/b": b"2", "l": "d"})
    before = flat(lower)
    layer: list[Change] = [
        put("d/e/b", File(Meta(0o600), b"3")),
        Whiteout("d/a"),
        put("l/new", File(Meta(0), b"")),
    ]
    with pytest.raises(UnsafePath):
        overlay([[*layer, put("d/e/b/x", File(Meta(0), b""))]], lower)
    overlay([layer], lower)
    assert flat(lower) == before


def test_layers_share_what_they_do_not_change() -> None:
    lower = tree({"a/x": b"", "b/x": b""})
    upper = overlay([[put("a/y", File(Meta(0o644), b""))]], lower)
    assert upper.entry("b") is lower.entry("b")
    assert upper.entry("a") is not lower.entry("a")


def test_no_layers_and_empty_layers_change_nothing() -> None:
    assert overlay([]) == EMPTY
    lower = tree({"a/x": b""})
    assert overlay([[], [], iter(())], lower) == lower


def test_a_link_that_is_replaced_is_not_followed_any_more() -> None:
    layer = archive(
        *(directory("a"), directory("b"), symlink("l", "a"), file("l/1")),
        *(symlink("l", "b"), file("l/2"), directory("l"), file("l/3")),
    )
    shown = stacked(layer)
    assert set(shown.tree.listing("a")) == {"1"}
    assert set(shown.tree.listing("b")) == {"2"}
    assert set(shown.tree.listing("l")) == {"3"}


def test_forty_links_on_the_way_of_an_entry_are_too_many() -> None:
    fine = archive(directory("d"), symlink("d/l", "."), file("d/" + "l/" * 40 + "f", b"x"))
    assert stacked(fine).read("d/f") == b"x"
    with pytest.raises(UnsafeLink):
        stacked(archive(directory("d"), symlink("d/l", "."), file("d/" + "l/" * 41 + "f")))


def test_deep_paths_take_linear_time() -> None:
    parts = ["d"] * 1900
    base = archive(long_name("/".join(parts[:1000])), directory("d"))
    layer = archive(
        *(
            long_name("/".join([*parts[:1000], str(n), *parts[1001:]])) + file("f")
            for n in range(70)
        )
    )
    started = time.process_time()
    stacked(base, layer)
    assert time.process_time() - started < 5


def test_a_large_directory_that_is_named_again_is_not_copied_again() -> None:
    layer = archive(*(file(f"d/{n}") for n in range(20_000)), directory("d") * 20_000)
    started = time.process_time()
    assert len(stacked(layer).tree.listing("d")) == 20_000
    assert time.process_time() - started < 10


def test_a_directory_named_again_leaves_the_lower_tree_as_it_was() -> None:
    lower = stacked(archive(directory("d", mode=0o700), file("d/x"))).tree
    upper = overlay([changes(archive(directory("d"), directory("d"), file("d/y")))], lower)
    assert sorted(upper.listing("d")) == ["x", "y"]
    assert sorted(lower.listing("d")) == ["x"]
    assert lower.entry("d") is not upper.entry("d")


def test_directories_that_nothing_names_are_bounded() -> None:
    """A name of 4 KiB is small, two thousand directories for each are not."""
    deep = [long_name("/".join((str(n), *"d" * 1000))) + file("f") for n in range(66)]
    for layers in ([archive(*deep)], [archive(one) for one in deep]):
        assert stacked(*layers[:65]) if len(layers) > 1 else True
        with pytest.raises(UnsafePath, match="too many directories that no entry names"):
            stacked(*layers)


LONG_WAY = [
    directory("a"),
    directory("l0"),
    file("l0/f"),
    *(long_link("a/../" * 800 + f"l{n - 1}") + symlink(f"l{n}", "x") for n in range(1, 40)),
]


@pytest.mark.parametrize(
    "entry",
    [lambda n: hard_link(f"h{n}", "l39/f"), lambda n: file(f"l39/{n}") + directory("x")],
    ids=["hard links", "parents"],
)
def test_few_entries_cannot_lead_us_far(entry: Callable[[int], bytes]) -> None:
    started = time.process_time()
    with pytest.raises(UnsafeLink, match="too long ways"):
        stacked(archive(*LONG_WAY, *(entry(n) for n in range(5000))))
    assert time.process_time() - started < 30
