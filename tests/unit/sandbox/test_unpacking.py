"""Unpacking: all of the tree, nothing beside it, and the access that the image's user has."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.build.corpus import CASES, Case
from tests.build.layers import stacked
from tests.build.tar import archive, directory, file, long_name, symlink
from tests.build.tree import Shelf, root, tree

from layersmith.errors import LayerError, UnsafePath
from layersmith.rootfs.entries import Directory, File, Kind, Meta, Special, Symlink
from layersmith.rootfs.tree import MemoryContents, Root, Tree
from layersmith.sandbox import unpacking
from layersmith.sandbox.task import Ids
from layersmith.sandbox.unpacking import MAX_DEPTH, size_of, unpack

if TYPE_CHECKING:
    from tests.build.tree import Literal

    from layersmith.rootfs.entries import Entry

ME = Ids(1000, 1000)
ROOT = Ids(0, 0)


def unpacked(shown: Root, folder: Path, user: Ids = ROOT) -> Path:
    place = folder / "root"
    place.mkdir(parents=True)
    unpack(shown, place, user)
    return place


def listing(top: Path) -> dict[str, tuple[str, bytes]]:
    """Return what a disk has below a directory, following nothing."""
    found: dict[str, tuple[str, bytes]] = {}
    for folder, names, others in os.walk(top):
        for path in (Path(folder, name) for name in (*names, *others)):
            name = str(path.relative_to(top))
            if path.is_symlink():
                found[name] = "link", os.fsencode(os.readlink(path))  # noqa: PTH115 - as it was written
            elif path.is_dir():
                found[name] = "directory", b""
            else:
                assert path.is_file(), path
                found[name] = "file", path.read_bytes()
    return found


def wanted(shown: Root) -> dict[str, tuple[str, bytes]]:
    found: dict[str, tuple[str, bytes]] = {}
    for path, entry in shown.tree.walk():
        if isinstance(entry, Directory):
            found[path] = "directory", b""
        elif isinstance(entry, Symlink):
            found[path] = "link", os.fsencode(entry.target)
        elif isinstance(entry, File):
            found[path] = "file", shown.contents.read(entry)
    return found


@pytest.mark.parametrize("case", [c for c in CASES if c.is_accepted], ids=lambda case: case.name)
def test_every_image_that_is_accepted_is_on_the_disk_as_it_is_in_the_tree(
    case: Case, tmp_path: Path
) -> None:
    shown = stacked(*case.layers)
    outside = tmp_path / "outside"
    (outside / "etc").mkdir(parents=True)
    (outside / "etc" / "passwd").write_text("mine")
    before = listing(outside)

    place = unpacked(shown, outside / "here")

    assert listing(place) == wanted(shown)
    after = listing(outside)
    assert {p: w for p, w in after.items() if not p.startswith("here")} == before


def test_links_lead_nowhere_while_it_is_written(tmp_path: Path) -> None:
    """What stands below a link in one layer is put where the link leads inside the root."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "old").write_text("old")
    layers = [
        archive(symlink("a", str(victim)), symlink("b", "../../../.."), directory("etc")),
        archive(symlink("up", "/../../.."), file("up/x", b"!")),
        archive(symlink("etc/passwd", str(victim / "old")), file("etc/passwd", b"new")),
        archive(symlink("f", str(victim / "new")), symlink("d", str(victim))),
    ]
    place = unpacked(stacked(*layers), tmp_path / "image")

    assert listing(victim) == {"old": ("file", b"old")}
    assert listing(place)["etc/passwd"] == ("file", b"new")
    assert listing(place)["a"] == ("link", os.fsencode(victim))
    assert listing(place)["x"] == ("file", b"!")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc/x", "a\0b"])
@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_a_name_that_is_none_is_refused_whoever_made_the_tree(
    name: str, kind: str, tmp_path: Path
) -> None:
    kinds: dict[str, Entry] = {
        "file": File(Meta(0o644), b"!"),
        "directory": Directory(Meta(0o755), {}),
        "link": Symlink(Meta(0o777), "/"),
    }
    shown = Root(Tree(Directory(Meta(0o755), {name: kinds[kind]})), MemoryContents())
    with pytest.raises(UnsafePath):
        unpacked(shown, tmp_path)
    assert listing(tmp_path) == {"root": ("directory", b"")}


def test_directories_too_deep_are_refused(tmp_path: Path) -> None:
    deep = "d/" * (MAX_DEPTH + 2) + "f"
    with pytest.raises(LayerError, match="deeper than"):
        unpacked(stacked(archive(long_name(deep), file("x"))), tmp_path)


def test_what_is_too_large_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf()
    one = shelf.file(b"x" * 100_000)
    shown = tree({"a": one, "b": one, "c": shelf.file(b"y" * 100_000)})
    size = size_of(shown)
    assert 200_000 < size < 250_000  # one inode counts once
    monkeypatch.setattr(unpacking, "MAX_SIZE", size - 1)
    with pytest.raises(LayerError, match="at most"):
        size_of(shown)


def test_names_of_one_file_stay_one_file(tmp_path: Path) -> None:
    shelf = Shelf()
    one = shelf.file(b"x")
    place = unpacked(Root(tree({"a/b": one, "c": one, "d": shelf.file(b"x")}), shelf), tmp_path)
    assert (place / "a/b").samefile(place / "c")
    assert not (place / "d").samefile(place / "c")


def test_devices_are_left_out(tmp_path: Path) -> None:
    literal: Literal = {
        "null": Special(Meta(0o666), Kind.CHAR, 1, 3),
        "sda": Special(Meta(0o666), Kind.BLOCK, 8, 0),
        "pipe": Special(Meta(0o666), Kind.FIFO),
        "f": b"",
    }
    assert list(listing(unpacked(Root(tree(literal), MemoryContents()), tmp_path))) == ["f"]


@pytest.mark.parametrize(
    ("meta", "user", "access"),
    [
        (Meta(0o644), ME, 4),
        (Meta(0o600), ME, 0),
        (Meta(0o600, 1000, 1000), ME, 6),
        (Meta(0o640, 0, 1000), ME, 4),
        (Meta(0o604, 0, 1000), ME, 0),
        (Meta(0o077, 1000, 0), ME, 0),
        (Meta(0o755), ME, 5),
        (Meta(0o6755), ME, 5),
        (Meta(0o2770, 0, 1000), ME, 7),
        (Meta(0o000), ROOT, 6),
        (Meta(0o100), ROOT, 7),
    ],
)
def test_a_file_gives_the_access_that_the_images_user_has(
    meta: Meta, user: Ids, access: int, tmp_path: Path
) -> None:
    shown = Root(tree({"f": File(meta, b"x")}), MemoryContents())
    mode = (unpacked(shown, tmp_path, user) / "f").stat().st_mode
    assert oct(stat.S_IMODE(mode)) == oct(access * 0o111)


def test_directories_are_closed_when_they_are_full(tmp_path: Path) -> None:
    shut = Directory(Meta(0o700), {})
    shown = root({"secret/": shut, "secret/a/b": b"x", "open/x": b"y"})
    place = unpacked(shown, tmp_path, ME)
    assert stat.S_IMODE((place / "secret").stat().st_mode) == 0
    assert stat.S_IMODE((place / "open").stat().st_mode) == 0o555
    assert stat.S_IMODE(place.stat().st_mode) == 0o555


def test_sources_keep_their_time(tmp_path: Path) -> None:
    literal: Literal = {
        "new": File(Meta(0o644, mtime=1_700_000_000), b""),
        "odd": File(Meta(0o644, mtime=2**70), b""),
    }
    place = unpacked(Root(tree(literal), MemoryContents()), tmp_path)
    assert (place / "new").stat().st_mtime == 1_700_000_000
