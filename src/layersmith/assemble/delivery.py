"""Delivery: blobs first, then the documents from below to above, and the tags last.

A reader who sees a tag can have everything below it. Blobs that another repository of
the same registry holds are mounted, not moved.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from layersmith.errors import LayersmithError, MissingContent, intention
from layersmith.oci.content import held
from layersmith.oci.documents import Index, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from layersmith.assemble.crew import Crew
    from layersmith.oci.content import Readable, Sink
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Descriptor, Document
    from layersmith.oci.image import Image
    from layersmith.oci.reference import Reference

__all__ = [
    "Blob",
    "Delivery",
    "Destination",
    "Holder",
    "Stale",
    "bring",
    "deliver",
    "stale",
]

_WRITERS: Final = 16  # most requests are small: it is the way there and back that takes time
_HEALINGS: Final = 3


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
    `beside` are those of its documents that refer to the others: signatures, SBOMs.
    """

    top: Descriptor
    blobs: Sequence[Blob]
    stages: Sequence[Sequence[Document[Any]]]
    names: Sequence[tuple[str, Descriptor]] = ()
    anyway: bool = False
    beside: Sequence[Document[Any]] = ()

    @classmethod
    def of_images(
        cls,
        top: Document[Index] | Document[Manifest],
        images: Sequence[Image],
        blobs: Sequence[Blob],
    ) -> Delivery:
        """Return the delivery of an index over `images`, or of one; their layers are `blobs`."""
        configs = {image.config.descriptor.digest: image.config for image in images}
        stages = (list(configs.values()), [image.manifest for image in images], [top])
        return cls(top=top.descriptor, blobs=blobs, stages=stages)


@dataclass(frozen=True, slots=True)
class Destination:
    """A place to deliver to, and the tags that the index gets there.

    `lists` says which tags must list what is beside the images, where the place does not.
    `settle` is called when all is there but names: who finds a tag finds what it puts, too.
    """

    sink: Sink
    tags: Sequence[str]
    lists: Callable[[], Mapping[str, Document[Any]]] = dict
    settle: Callable[[], None] = lambda: None


# A destination, and one of its tags that does not stand for what is delivered yet.
Stale: TypeAlias = "tuple[Destination, str]"


def deliver(delivery: Delivery, destinations: Sequence[Destination], crew: Crew) -> None:
    """Bring everything to every destination, and only then write the tags.

    A destination whose tags all stand for `top` already is left alone. Raises as
    :func:`bring` does.
    """
    bring(delivery, stale(delivery, destinations), crew)


def stale(delivery: Delivery, destinations: Sequence[Destination]) -> list[Stale]:
    """Return the tags that have to be written: one question each, and what is beside them."""
    found: list[Stale] = []
    for destination in destinations:
        tags = [
            tag
            for tag in destination.tags
            if delivery.anyway or not destination.sink.stands_for(tag, delivery.top)
        ]
        if not tags and not _has_beside(delivery, destination):
            tags = list(destination.tags)
        found += [(destination, tag) for tag in tags]
    return found


def _has_beside(delivery: Delivery, destination: Destination) -> bool:
    """Tell whether what refers to the images is there, and listed."""
    sink = destination.sink
    if not all(sink.has(document.descriptor) for document in delivery.beside):
        return False
    lists = destination.lists() if delivery.beside else {}
    return all(sink.stands_for(tag, listed.descriptor) for tag, listed in lists.items())


def bring(delivery: Delivery, tags: Sequence[Stale], crew: Crew) -> None:
    """Bring everything to where `tags` are, settle it, and only then write them.

    Raises :class:`StoreError`; then no tag has been written, and what was put is removed
    where the place allows it. Only where a later of several tags fails are there earlier ones: no
    registry writes two at once, and the error names them.
    """
    waiting = list({id(destination): destination for destination, _ in tags}.values())
    carriers = {id(d): _Carrier(delivery, d.sink) for d in waiting}
    try:
        for destination in waiting:
            with intention(f"delivering to {destination.sink.name}"):
                carriers[id(destination)].bring_all(crew)
                destination.settle()
        for destination in waiting:
            for name, descriptor in delivery.names:
                carriers[id(destination)].tag(name, descriptor)
            if delivery.beside:
                carriers[id(destination)].list_beside(destination.lists())
        written: list[str] = []
        for destination, tag in tags:
            with _remembering(written):
                carriers[id(destination)].tag(tag, delivery.top)
            written.append(f"{destination.sink.name}:{tag}")
    except BaseException:
        for destination in waiting:
            with suppress(LayersmithError):
                destination.sink.abandon()
        raise


@contextmanager
def _remembering(written: Sequence[str]) -> Iterator[None]:
    """Say in an error which tags stand for the new image already."""
    try:
        yield
    except LayersmithError as error:
        if written:
            already = f"{', '.join(written)} was written already: run again"
            error.hint = f"{error.hint}; {already}" if error.hint else already
        raise


class _Carrier:
    """Brings one delivery to one sink.

    What a sink said it had may be gone when a document names it (collected as garbage,
    or never whole): then it is brought without asking, and the document again.
    """

    def __init__(self, delivery: Delivery, sink: Sink) -> None:
        self._sink = sink
        self._stages = delivery.stages
        self._blobs = {blob.descriptor.digest: blob for blob in delivery.blobs}
        self._documents = {
            document.descriptor.digest: document for stage in delivery.stages for document in stage
        }

    def bring_all(self, crew: Crew) -> None:
        """Bring the blobs, then the documents stage by stage."""
        # The largest first: small ones are mounted while it is moved.
        blobs = sorted(self._blobs.values(), key=lambda blob: -blob.descriptor.size)
        with crew.pool(_WRITERS, "deliver") as pool:
            _all(pool.map(self._bring_blob, blobs))
            for stage in self._stages:
                _all(pool.map(self._bring_document, stage))

    def list_beside(self, lists: Mapping[str, Document[Any]]) -> None:
        """Bring the lists of what refers to the images, each under its tag."""
        for name, document in lists.items():
            self._documents[document.descriptor.digest] = document
            self._bring_document(document)
            self.tag(name, document.descriptor)

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Let `name` stand for a document that was brought."""
        _completing(
            lambda: self._sink.tag(name, descriptor), lambda: self._renew(descriptor.digest)
        )

    def _renew(self, digest: Digest) -> None:
        """Put what a document names, and then the document, as if nothing of it were there."""
        if document := self._documents.get(digest):
            self._put_below(document)
            self._put(digest)

    def _put_below(self, document: Document[Any]) -> None:
        """Put what a document names."""
        for named in _named(document):
            self._put(named.digest)

    def _bring_blob(self, blob: Blob) -> None:
        # A mount answers whether the blob is there too, in fewer requests than asking first.
        if blob.origin is not None and self._sink.mount(blob.descriptor, blob.origin):
            return
        if not self._sink.has(blob.descriptor):
            self._put(blob.descriptor.digest)

    def _bring_document(self, document: Document[Any]) -> None:
        if not self._sink.has(document.descriptor):
            self._put(document.descriptor.digest)

    def _put(self, digest: Digest) -> None:
        """Put a blob or a document; where the sink lacks what that names, all of it first.

        What is not of this delivery (a subject, say) cannot be brought.
        """
        if blob := self._blobs.get(digest):
            self._sink.put(blob.descriptor, blob.open)
        elif document := self._documents.get(digest):

            def put() -> None:
                self._sink.put(document.descriptor, held(document.raw))

            _completing(put, lambda: self._put_below(document))


def _named(document: Document[Any]) -> Sequence[Descriptor]:
    """Return what a manifest or an index names; other documents name nothing."""
    value = document.value
    if isinstance(value, Manifest):
        return [value.config, *value.layers]
    return value.manifests if isinstance(value, Index) else ()


def _completing(put: Callable[[], None], bring: Callable[[], None]) -> None:
    """Call `put`; where it finds content missing, `bring` that and call it again."""
    for _ in range(_HEALINGS):
        try:
            put()
        except MissingContent:
            bring()
        else:
            return
    put()


def _all(results: Iterator[None]) -> None:
    """Wait for every result, so that the first error is raised here."""
    for _ in results:
        pass
