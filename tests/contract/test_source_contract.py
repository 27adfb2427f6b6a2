"""What every source promises, alone and behind the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.build.image import Made, descriptor, put, put_index, shown
from tests.contract.places import Place, cached

from layersmith.errors import LayersmithError, NotFound, StoreError, VerificationError
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.content import Source
    from layersmith.oci.documents import Descriptor

BLOB = bytes(range(256)) * 5000  # more than one chunk, and not a whole number of them


@pytest.fixture(params=["plain", "cached"])
def source(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Source:
    return place.repository if request.param == "plain" else cached(place, tmp_path)


def read(source: Source, wanted: Descriptor, size: int = -1) -> bytes:
    with source.open(wanted) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


def tagged(place: Place, name: str) -> Descriptor:
    described = Made().put(place.repository)
    place.repository.tag(name, described)
    return described


def test_has_a_name_for_messages(source: Source) -> None:
    assert source.name
    assert source.name.isprintable()


def test_a_tag_stands_for_what_was_tagged(place: Place, source: Source) -> None:
    described = tagged(place, "3.13-debian13")
    found = source.resolve("3.13-debian13")
    assert (found.digest, found.size, found.media_type) == (
        described.digest,
        described.size,
        OCI_MANIFEST,
    )


def test_a_tag_is_looked_up_again_each_time(place: Place, source: Source) -> None:
    first = tagged(place, "t")
    assert source.resolve("t").digest == first.digest
    second = put_index(place.repository, [shown(first)])
    place.repository.tag("t", second)
    assert source.resolve("t").digest == second.digest


def test_a_digest_stands_for_itself(place: Place, source: Source) -> None:
    described = tagged(place, "t")
    assert source.resolve(described.digest).digest == described.digest


def test_a_digest_below_an_index_stands_for_itself(place: Place, source: Source) -> None:
    if source.name.startswith("docker-archive"):
        pytest.skip("its format has no indexes")
    described = Made().put(place.repository)
    inner = put_index(place.repository, [shown(described)])
    place.repository.tag("t", put_index(place.repository, [shown(inner)]))
    for below in (described, inner):
        assert source.resolve(below.digest).digest == below.digest
    with pytest.raises(NotFound):
        source.resolve(Digest.of(b"nothing"))


def test_the_document_of_a_tag_is_read(place: Place, source: Source) -> None:
    described = tagged(place, "t")
    raw = read_document(source, source.resolve("t"))
    assert Digest.of(raw) == described.digest


@pytest.mark.parametrize("identifier", ["nothing", Digest.of(b"nothing")])
def test_what_nothing_stands_for_is_not_found(
    place: Place, source: Source, identifier: str
) -> None:
    tagged(place, "t")
    tagged(place, "u")
    with pytest.raises(NotFound):
        source.resolve(identifier)


def test_an_empty_place_has_nothing(source: Source) -> None:
    with pytest.raises(NotFound):
        source.resolve("latest")


def test_an_absent_blob_is_not_found(source: Source) -> None:
    with pytest.raises(NotFound):
        read(source, descriptor(b"never put"))


@pytest.mark.parametrize("size", [1, 1000, 100_000, 10_000_000, -1])
def test_a_blob_is_read_in_any_pieces(place: Place, source: Source, size: int) -> None:
    data = BLOB if size != 1 else BLOB[:300]
    described = put(place.repository, data)
    assert read(source, described, size) == data


def test_a_blob_is_read_twice_and_side_by_side(place: Place, source: Source) -> None:
    described = put(place.repository, BLOB)
    with source.open(described) as first, source.open(described) as second:
        assert first.read(10) == second.read(10) == BLOB[:10]
        assert first.read(10) == BLOB[10:20]
    assert read(source, described) == BLOB


def test_an_empty_blob_is_read(place: Place, source: Source) -> None:
    assert read(source, put(place.repository, b"")) == b""


def test_the_end_is_the_end(place: Place, source: Source) -> None:
    with source.open(put(place.repository, b"abc")) as stream:
        assert stream.read(100) == b"abc"
        assert stream.read(100) == b""
        assert stream.read(100) == b""


@pytest.mark.parametrize(
    "damaged",
    [BLOB[:-1] + b"x", b"x" + BLOB[1:], BLOB[:-1], BLOB[:1000], b"", BLOB + b"x", BLOB * 2],
    ids=["last byte", "first byte", "one short", "cut", "empty", "one more", "twice"],
)
def test_the_end_of_damaged_bytes_is_never_reached(
    place: Place, source: Source, damaged: bytes
) -> None:
    described = put(place.repository, BLOB)
    place.damage(described, damaged)
    with pytest.raises((VerificationError, StoreError)):
        read(source, described, 4096)


@pytest.mark.parametrize("size", [0, 1, len(BLOB) - 1, len(BLOB) + 1])
def test_a_descriptor_of_another_size_is_not_believed(
    place: Place, source: Source, size: int
) -> None:
    described = put(place.repository, BLOB)
    with pytest.raises((VerificationError, StoreError)):
        read(source, msgspec.structs.replace(described, size=size))


def test_an_error_is_one_of_ours_and_names_the_place(place: Place, source: Source) -> None:
    described = put(place.repository, BLOB)
    place.damage(described, BLOB[:-1] + b"x")
    with pytest.raises(LayersmithError) as caught:
        read(source, described)
    assert source.name in str(caught.value)


def test_a_reader_may_stop_anywhere(place: Place, source: Source) -> None:
    described = put(place.repository, BLOB)
    with source.open(described) as stream:
        stream.read(1)
    assert read(source, described) == BLOB


def test_sha512_is_verified_too(place: Place, source: Source) -> None:
    wanted = msgspec.structs.replace(descriptor(BLOB), digest=Digest.of(BLOB, "sha512"))
    try:
        place.repository.put(wanted, held(BLOB))
    except StoreError:
        pytest.skip("this place takes sha256 only")
    assert read(source, wanted) == BLOB
