"""The reproducible tar: sorted, with parents, nothing twice (peers read it in interop)."""

from __future__ import annotations

import hashlib

import pytest
from tests.build.layers import changes, stacked
from tests.build.tree import Shelf, described, entries, flat, tree

from layersmith.errors import UnsafePath
from layersmith.rootfs.entries import Directory, Entry, File, Kind, Meta, Special, Symlink
from layersmith.rootfs.layer import HardLink, Put, Whiteout
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tree import MemoryContents, Root

FILLED = entries(
    {
        "etc/passwd": b"root:x:0:0:\n",
        "home/monty/": Directory(Meta(0o700, 1000, 1000), {}),
        "usr/lib/libx.so": "libx.so.1",
        "usr/lib/libx.so.1": File(Meta(0o755), b"\x7fELF"),
        "usr/lib-x/f": b"",
        "dev/pipe": Special(Meta(0o600), Kind.FIFO),
        "dev/null": Special(Meta(0o666), Kind.CHAR, 1, 3),
    }
)


def packed(listed: dict[str, Entry], mtime: int = 0) -> bytes:
    return b"".join(pack(listed, MemoryContents(), mtime))


def test_the_bytes_are_always_the_same() -> None:
    # Whoever changes this changes every digest: raise _FORMAT in assemble/toplayer.py.
    assert hashlib.sha256(packed(FILLED, 1_700_000_000)).hexdigest() == (
        "70a9491892fab173f6f49a2e4d97dec0da17c725866531825a50536a718d74fd"
    )


def test_entries_are_in_the_order_of_their_bytes_and_once() -> None:
    paths = [change.path for change in changes(packed(FILLED))]
    assert paths == sorted(FILLED, key=str.encode)
    assert len(paths) == len(set(paths))


def test_the_order_of_the_mapping_does_not_matter() -> None:
    assert packed(dict(reversed(FILLED.items()))) == packed(FILLED)


def test_parents_come_before_what_is_in_them() -> None:
    seen: set[str] = {""}
    for change in changes(packed(FILLED)):
        assert change.path.rpartition("/")[0] in seen
        seen.add(change.path)


@pytest.mark.parametrize("parent", [None, File(Meta(0o644), b""), Symlink(Meta(0o777), "b")])
def test_a_path_without_its_parent_is_refused(parent: Entry | None) -> None:
    listed: dict[str, Entry] = {"a/b": File(Meta(0o644), b"")}
    if parent is not None:
        listed["a"] = parent
    with pytest.raises(UnsafePath, match="its parent directory is not in the layer"):
        packed(listed)


@pytest.mark.parametrize("path", [".wh.f", "d/.wh..wh..opq", ".wh.d/f"])
def test_a_path_that_would_delete_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath, match="whiteout"):
        packed(entries({path: b""}))


def test_metadata_is_kept_and_time_is_the_layers() -> None:
    meta = Meta(
        0o4755, 1000, 2_000_000_000, 99, (("security.capability", b"\1\0"), ("user.a", b"=\n"))
    )
    (change,) = changes(packed({"f": File(meta, b"x")}, 1234))
    assert isinstance(change, Put)
    assert change.entry.meta == Meta(0o4755, 1000, 2_000_000_000, 1234, meta.xattrs)


@pytest.mark.parametrize("mtime", [0, 2**33, -1, 253402300799])
def test_any_time_is_written(mtime: int) -> None:
    (change,) = changes(packed({"f": File(Meta(0o644), b"")}, mtime))
    assert isinstance(change, Put)
    assert change.entry.meta.mtime == mtime


@pytest.mark.parametrize(
    "path",
    [
        "n" * 99,
        "n" * 100,
        "n" * 101,
        "n" * 255,
        "p" * 155 + "/" + "n" * 100,
        "p" * 156 + "/" + "n" * 99,
        "p" * 100 + "/" + "q" * 54 + "/" + "n" * 100,
        "p" * 54 + "/" + "q" * 100 + "/" + "n" * 101,
        "/".join(["abc"] * 60),
        "/".join(["abc"] * 700),
        "\N{SNOWMAN}",
        "s/\N{SNOWMAN}" * 50,
        "\udcff\udcfe",
        " ",
        "a\nb=c",
        "-",
    ],
)
def test_any_name_is_written_for_files_links_and_directories(path: str) -> None:
    for entry in (File(Meta(0o644), b"x"), Directory(Meta(0o700), {}), Symlink(Meta(0o777), path)):
        listed = entries({path: entry})
        shown = stacked(packed(listed))
        assert described(shown) == described(Root(tree(listed), MemoryContents()))


@pytest.mark.parametrize(
    "target", ["t" * 100, "t" * 101, "t" * 4000, "\N{SNOWMAN}", "\udcff", "a b"]
)
def test_any_target_of_a_link_is_written(target: str) -> None:
    listed = entries({"l": target})
    assert flat(stacked(packed(listed)).tree) == listed


def test_files_with_one_slice_are_one_inode() -> None:
    shelf = Shelf()
    inode, equal = shelf.file(b"same"), shelf.file(b"same")
    listed = entries(
        {"b": inode, "a/z": inode, "c": equal, "e1": shelf.file(b""), "e2": shelf.file(b"")}
    )
    found = changes(b"".join(pack(listed, shelf, 0)))
    assert [c for c in found if isinstance(c, HardLink)] == [HardLink("b", "a/z")]


def test_a_hard_link_whose_first_name_is_not_shipped_is_a_file() -> None:
    shelf = Shelf()
    inode = shelf.file(b"content")
    shown = stacked(b"".join(pack({"second": inode}, shelf, 0)))
    assert shown.read("second") == b"content"


def test_a_hard_link_to_a_long_name_is_written() -> None:
    shelf = Shelf()
    inode = shelf.file(b"content")
    first, second = "d/" + "n" * 200, "e/" + "m" * 200
    shown = stacked(b"".join(pack(entries({first: inode, second: inode}), shelf, 0)))
    assert shown.read(second) == b"content"


def test_nothing_is_an_archive_too() -> None:
    assert packed({}) == bytes(1024)


@pytest.mark.parametrize("number", [-1, 0o7777777 + 1])
def test_a_device_number_that_no_header_holds_is_refused(number: int) -> None:
    with pytest.raises(UnsafePath, match="device"):
        packed({"d": Special(Meta(0o600), Kind.CHAR, number, 0)})


def test_everything_is_in_whole_blocks() -> None:
    assert all(len(chunk) % 512 == 0 for chunk in pack({}, MemoryContents(), 0))
    assert len(packed(FILLED)) % 512 == 0


def test_what_is_removed_becomes_whiteouts_beside_the_entries() -> None:
    found = changes(b"".join(pack(FILLED, MemoryContents(), 0, {"usr/lib/old", "etc/gone"})))
    assert [c.path for c in found if isinstance(c, Whiteout)] == ["etc/gone", "usr/lib/old"]
    assert {c.path for c in found if isinstance(c, Put)} == set(FILLED)


@pytest.mark.parametrize("path", [".wh.x", "etc/.wh.x", "etc/.wh..wh..opq", "nowhere/x"])
def test_a_removed_path_is_a_plain_one_in_a_directory_of_the_layer(path: str) -> None:
    with pytest.raises(UnsafePath):
        b"".join(pack(FILLED, MemoryContents(), 0, {path}))
