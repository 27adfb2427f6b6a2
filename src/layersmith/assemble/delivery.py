"""Delivery: blobs first, then configs, manifests, the index, and the tags last.

A reader who sees a tag can have everything below it. Blobs that another repository of
the same registry holds are mounted, not moved.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import LayersmithError, intention
from layersmith.oci.content import held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from layersmith.assemble.crew import Crew
    from layersmith.oci.content import Readable, Sink
    from layersmith.oci.documents import Descriptor, Document, Index
    from layersmith.oci.image import Image
    from layersmith.oci.reference import Reference
    from layersmith.stores.cache import Cache, CachedSource

__all__ = ["Blob", "Delivery", "Destination", "deliver"]

_WRITERS: Final = 8


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob, and where it is: in a source (with its repository), or in the cache."""

    descriptor: Descriptor
    source: CachedSource | None
    origin: Reference | None

    def open(self, cache: Cache) -> AbstractContextManager[Readable]:
        """Open it, verified while it is read."""
        if self.source is not None:
            return self.source.open(self.descriptor)
        return cache.open(self.descriptor)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is delivered: an index, its images, and all their layers."""

    index: Document[Index]
    images: Sequence[Image]
    blobs: Sequence[Blob]


@dataclass(frozen=True, slots=True)
class Destination:
    """A place to deliver to, and the tags that the index gets there."""

    sink: Sink
    tags: Sequence[str]


def deliver(
    delivery: Delivery, destinations: Sequence[Destination], cache: Cache, crew: Crew
) -> None:
    """Bring everything to every destination, and only then write the tags.

    A destination whose tags all stand for the index already is left alone. Raises
    :class:`StoreError`; then no tag has been written, and what was put is removed where
    the place allows it.
    """
    top = delivery.index.descriptor
    stale = [
        (destination, tag)
        for destination in destinations
        for tag in destination.tags
        if not destination.sink.stands_for(tag, top)
    ]
    waiting = [d for d in destinations if any(one is d for one, _ in stale)]
    try:
        for destination in waiting:
            with intention(f"delivering to {destination.sink.name}"):
                _fill(delivery, destination.sink, cache, crew)
        for destination, tag in stale:
            destination.sink.tag(tag, top)
    except BaseException:
        for destination in waiting:
            with suppress(LayersmithError):
                destination.sink.abandon()
        raise


def _fill(delivery: Delivery, sink: Sink, cache: Cache, crew: Crew) -> None:
    blobs = {blob.descriptor.digest: blob for blob in delivery.blobs}
    configs = {image.config.descriptor.digest: image.config for image in delivery.images}
    with crew.pool(_WRITERS, "deliver") as pool:
        _all(pool.map(lambda blob: _bring(blob, sink, cache), blobs.values()))
        _all(pool.map(lambda config: _put(sink, config), configs.values()))
        _all(pool.map(lambda image: _put(sink, image.manifest), delivery.images))
    _put(sink, delivery.index)


def _bring(blob: Blob, sink: Sink, cache: Cache) -> None:
    # A mount answers whether the blob is there too, in fewer requests than asking first.
    if blob.origin is not None and sink.mount(blob.descriptor, blob.origin):
        return
    if sink.has(blob.descriptor):
        return
    sink.put(blob.descriptor, lambda: blob.open(cache))


def _put(sink: Sink, document: Document[Any]) -> None:
    if not sink.has(document.descriptor):
        sink.put(document.descriptor, held(document.raw))


def _all(results: Iterator[None]) -> None:
    """Wait for every result, so that the first error is raised here."""
    for _ in results:
        pass
