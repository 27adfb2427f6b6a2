"""Delivery: blobs first, then configs, manifests, the index, and the tags last.

A reader who sees a tag can have everything below it. Blobs that another repository of
the same registry holds are mounted, not moved.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import NotFound, intention

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from layersmith.oci.content import Readable, Sink
    from layersmith.oci.documents import Descriptor, Document, Index
    from layersmith.oci.image import Image
    from layersmith.oci.reference import Reference
    from layersmith.stores.cache import Cache, CachedSource

__all__ = ["Blob", "Delivery", "deliver"]

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


def deliver(delivery: Delivery, sink: Sink, tags: Sequence[str], cache: Cache) -> None:
    """Bring everything to `sink`; does nothing where all `tags` stand for it already.

    Raises :class:`StoreError`; then no tag has been written.
    """
    top = delivery.index.descriptor
    with intention(f"delivering to {sink.name}"):
        stale = [tag for tag in tags if not _stands_for(sink, tag, top)]
        if not stale:
            return
        with ThreadPoolExecutor(_WRITERS, "deliver") as pool:
            unique = {blob.descriptor.digest: blob for blob in delivery.blobs}
            _all(pool.map(lambda blob: _bring(blob, sink, cache), unique.values()))
            configs = {image.config.descriptor.digest: image.config for image in delivery.images}
            _all(pool.map(lambda c: _put(sink, c.descriptor, c.raw), configs.values()))
            manifests = [image.manifest for image in delivery.images]
            _all(pool.map(lambda m: _put(sink, m.descriptor, m.raw), manifests))
        _put(sink, top, delivery.index.raw)
        for tag in stale:
            sink.tag(tag, top)


def _stands_for(sink: Sink, tag: str, descriptor: Descriptor) -> bool:
    resolve = getattr(sink, "resolve", None)
    if resolve is None:
        return False
    try:
        return bool(resolve(tag).digest == descriptor.digest)
    except NotFound:
        return False


def _bring(blob: Blob, sink: Sink, cache: Cache) -> None:
    if sink.has(blob.descriptor):
        return
    if blob.origin is not None and sink.mount(blob.descriptor, blob.origin):
        return
    with blob.open(cache) as stream:
        sink.put(blob.descriptor, stream)


def _put(sink: Sink, descriptor: Descriptor, raw: bytes) -> None:
    if not sink.has(descriptor):
        sink.put(descriptor, io.BytesIO(raw))


def _all(results: object) -> None:
    """Wait for every result, so that the first error is raised here."""
    for _ in results:  # type: ignore[attr-defined]
        pass
