"""What every sink promises: nothing is visible unless all of it verified."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.build.image import Made, descriptor, put, put_index, shown

from layersmith.errors import LayersmithError, NotFound, VerificationError
from layersmith.oci.content import held
from layersmith.oci.documents import OCI_LAYER, Descriptor
from layersmith.oci.reference import Reference

if TYPE_CHECKING:
    from tests.contract.places import Place

BLOB = bytes(range(256)) * 5000


class Broken(Exception):
    """What a stream may raise that nobody expects."""


class Breaking:
    """A stream that gives `data` one piece at a time, then raises."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        data = self._data.read(min(size, 1000))
        if not data:
            raise Broken
        return data


class Slow:
    """A stream that can only be read, and gives little at once."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 77) if size >= 0 else 77)


def stored(place: Place, wanted: Descriptor) -> bytes:
    with place.repository.open(wanted) as stream:
        return stream.read()


def test_what_is_put_is_there(place: Place) -> None:
    wanted = descriptor(BLOB)
    assert not place.repository.has(wanted)
    place.repository.put(wanted, held(BLOB))
    assert place.repository.has(wanted)
    assert stored(place, wanted) == BLOB


def test_putting_it_again_changes_nothing(place: Place) -> None:
    wanted = put(place.repository, BLOB)
    assert put(place.repository, BLOB) == wanted
    assert stored(place, wanted) == BLOB


@pytest.mark.parametrize("data", [b"", b"x", BLOB, BLOB * 5])
def test_any_size_is_put_from_any_stream(place: Place, data: bytes) -> None:
    wanted = descriptor(data)
    place.repository.put(wanted, lambda: nullcontext(Slow(data)))
    assert stored(place, wanted) == data


@pytest.mark.parametrize(
    "data",
    [BLOB[:-1] + b"x", BLOB[:-1], b"", BLOB + b"x"],
    ids=["other", "shorter", "empty", "longer"],
)
def test_other_bytes_are_refused_and_leave_nothing(place: Place, data: bytes) -> None:
    wanted = descriptor(BLOB)
    with pytest.raises(VerificationError):
        place.repository.put(wanted, held(data))
    assert not place.repository.has(wanted)
    with pytest.raises(NotFound):
        stored(place, wanted)


def test_a_stream_that_breaks_leaves_nothing(place: Place) -> None:
    wanted = descriptor(BLOB)
    with pytest.raises((Broken, LayersmithError)):
        place.repository.put(wanted, lambda: nullcontext(Breaking(BLOB[:100_000])))
    assert not place.repository.has(wanted)


def test_nothing_is_opened_that_is_not_closed(place: Place) -> None:
    wanted = descriptor(BLOB)
    opened: list[io.BytesIO] = []

    def opener() -> io.BytesIO:
        opened.append(io.BytesIO(BLOB))
        return opened[-1]

    place.repository.put(wanted, opener)
    assert opened
    assert all(stream.closed for stream in opened)


def test_a_failure_can_be_made_good(place: Place) -> None:
    wanted = descriptor(BLOB)
    with pytest.raises(VerificationError):
        place.repository.put(wanted, held(b"x" * len(BLOB)))
    place.repository.put(wanted, held(BLOB))
    assert stored(place, wanted) == BLOB


def test_what_it_has_is_what_the_descriptor_says(place: Place) -> None:
    wanted = put(place.repository, BLOB)
    assert not place.repository.has(descriptor(b"another"))
    assert not place.repository.has(msgspec.structs.replace(wanted, size=5))


def test_many_writers_put_at_once(place: Place) -> None:
    blobs = [bytes([number]) * 50_000 for number in range(6)] * 3
    with ThreadPoolExecutor(6) as pool:
        wanted = list(pool.map(lambda data: put(place.repository, data), blobs))
    assert [stored(place, one) for one in wanted] == blobs


def test_nothing_is_mounted_from_a_stranger(place: Place) -> None:
    wanted = descriptor(BLOB)
    assert not place.repository.mount(wanted, Reference("elsewhere.example/other:tag"))
    assert not place.repository.has(wanted)


def test_a_manifest_is_put_and_tagged(place: Place) -> None:
    manifest = Made().put(place.repository)
    assert place.repository.has(manifest)
    place.repository.tag("t", manifest)
    assert place.repository.resolve("t").digest == manifest.digest
    assert stored(place, manifest)


def test_a_tag_moves_and_the_others_stay(place: Place) -> None:
    first = Made().put(place.repository)
    second = put_index(place.repository, [shown(first)])
    for name in ("a", "b"):
        place.repository.tag(name, first)
    place.repository.tag("a", second)
    assert place.repository.resolve("a").digest == second.digest
    assert place.repository.resolve("b").digest == first.digest


def test_one_manifest_has_many_tags(place: Place) -> None:
    manifest = Made().put(place.repository)
    for name in ("3.13-debian13", "3.13.5-debian13", "_x.Y-z"):
        place.repository.tag(name, manifest)
        assert place.repository.resolve(name).digest == manifest.digest


def test_a_tag_is_never_said_to_stand_for_something_else(place: Place) -> None:
    first, second = Made().put(place.repository), put_index(place.repository, [])
    assert not place.repository.stands_for("t", first)
    place.repository.tag("t", first)
    assert not place.repository.stands_for("t", second)
    assert not place.repository.stands_for("u", first)


def test_abandoning_keeps_what_is_tagged(place: Place) -> None:
    manifest = Made().put(place.repository)
    place.repository.tag("t", manifest)
    put(place.repository, b"never tagged")
    place.repository.abandon()
    assert place.repository.resolve("t").digest == manifest.digest
    assert stored(place, manifest)


def test_abandoning_an_empty_place_is_nothing(place: Place) -> None:
    place.repository.abandon()
    assert not place.repository.has(descriptor(b"x", OCI_LAYER))
