"""Checksums find damage; only bytes tell whether files are the same."""

import pytest
from msgspec import structs
from tests.build.tree import Shelf

from layersmith.rootfs.checksum import Checksum, checksum, same_bytes
from layersmith.rootfs.entries import File, Meta, Slice


def test_pieces_give_the_checksum_of_the_whole() -> None:
    hasher = Checksum()
    for piece in (b"a", b"", b"bc" * 1000):
        hasher.update(piece)
    assert hasher.digest() == checksum(b"a" + b"bc" * 1000)
    assert len(checksum(b"")) == 8


def test_equal_bytes_of_two_layers_are_the_same() -> None:
    ours, theirs = Shelf("one"), Shelf("two")
    assert same_bytes(ours.file(b"same"), theirs.file(b"same", 0o755), ours, theirs)


@pytest.mark.parametrize("other", [b"", b"sane", b"same and more"])
def test_other_bytes_are_not(other: bytes) -> None:
    ours, theirs = Shelf("one"), Shelf("two")
    assert not same_bytes(ours.file(b"same"), theirs.file(other), ours, theirs)


def test_a_stranger_who_makes_two_files_of_one_checksum_fools_nobody() -> None:
    ours, theirs = Shelf("one"), Shelf("two")
    good, bad = ours.file(b"good"), theirs.file(b"evil")
    assert isinstance(good.content, Slice)
    assert isinstance(bad.content, Slice)
    forged = structs.replace(bad.content, checksum=good.content.checksum)
    assert not same_bytes(good, File(bad.meta, forged), ours, theirs)


def test_bytes_that_we_made_are_compared_like_those_of_layers() -> None:
    shelf = Shelf()
    assert same_bytes(File(Meta(0o644), b"same"), shelf.file(b"same"), shelf, shelf)
    assert not same_bytes(File(Meta(0o644), b"good"), shelf.file(b"evil"), shelf, shelf)
