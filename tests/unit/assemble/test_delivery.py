"""Delivery: tags last, nothing twice, and nothing tagged where something failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.build.image import AMD64, ARM64, HELLO, Made, for_platform, put_index
from tests.build.tar import archive, file
from tests.fakes.memory import Memory, MemoryRegistry

from layersmith.assemble.crew import Crew
from layersmith.assemble.delivery import Blob, Delivery, Destination, deliver
from layersmith.errors import RegistryError, VerificationError
from layersmith.oci.content import NoProgress, Opener, read_document
from layersmith.oci.derived import make_index
from layersmith.oci.image import load, select
from layersmith.oci.reference import Reference
from layersmith.stores.cache import Cache, CachedSource
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.documents import Descriptor, Document, Index
    from layersmith.oci.image import Image

BASE = Reference("h.io/base:t")


class Refusing(Memory):
    """A repository that refuses one digest."""

    def __init__(self, digest: str) -> None:
        super().__init__("refusing")
        self._refused = digest

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        if descriptor.digest == self._refused:
            raise RegistryError("no room", status=507)
        super().put(descriptor, opener)


@dataclass(frozen=True)
class Stock:
    """Something to deliver, and where it comes from."""

    registry: MemoryRegistry
    index: Document[Index]
    images: list[Image]
    blobs: list[Blob]
    cache: Cache

    @property
    def delivery(self) -> Delivery:
        return Delivery.of_images(self.index, self.images, self.blobs)

    def to(self, *sinks: Memory | Layout, tags: tuple[str, ...] = ("a", "b")) -> None:
        deliver(
            self.delivery,
            [Destination(sink, tags) for sink in sinks],
            Crew(NoProgress()),
        )

    @property
    def digests(self) -> dict[str, set[str]]:
        """Return what must have arrived before what."""
        images = self.images
        return {
            "blobs": {layer.descriptor.digest for i in images for layer in i.layers},
            "configs": {i.config.descriptor.digest for i in images},
            "manifests": {i.manifest.descriptor.digest for i in images},
            "index": {self.index.descriptor.digest},
        }


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    registry = MemoryRegistry()
    base = registry.repository(BASE.name)
    shared = archive(file("shared", b"by both platforms"))
    mades = [
        Made((shared, HELLO), platform=AMD64),
        Made((shared, archive(file("arm"))), platform=ARM64),
    ]
    base.tag("t", put_index(base, [for_platform(made.put(base), made.platform) for made in mades]))
    base.log.clear()
    cache = Cache(tmp_path / "cache")
    source = CachedSource(base, cache)
    images = [select(source, load(source, "t"), made.platform) for made in mades]
    blobs = [Blob(layer.descriptor, source, BASE) for image in images for layer in image.layers]
    return Stock(registry, make_index(images, {}), images, blobs, cache)


def test_everything_arrives_and_can_be_read(stock: Stock) -> None:
    sink = Memory("sink")
    stock.to(sink)
    for tag in ("a", "b"):
        top = load(sink, tag)
        assert top.descriptor.digest == stock.index.descriptor.digest
        for image in stock.images:
            found = select(sink, top, image.platform)
            assert found.manifest.raw == image.manifest.raw
            for layer in found.layers:
                assert read_document(sink, layer.descriptor)


def test_what_is_named_arrives_before_what_names_it(stock: Stock) -> None:
    sink = Memory("sink")
    stock.to(sink)
    calls = [(what, name) for what, name in sink.log if what in ("put", "tag")]
    last = 0
    for kind in ("blobs", "configs", "manifests", "index"):
        places = [n for n, (what, name) in enumerate(calls) if name in stock.digests[kind]]
        assert min(places) >= last
        last = max(places)
    assert calls[-2:] == [("tag", "a"), ("tag", "b")]


def test_a_blob_of_both_platforms_is_put_once(stock: Stock) -> None:
    sink = Memory("sink")
    stock.to(sink)
    puts = sink.asked("put")
    assert len(puts) == len(set(puts)) == 3 + 2 + 2 + 1


def test_a_neighbour_mounts_the_blobs_of_the_base(stock: Stock) -> None:
    sink = stock.registry.repository("h.io/team/image")
    stock.to(sink)
    assert set(sink.asked("mount")) == stock.digests["blobs"]
    assert not stock.digests["blobs"] & set(sink.asked("put"))
    base = stock.registry.repositories[BASE.name]
    assert not stock.digests["blobs"] & set(base.asked("open"))


def test_what_is_there_is_not_put_again(stock: Stock) -> None:
    sink = Memory("sink")
    stock.to(sink, tags=("a",))
    sink.log.clear()
    stock.to(sink, tags=("a", "b"))
    assert sink.asked("put") == []
    assert sink.asked("tag") == ["b"]


def test_a_place_that_has_all_tags_is_left_alone(stock: Stock) -> None:
    sink = Memory("sink")
    stock.to(sink)
    sink.log.clear()
    stock.to(sink)
    assert {what for what, _ in sink.log} == {"stands_for"}


def test_a_tag_that_stands_for_something_else_is_moved(stock: Stock) -> None:
    sink = Memory("sink")
    sink.tag("a", put_index(sink, []))
    stock.to(sink)
    assert sink.tags["a"].digest == stock.index.descriptor.digest


@pytest.mark.parametrize("kind", ["blobs", "configs", "manifests", "index"])
def test_a_failure_anywhere_writes_no_tag_and_removes_what_was_put(stock: Stock, kind: str) -> None:
    refusing = Refusing(min(stock.digests[kind]))
    with pytest.raises(RegistryError, match=r"^delivering to refusing: no room"):
        stock.to(refusing)
    assert refusing.asked("tag") == []
    assert refusing.blobs == {}


def test_no_place_is_tagged_where_another_one_fails(stock: Stock) -> None:
    first, last = Memory("first"), Refusing(min(stock.digests["index"]))
    with pytest.raises(RegistryError):
        stock.to(first, last)
    assert first.tags == {}
    assert first.blobs == {}
    with pytest.raises(RegistryError):
        stock.to(last, first)
    assert first.tags == {}


def test_an_error_at_a_later_tag_says_which_were_written(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Memory("out")
    tag = sink.tag

    def refuse(name: str, descriptor: Descriptor) -> None:
        if name == "b":
            raise RegistryError("no such tag here", status=403, hint="ask")
        tag(name, descriptor)

    monkeypatch.setattr(sink, "tag", refuse)
    with pytest.raises(RegistryError) as caught:
        stock.to(sink)
    assert caught.value.hint == "ask; out:a was written already: run again"
    with pytest.raises(RegistryError) as caught:
        stock.to(sink, tags=("b",))
    assert caught.value.hint == "ask"


def test_bytes_that_are_not_the_layer_are_never_delivered(stock: Stock) -> None:
    base = stock.registry.repositories[BASE.name]
    digest = min(stock.digests["blobs"])
    base.blobs[digest] = base.blobs[digest][:-1] + b"x"
    sink = Memory("sink")
    with pytest.raises(VerificationError):
        stock.to(sink)
    assert sink.blobs == {}
    assert sink.tags == {}


def test_a_blob_without_a_source_comes_from_the_cache(stock: Stock) -> None:
    image = stock.images[0]
    ours = image.layers[0].descriptor
    stock.cache.put(ours, [stock.registry.repositories[BASE.name].blobs[ours.digest]])
    blobs = [*stock.blobs, Blob(ours, stock.cache, None)]
    sink = Memory("sink")
    deliver(
        Delivery.of_images(stock.index, stock.images, blobs),
        [Destination(sink, ("t",))],
        Crew(NoProgress()),
    )
    assert ours.digest in sink.blobs


def test_a_layout_is_filled_and_a_new_one_is_removed_on_failure(
    stock: Stock, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    stock.to(Layout(good))
    assert load(Layout(good), "a").descriptor.digest == stock.index.descriptor.digest
    failed = tmp_path / "failed"
    with pytest.raises(RegistryError):
        stock.to(Layout(failed), Refusing(min(stock.digests["index"])))
    assert not failed.exists()


def test_a_damaged_blob_of_a_layout_is_mended(stock: Stock, tmp_path: Path) -> None:
    stock.to(Layout(tmp_path / "out"))
    blob = stock.images[0].layers[0].descriptor
    path = tmp_path / "out/blobs/sha256" / blob.digest.encoded
    path.write_bytes(b"damaged")
    stock.to(Layout(tmp_path / "out"))
    assert Layout(tmp_path / "out").has(blob)
