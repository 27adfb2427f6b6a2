"""Differences of two layers and of two documents, each told once and by its cause."""

from __future__ import annotations

from typing import Any

import pytest
from tests.build.image import put
from tests.build.tar import Header, archive, directory, file, member, symlink
from tests.fakes.memory import Memory

from layersmith.assemble.comparing import Difference, documents, layers
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, OCI_LAYER, Document, Index
from layersmith.oci.image import Layer

ONE = (directory("d"), file("d/a", b"1"), file("d/b", b"2"))


def compared(one: bytes, two: bytes) -> list[tuple[str, ...]]:
    memory = Memory()
    sides = [(memory, Layer(put(memory, tar, OCI_LAYER), Digest.of(tar))) for tar in (one, two)]
    found = layers("L", sides[0], sides[1])
    return [(each.where, each.what, each.image, each.rebuilt) for each in found]


@pytest.mark.parametrize(
    ("other", "what", "image", "rebuilt"),
    [
        (file("d/b", b"3"), "content", Digest.of(b"2"), Digest.of(b"3")),
        (file("d/b", b"2", mode=0o4755), "mode", "0644", "4755"),
        (member(Header(b"d/b", uid=7), b"2"), "uid", "0", "7"),
        (member(Header(b"d/b", mtime=9), b"2"), "mtime", "0", "9"),
    ],
)
def test_a_field_that_differs(other: bytes, what: str, image: str, rebuilt: str) -> None:
    two = archive(*ONE[:2], other)
    assert compared(archive(*ONE), two) == [("L: /d/b", what, image, rebuilt)]


def test_a_link_for_a_file() -> None:
    found = compared(archive(*ONE), archive(*ONE[:2], symlink("d/b", "a")))
    assert ("L: /d/b", "type", "file", "symbolic link") in found
    assert ("L: /d/b", "link", "''", "'a'") in found


def test_an_entry_that_only_one_has() -> None:
    assert compared(archive(*ONE), archive(*ONE[:2])) == [
        ("L: /d/b", "the entry itself", "a file of 1 bytes", "none")
    ]
    assert compared(archive(*ONE[:2]), archive(*ONE))[0][2:] == ("none", "a file of 1 bytes")


def test_another_order() -> None:
    found = compared(archive(*ONE), archive(ONE[0], ONE[2], ONE[1]))
    assert found == [("L", "the order of the entries", "'d/a' first", "'d/b' first")]


def test_other_padding_behind_the_same_files() -> None:
    ((where, what, *_),) = compared(archive(*ONE), archive(*ONE) + bytes(512))
    assert (where, what) == ("L", "the same entries, but other padding, extended headers or end")


def test_the_same_said_in_other_bytes() -> None:
    tar = bytearray(archive(*ONE))
    tar[257:265], tar[265:269] = b"ustar  \0", b"root"  # GNU's, in the first header
    tar[148:156] = b" " * 8
    tar[148:156] = f"{sum(tar[:512]):06o}\0 ".encode()
    assert compared(archive(*ONE), bytes(tar)) == [
        ("L: /d", "the bytes of magic in its header", repr(b"ustar\x0000"), repr(b"ustar  \x00")),
        ("L: /d", "the bytes of uname in its header", repr(bytes(32)),
         repr(b"root".ljust(32, b"\0"))),
    ]  # fmt: skip


def index(**more: Any) -> Document[Index]:
    return Document.write({"schemaVersion": 2, "manifests": [], **more}, OCI_INDEX, Index)


def test_documents() -> None:
    one, two = index(annotations={"a": "1", "b": "2"}), index(annotations={"a": "1", "c": "\n"})
    assert list(documents("index", one, two)) == [
        Difference("index", "annotations.b", '"2"', "nothing"),
        Difference("index", "annotations.c", "nothing", '"\\n"'),
    ]
    assert list(documents("index", one, one)) == []


def test_a_document_in_other_bytes() -> None:
    one, two = index(), Document.write({"manifests": [], "schemaVersion": 2}, OCI_INDEX, Index)
    (found,) = documents("index", one, two)
    assert found.what == "the same values in other bytes"
