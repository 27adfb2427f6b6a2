"""OCI archives: what is in the file, and files that strangers made."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from typing import TYPE_CHECKING

import pytest
import zstandard
from tests.build.dying import killed_while
from tests.build.image import Made, descriptor, put, put_index, shown
from tests.build.tar import archive, directory, file, hard_link, symlink
from tests.fakes.memory import Memory

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    InvalidInput,
    LayerError,
    LayersmithError,
    MalformedTar,
    NotFound,
    OutputError,
    SizeMismatch,
    UnsafePath,
)
from layersmith.oci.documents import OCI_INDEX, OCI_MANIFEST
from layersmith.stores.archive import OciArchive
from layersmith.stores.packing import blob_name
from layersmith.stores.refnames import REF_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.documents import Descriptor

BLOB = b"a blob of an image" * 1000


def written(path: Path, *tags: str) -> Descriptor:
    sink = OciArchive(path)
    manifest = Made().put(sink)
    for tag in tags:
        sink.tag(tag, manifest)
    return manifest


def by_hand(path: Path, *members: bytes) -> tuple[OciArchive, Descriptor]:
    """Write an archive that names one manifest, with `members` for blobs."""
    manifest = descriptor(BLOB, OCI_MANIFEST)
    entry = shown(manifest, annotations={REF_NAME: "t"})
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    head = file("index.json", json.dumps(index).encode())
    path.write_bytes(archive(head, file("oci-layout", b"{}"), *members))
    return OciArchive(path), manifest


def read(source: OciArchive, wanted: Descriptor) -> bytes:
    with source.open(wanted) as stream:
        return stream.read()


def test_is_a_layout_in_a_sorted_tar(tmp_path: Path) -> None:
    manifest = written(tmp_path / "a.tar", "t", "u")
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()
        names = [m.name for m in members]
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
    assert names == sorted(names)
    assert names[:2] == ["blobs", "blobs/sha256"]
    assert names[-2:] == ["index.json", "oci-layout"]
    assert {(m.uid, m.gid, m.mtime, m.uname) for m in members} == {(0, 0, 0, "")}
    assert [(m["digest"], m["annotations"][REF_NAME]) for m in index["manifests"]] == [
        (manifest.digest, "t"),
        (manifest.digest, "u"),
    ]


def test_the_same_images_are_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path / "a.tar", "t", "u")
    old = os.umask(0o077)
    written(tmp_path / "b.tar", "u", "t")
    os.umask(old)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert (tmp_path / "a.tar").stat().st_mode == (tmp_path / "b.tar").stat().st_mode


def test_an_archive_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    written(path, "old")
    sink = OciArchive(path)
    new = put_index(sink, [])
    sink.tag("new", new)
    assert OciArchive(path).tags() == ["new"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar"]


def test_no_archive_is_there_before_the_tag_and_nothing_after_giving_up(tmp_path: Path) -> None:
    sink = OciArchive(tmp_path / "deep" / "er" / "a.tar")
    Made().put(sink)
    assert not (tmp_path / "deep" / "er" / "a.tar").exists()
    sink.abandon()
    assert list(tmp_path.iterdir()) == []


def test_an_archive_survives_a_failed_tag(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    manifest = written(path, "t")
    before = path.read_bytes()
    sink = OciArchive(path)
    waiting = put(sink, BLOB)
    sink._waiting.folder.joinpath(waiting.digest.encoded).write_bytes(BLOB[:-1])
    with pytest.raises(SizeMismatch):
        sink.tag("u", waiting)
    sink.abandon()
    assert path.read_bytes() == before
    assert OciArchive(path).resolve("t").digest == manifest.digest
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_compressed_archive_is_read(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "a.tar"
    manifest = written(path, "t")
    path.write_bytes(compress(path.read_bytes()))  # type: ignore[operator]
    source = OciArchive(path)
    assert source.resolve("latest").digest == manifest.digest
    assert read(source, manifest)


def test_blobs_are_read_side_by_side(tmp_path: Path) -> None:
    source, manifest = by_hand(tmp_path / "a.tar", file(blob_name(descriptor(BLOB).digest), BLOB))
    with source.open(manifest) as one, source.open(manifest) as two:
        assert one.read(5) == two.read(5) == BLOB[:5]
        assert one.read(5) == BLOB[5:10]


def test_another_file_of_that_name_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    written(path, "old")
    source = OciArchive(path)
    assert source.tags() == ["old"]
    written(path, "new")
    assert source.tags() == ["new"]


NAME = blob_name(descriptor(BLOB).digest)


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ((), NotFound),
        ((file(NAME, BLOB[:-1]),), SizeMismatch),
        ((file(NAME, BLOB + b"x"),), SizeMismatch),
        ((file(NAME, b""),), SizeMismatch),
        ((file(NAME, BLOB[:-1] + b"x"),), DigestMismatch),
        ((file(NAME, BLOB), file(NAME, BLOB)), MalformedTar),
        ((file(NAME, BLOB), file(f"./{NAME}", b"x")), MalformedTar),
        ((file("x", BLOB), symlink(NAME, "../../x")), MalformedTar),
        ((symlink(NAME, "/etc/passwd"),), MalformedTar),
        ((file("x", BLOB), hard_link(NAME, "x")), MalformedTar),
        ((directory(NAME),), MalformedTar),
        ((file("index.json", b"{}"),), MalformedTar),
        ((file("../x", b"{}"),), UnsafePath),
        ((file(NAME, BLOB)[:-2048],), LayerError),
    ],
    ids=[
        "missing", "short", "long", "empty", "other bytes", "twice", "twice, spelled otherwise",
        "link", "link out", "hard link", "directory", "two indexes", "a name that goes up", "cut",
    ],
)  # fmt: skip
def test_a_hostile_archive_is_an_error(
    tmp_path: Path, members: tuple[bytes, ...], error: type[LayersmithError]
) -> None:
    source, manifest = by_hand(tmp_path / "a.tar", *members)
    with pytest.raises(error) as caught:
        read(source, manifest)
    assert "a.tar" in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"x" * 5000, gzip.compress(b"x" * 5000), b"\x1f\x8b\x08"])
def test_what_is_no_archive_is_an_error(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises((LayerError, NotFound)):
        OciArchive(tmp_path / "a").resolve("t")


@pytest.mark.parametrize(("head", "tool"), [(b"\xfd7zXZ\0", "xz -d"), (b"BZh9", "bzip2 -d")])
def test_other_compressions_are_named(tmp_path: Path, head: bytes, tool: str) -> None:
    (tmp_path / "x.tar").write_bytes(head + b"\xff" * 600)
    with pytest.raises(MalformedTar) as caught:
        OciArchive(tmp_path / "x.tar").resolve("t")
    assert tool in caught.value.hint


def test_noise_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(bytes(range(1, 256)) * 4 + b"1" * 4)
    with pytest.raises(MalformedTar, match=r"no header of a tar is where one should be$"):
        OciArchive(tmp_path / "x.tar").resolve("t")


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(OutputError, match="not a file"):
            OciArchive(tmp_path / name).resolve("t")
    with pytest.raises(NotFound, match="no file"):
        OciArchive(tmp_path / "none").resolve("t")


def test_an_archive_of_something_else_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(archive(file("manifest.json", b"[]")))
    with pytest.raises(NotFound, match=r"no index\.json") as caught:
        OciArchive(tmp_path / "a").resolve("t")
    assert "docker-archive" in caught.value.hint


@pytest.mark.parametrize("raw", [b"[]", b"{", b'{"manifests":3}', b'{"manifests":[{}]}'])
def test_a_broken_index_is_an_error(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a").write_bytes(archive(file("index.json", raw)))
    with pytest.raises(DocumentError):
        OciArchive(tmp_path / "a").resolve("t")


def test_a_huge_index_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(archive(file("index.json", bytes(5 << 20))))
    with pytest.raises(DocumentError, match="bytes"):
        OciArchive(tmp_path / "a").resolve("t")


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((OutputError, InvalidInput)):
        put(OciArchive(tmp_path / "file" / "a.tar"), BLOB)


def test_an_error_names_the_side_that_failed(tmp_path: Path) -> None:
    source = OciArchive(tmp_path / "a.tar")
    source.tag("t", Made().put(source))
    wanted = source.resolve("t")
    with pytest.raises(OutputError, match=r"^writing oci-archive:/proc/x\.tar"):
        OciArchive(tmp_path / "/proc/x.tar").put(wanted, lambda: source.open(wanted))


def test_an_archive_holds_what_memory_holds(tmp_path: Path) -> None:
    memory, sink = Memory(), OciArchive(tmp_path / "a.tar")
    assert Made().put(memory) == Made().put(sink)
    sink.tag("t", sink.resolve("t") if (tmp_path / "a.tar").exists() else Made().put(sink))
    for digest, data in memory.blobs.items():
        wanted = descriptor(data)
        assert wanted.digest == digest
        assert read(OciArchive(tmp_path / "a.tar"), wanted) == data


def test_what_a_killed_process_gathered_goes_when_the_same_archive_is_written(
    tmp_path: Path,
) -> None:
    killed_while("(a := OciArchive(folder / 'a.tar')) and scratch(a._waiting.folder, '')", tmp_path)
    killed_while("(b := OciArchive(folder / 'b.tar')) and scratch(b._waiting.folder, '')", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    written(tmp_path / "a.tar", "t")
    (others, _) = sorted(tmp_path.iterdir())
    written(tmp_path / "b.tar", "t")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "b.tar"]
    assert not others.exists()
