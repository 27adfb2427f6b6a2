"""The verified reader: its end is reached by the right bytes only."""

from __future__ import annotations

import io

import pytest
from tests.build.image import descriptor, put, put_json
from tests.fakes.memory import Memory

from layersmith.errors import DigestMismatch, DocumentError, SizeMismatch, VerificationError
from layersmith.oci.content import CHUNK, NoProgress, VerifiedReader, is_manifest, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from layersmith.oci.strictjson import MAX_DOCUMENT

DATA = b"0123456789"


class Dripping:
    """A stream that gives one byte at a time, and counts what it was asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._data.read(min(size, 1) if size >= 0 else 1)
        self.given += len(data)
        return data


def reader(data: bytes, wanted: bytes = DATA) -> VerifiedReader:
    return VerifiedReader(io.BytesIO(data), descriptor(wanted), "somewhere")


def test_gives_the_right_bytes_and_then_the_end() -> None:
    with reader(DATA) as stream:
        assert stream.read(4) == b"0123"
        assert stream.read() == b"456789"
        assert stream.read() == b""
        assert stream.read(1) == b""


@pytest.mark.parametrize("size", [1, 3, 10, 11, CHUNK])
def test_the_size_of_reads_does_not_matter(size: int) -> None:
    stream = VerifiedReader(Dripping(DATA), descriptor(DATA), "w")
    assert b"".join(iter(lambda: stream.read(size), b"")) == DATA


def test_reading_nothing_is_no_end() -> None:
    stream = reader(DATA)
    assert stream.read(0) == b""
    assert stream.read() == DATA


def test_works_below_a_buffered_reader() -> None:
    assert io.BufferedReader(reader(DATA), 3).read() == DATA
    assert io.BufferedReader(reader(DATA), 3).read(4) == DATA[:4]
    with pytest.raises(DigestMismatch):
        io.BufferedReader(reader(b"x" * 10), 3).read()


def test_no_content_is_verified_too() -> None:
    assert reader(b"", b"").read() == b""
    wrong = Descriptor(media_type=OCI_LAYER, digest=Digest.of(b"x"), size=0)
    with pytest.raises(DigestMismatch):
        VerifiedReader(io.BytesIO(b""), wrong, "w").read()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"012345678x", DigestMismatch),
        (b"012345678", SizeMismatch),
        (b"", SizeMismatch),
        (b"0123456789x", SizeMismatch),
        (b"0123456789" * 1000, SizeMismatch),
    ],
)
@pytest.mark.parametrize("size", [-1, 1, 10, 1000])
def test_the_end_of_wrong_bytes_is_never_reached(
    data: bytes, error: type[VerificationError], size: int
) -> None:
    stream = reader(data)
    for _ in range(3):  # whoever goes on after an error gets another one
        with pytest.raises(error, match=r"^somewhere: sha256:"):
            list(iter(lambda: stream.read(size), b""))


def test_a_wrong_size_says_how_many_bytes_came() -> None:
    with pytest.raises(SizeMismatch, match="at least 11 bytes, expected 10"):
        reader(DATA + b"xyz").read()
    with pytest.raises(SizeMismatch, match=": 7 bytes, expected 10"):
        reader(DATA[:7]).read()


def test_the_last_bytes_come_only_after_they_are_verified() -> None:
    stream = reader(b"012345678x")
    assert stream.read(9) == b"012345678"
    with pytest.raises(DigestMismatch):
        stream.read(1)


def test_never_takes_more_than_one_byte_too_many() -> None:
    endless = Dripping(b"x" * 1000)
    with pytest.raises(VerificationError):
        VerifiedReader(endless, descriptor(b"x" * 10), "w").read()
    assert endless.given == 11


def test_the_algorithm_of_the_digest_is_used() -> None:
    wanted = Descriptor(media_type=OCI_LAYER, digest=Digest.of(DATA, "sha512"), size=len(DATA))
    assert VerifiedReader(io.BytesIO(DATA), wanted, "w").read() == DATA
    with pytest.raises(DigestMismatch, match="sha512:"):
        VerifiedReader(io.BytesIO(b"x" * 10), wanted, "w").read()


def test_a_document_is_read_whole() -> None:
    memory = Memory()
    assert read_document(memory, put(memory, b"{}", OCI_MANIFEST)) == b"{}"


def test_a_document_of_just_the_cap_is_read() -> None:
    memory = Memory()
    assert (
        len(read_document(memory, put(memory, bytes(MAX_DOCUMENT), OCI_MANIFEST))) == MAX_DOCUMENT
    )


def test_a_document_that_is_said_to_be_large_is_not_even_opened() -> None:
    memory = Memory()
    large = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b""), size=MAX_DOCUMENT + 1)
    with pytest.raises(DocumentError, match="at most 4194304"):
        read_document(memory, large)
    assert memory.asked("open") == []


def test_manifests_and_indexes_are_not_blobs() -> None:
    memory = Memory()
    assert is_manifest(put_json(memory, {}, OCI_INDEX))
    assert is_manifest(put_json(memory, {}, OCI_MANIFEST))
    assert not is_manifest(put_json(memory, {}, OCI_CONFIG))
    assert not is_manifest(put(memory, b"", OCI_LAYER))


def test_nobody_can_be_reported_to() -> None:
    NoProgress().advance("task", 1, 2)
