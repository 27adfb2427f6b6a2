"""Trees: links are followed as in a chroot, and never out of it."""

from __future__ import annotations

import pytest
from tests.build.tree import root, tree

from layersmith.errors import UnsafeLink
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.tree import (
    EMPTY,
    MAX_HOPS,
    Found,
    MemoryContents,
    Root,
    Tree,
    canonical,
    glob_pattern,
)

MERGED = tree(
    {
        "usr/lib/x": b"x",
        "usr/lib/sub/y": b"y",
        "lib": "usr/lib",
        "usr/lib64": "lib",
        "lib64": "/usr/lib64",
        "up": "../../../usr",
        "usr/lib/back": "../lib/sub/..",
        "dangling": "no/where",
        "self": "self",
        "a": "b",
        "b": "a",
        "file": b"",
        "to-file": "file",
    }
)


def path_of(tree: Tree, path: str) -> str | None:
    found = tree.resolve(path)
    return found.path if found else None


@pytest.mark.parametrize(
    ("path", "canonical_path"),
    [
        ("", ""),
        ("usr//lib/./x", "usr/lib/x"),
        ("/usr/lib/../lib/x", "usr/lib/x"),
        ("../../usr/lib", "usr/lib"),
        ("..", ""),
        ("a/b/../..", ""),
    ],
)
def test_a_path_is_canonical_without_empty_parts_and_dots(path: str, canonical_path: str) -> None:
    assert canonical(path) == canonical_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ""),
        ("/", ""),
        ("..", ""),
        ("/../..", ""),
        ("usr/lib/x", "usr/lib/x"),
        ("/usr/./lib//x", "usr/lib/x"),
        ("lib/x", "usr/lib/x"),
        ("lib64/x", "usr/lib/x"),
        ("lib64", "usr/lib"),
        ("lib/", "usr/lib"),
        ("lib/..", "usr"),
        ("lib64/../..", ""),
        ("up/lib/x", "usr/lib/x"),
        ("usr/lib/back", "usr/lib"),
        ("usr/lib/back/sub/y", "usr/lib/sub/y"),
        ("to-file", "file"),
        ("nothing", None),
        ("lib/nothing", None),
        ("dangling", None),
        ("dangling/x", None),
        ("file/x", None),
        ("file/", None),
        ("file/.", None),
        ("file/..", None),
        ("to-file/..", None),
        ("nothing/..", None),
    ],
)
def test_a_path_leads_where_a_kernel_would_go(path: str, found: str | None) -> None:
    assert path_of(MERGED, path) == found


@pytest.mark.parametrize("path", ["self", "a", "b/x", "self/../x"])
def test_links_in_a_circle_are_an_error(path: str) -> None:
    with pytest.raises(UnsafeLink, match="more than 40 symbolic links"):
        MERGED.resolve(path)


def test_forty_links_are_followed_and_one_more_is_not() -> None:
    chain = {f"l{n}": f"l{n + 1}" for n in range(MAX_HOPS + 1)}
    shown = tree({**chain, f"l{MAX_HOPS + 1}": b"end"})
    assert path_of(shown, "l1") == f"l{MAX_HOPS + 1}"
    with pytest.raises(UnsafeLink):
        shown.resolve("l0")


def test_the_links_on_the_way_are_told() -> None:
    x = MERGED.entry("usr/lib/x")
    assert x is not None
    assert MERGED.resolve("lib64/x") == Found("usr/lib/x", x, ("lib64", "usr/lib64"))
    assert MERGED.resolve("usr/lib/x") == Found("usr/lib/x", x, ())


def test_the_last_link_is_not_followed_where_that_is_asked() -> None:
    found = MERGED.resolve("lib64", follow_last=False)
    assert found is not None
    assert found.entry == Symlink(Meta(0o777), "/usr/lib64")
    inner = MERGED.resolve("up/lib64", follow_last=False)
    assert inner is not None
    assert inner.path == "usr/lib64"


def test_a_long_path_of_links_to_the_place_itself_ends() -> None:
    with pytest.raises(UnsafeLink):
        tree({"d/here": "."}).resolve("d/" + "here/" * 41)


def test_entry_follows_nothing() -> None:
    assert isinstance(MERGED.entry("lib"), Symlink)
    assert MERGED.entry("lib/x") is None
    assert MERGED.entry("file/x") is None
    assert MERGED.entry("") is MERGED.root


def test_lookup_and_listing_follow_links() -> None:
    assert isinstance(MERGED.lookup("lib/x"), File)
    assert set(MERGED.listing("lib64")) == {"x", "sub", "back"}
    assert MERGED.listing("file") == {}
    assert MERGED.listing("nothing") == {}


def test_walk_gives_parents_first_and_names_in_order() -> None:
    shown = tree({"b/y": b"", "b/x/z": b"", "a": "b", "c": b""})
    assert [path for path, _ in shown.walk()] == ["a", "b", "b/x", "b/x/z", "b/y", "c"]
    assert [path for path, _ in shown.walk("b")] == ["b/x", "b/x/z", "b/y"]
    assert list(shown.walk("a")) == []
    assert list(shown.walk("nothing")) == []
    assert list(EMPTY.walk()) == []


def test_a_deep_tree_is_walked_and_resolved() -> None:
    path = "/".join(["d"] * 2000)
    shown = tree({path: b"deep"})
    assert [p for p, _ in shown.walk()][-1] == path
    assert path_of(shown, path) == path


def test_a_root_reads_files_through_links() -> None:
    shown = root({"usr/lib/x": b"content", "lib": "usr/lib", "l": "lib/x"})
    assert shown.read("lib/x") == b"content"
    assert shown.read("/l") == b"content"
    assert shown.read("lib") is None
    assert shown.read("nothing") is None


def test_files_may_carry_their_own_bytes() -> None:
    shown = Root(tree({"f": b"inline"}), MemoryContents())
    assert shown.read("f") == b"inline"
    assert File(Meta(0o644), b"inline").size == 6
    assert File(Meta(0o644), Slice("l", 0, 9, b"")).size == 9


def test_entries_are_values() -> None:
    assert tree({"a/b": b"1"}) == tree({"a/b": b"1", "a/": None})
    assert Special(Meta(0o600), Kind.CHAR, 1, 3) == Special(Meta(0o600), Kind.CHAR, 1, 3)
    with pytest.raises(AttributeError):
        Meta(0o644).mode = 0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Directory(Meta(0o755), {}).children = {}  # type: ignore[misc]


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("usr/lib/x", "usr/lib/x"),
        ("/usr/lib/x", "usr/lib/x"),
        ("usr/lib", "usr/lib/x/y"),
        ("usr/lib/", "usr/lib/x"),
        ("usr/*/x", "usr/lib/x"),
        ("usr/l?b", "usr/lib/anything"),
        ("**/x", "usr/lib/x"),
        ("**/x", "x"),
        ("usr/**/x", "usr/x"),
        ("usr/**/x", "usr/a/b/x"),
        ("usr/**", "usr/a/b/x"),
        ("*.pyc", "deep/down/m.pyc"),
        ("tests", "a/tests/b"),
        ("a+b(c)[d]", "a+b(c)[d]"),
        ("*", "any/thing"),
        ("x*y", "x\ny"),
    ],
)
def test_a_glob_matches(glob: str, path: str) -> None:
    assert glob_pattern(glob).fullmatch(path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("usr/lib", "usr/lib64"),
        ("usr/lib", "lib"),
        ("usr/lib", "x/usr/lib"),
        ("usr/*/x", "usr/a/b/x"),
        ("usr/?", "usr/ab"),
        ("usr/l?b", "usr/l/b"),
        ("*.py", "m.pyc"),
        ("**/x", "yx"),
        ("a.c", "abc"),
        ("[ab]", "a"),
        ("", "a"),
    ],
)
def test_a_glob_does_not_match(glob: str, path: str) -> None:
    assert not glob_pattern(glob).fullmatch(path)
