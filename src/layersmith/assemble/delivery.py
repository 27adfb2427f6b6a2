"""Delivery: blobs first, then the documents from below to above, and the tags last.

A reader who sees a tag can have everything below it. Blobs that another repository of
the same registry holds are mounted, not moved.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

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

__all__ = ["Blob", "Delivery", "Destination", "Holder", "deliver"]

_WRITERS: Final = 8


class Holder(Protocol):
    """Who has a blob: a source, or the cache."""

    def open(self, descriptor: Descriptor, /) -> AbstractContextManager[Readable]:
        """Open it, verified while it is read."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob, who has it, and the repository it is in, if that is a registry's."""

    descriptor: Descriptor
    holder: Holder
    origin: Reference | None

    def open(self) -> AbstractContextManager[Readable]:
        """Open it, verified while it is read."""
        return self.holder.open(self.descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is delivered: `top` is what the tags will stand for.

    The documents of a stage refer to blobs, and to documents of earlier stages.
    `names` are further names, that are written before the tags. With `anyway` it is
    delivered where the tags stand already, for there is more than what is below `top`.
    """

    top: Descriptor
    blobs: Sequence[Blob]
    stages: Sequence[Sequence[Document[Any]]]
    names: Sequence[tuple[str, Descriptor]] = ()
    anyway: bool = False

    @classmethod
    def of_images(
        cls, index: Document[Index], images: Sequence[Image], blobs: Sequence[Blob]
    ) -> Delivery:
        """Return the delivery of an index over `images`, whose layers are `blobs`."""
        configs = {image.config.descriptor.digest: image.config for image in images}
        stages = (list(configs.values()), [image.manifest for image in images], [index])
        return cls(top=index.descriptor, blobs=blobs, stages=stages)


@dataclass(frozen=True, slots=True)
class Destination:
    """A place to deliver to, and the tags that the index gets there."""

    sink: Sink
    tags: Sequence[str]


def deliver(delivery: Delivery, destinations: Sequence[Destination], crew: Crew) -> None:
    """Bring everything to every destination, and only then write the tags.

    A destination whose tags all stand for `top` already is left alone. Raises
    :class:`StoreError`; then no tag has been written, and what was put is removed where
    the place allows it.
    """
    stale = [
        (destination, tag)
        for destination in destinations
        for tag in destination.tags
        if delivery.anyway or not destination.sink.stands_for(tag, delivery.top)
    ]
    waiting = [d for d in destinations if any(one is d for one, _ in stale)]
    try:
        for destination in waiting:
            with intention(f"delivering to {destination.sink.name}"):
                _fill(delivery, destination.sink, crew)
        for destination in waiting:
            for name, descriptor in delivery.names:
                destination.sink.tag(name, descriptor)
        for destination, tag in stale:
            destination.sink.tag(tag, delivery.top)
    except BaseException:
        for destination in waiting:
            with suppress(LayersmithError):
                destination.sink.abandon()
        raise


def _fill(delivery: Delivery, sink: Sink, crew: Crew) -> None:
    blobs = {blob.descriptor.digest: blob for blob in delivery.blobs}
    with crew.pool(_WRITERS, "deliver") as pool:
        _all(pool.map(lambda blob: _bring(blob, sink), blobs.values()))
        for stage in delivery.stages:
            _all(pool.map(lambda document: _put(sink, document), stage))


def _bring(blob: Blob, sink: Sink) -> None:
    # A mount answers whether the blob is there too, in fewer requests than asking first.
    if blob.origin is not None and sink.mount(blob.descriptor, blob.origin):
        return
    if sink.has(blob.descriptor):
        return
    sink.put(blob.descriptor, blob.open)


def _put(sink: Sink, document: Document[Any]) -> None:
    if not sink.has(document.descriptor):
        sink.put(document.descriptor, held(document.raw))


def _all(results: Iterator[None]) -> None:
    """Wait for every result, so that the first error is raised here."""
    for _ in results:
        pass
