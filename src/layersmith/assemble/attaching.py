"""Documents about images, attached to them as referrers (image-spec 1.1, manifest.md).

A referrer is a manifest without an image: `artifactType` says what it is, its one layer is
the document, `subject` the manifest that it is about. Registries list it, or the tag of the
subject's digest does (see `referrers`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from layersmith.assemble.delivery import Blob, Delivery
from layersmith.assemble.describing import keep, sboms
from layersmith.assemble.inputs import Input
from layersmith.assemble.outcome import Attached
from layersmith.assemble.reading import created_at
from layersmith.assemble.referrers import Listed, tag_lists
from layersmith.errors import InvalidInput, NotFound
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST, Descriptor, Document, Manifest
from layersmith.oci.graph import Node
from layersmith.stores.cache import CachedSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from layersmith.assemble.describing import Format
    from layersmith.assemble.places import Place, Repository
    from layersmith.assemble.publishing import Publication
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.content import Readable
    from layersmith.oci.documents import Index, Platform
    from layersmith.oci.image import Image

__all__ = [
    "attached_sboms", "attached_statement", "check_places", "lists_at", "referrer",
    "with_attached",
]  # fmt: skip

_CREATED: Final = "org.opencontainers.image.created"
_TITLE: Final = "org.opencontainers.image.title"
_STATEMENT: Final = "provenance.json"
_PREDICATE: Final = "in-toto.io/predicate-type"
_EMPTY: Final = b"{}"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"


def check_places(places: Iterable[Place]) -> None:
    """Raise :class:`InvalidInput` for a place that holds nothing but images."""
    for place in places:
        if place.holds_one:
            raise InvalidInput(
                f"{place} cannot hold what is about an image",
                hint="use an oci-archive; layersmith sbom writes files",
            )


def referrer(
    subject: Descriptor,
    content: Descriptor,
    artifact_type: str,
    title: str,
    epoch: int,
    annotations: Mapping[str, str] | None = None,
) -> Document[Manifest]:
    """Return the manifest that says `content` is about `subject`.

    `title` is how tools that pull artifacts call the file.
    """
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    empty = Descriptor(media_type=_EMPTY_TYPE, digest=Digest.of(_EMPTY), size=len(_EMPTY))
    json = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": _plain(empty),
        "layers": [{**_plain(content), "annotations": {_TITLE: title}}],
        "subject": _plain(subject),
        "annotations": dict(sorted({**(annotations or {}), _CREATED: created}.items())),
    }
    return Document.write(json, OCI_MANIFEST, Manifest)


def attached_sboms(
    workshop: Workshop, publication: Publication, formats: Sequence[Format]
) -> Iterator[Attached]:
    """Yield an SBOM of every platform in every format, attached to its manifest."""
    source = CachedSource(_Layers(publication), workshop.cache)
    input_ = Input(source, publication.origin, publication.top)
    for image in publication.images:
        contents = sboms(workshop, input_, image, formats)
        for one, content in zip(formats, contents, strict=True):
            yield _about(image, content, one.media_type, one.suffix)


def attached_statement(workshop: Workshop, publication: Publication) -> Iterator[Attached]:
    """Yield one statement of how the images were made, attached to the index and to each."""
    if publication.statement is None:
        return
    from layersmith.attest.provenance import MEDIA_TYPE, PREDICATE_TYPE, Subject  # noqa: PLC0415

    images = sorted(publication.images, key=lambda image: image.platform.key)
    top, name = publication.top.descriptor, publication.name
    about: dict[Digest, tuple[str, Platform | None]] = {top.digest: (name, None)}
    for image in images:
        about[image.manifest.descriptor.digest] = f"{name} {image.platform}", image.platform
    raw = publication.statement([Subject(said, digest) for digest, (said, _) in about.items()])
    content = keep(workshop, raw, MEDIA_TYPE)
    epoch = max(map(created_at, images))
    notes = {_PREDICATE: PREDICATE_TYPE}
    for subject in (top, *(image.manifest.descriptor for image in images)):
        manifest = referrer(subject, content, MEDIA_TYPE, _STATEMENT, epoch, notes)
        yield Attached(_STATEMENT, about[subject.digest][1], subject, content, manifest)


class _Layers:
    """A source of the layers that are published: each from who has it."""

    def __init__(self, publication: Publication) -> None:
        self.name = publication.name
        self._blobs = {blob.descriptor.digest: blob for blob in publication.blobs}

    def resolve(self, identifier: str) -> Descriptor:
        """Refuse: there are no tags, only layers."""
        raise NotFound(f"{identifier} is no layer of {self.name}")

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Readable]:
        """Open a layer, verified while it is read."""
        return self._blobs[descriptor.digest].open()


def with_attached(workshop: Workshop, delivery: Delivery, attached: Sequence[Attached]) -> Delivery:
    """Return the delivery of the images and of what is attached to them."""
    if not attached:
        return delivery
    contents = [keep(workshop, _EMPTY, _EMPTY_TYPE), *(one.content for one in attached)]
    manifests = [one.manifest for one in attached]
    return replace(
        delivery,
        blobs=[*delivery.blobs, *(Blob(content, workshop.cache, None) for content in contents)],
        stages=[*delivery.stages, manifests],
        beside=manifests,
    )


def lists_at(
    place: Place, sink: Repository, attached: Sequence[Attached]
) -> Mapping[str, Document[Index]]:
    """Return the tags that must list what is attached at a place that does not do so itself."""
    listed = [
        Listed(one.subject.digest, Node(one.manifest.descriptor, one.manifest)) for one in attached
    ]
    return tag_lists(place, sink, listed)


def _about(image: Image, content: Descriptor, artifact_type: str, suffix: str) -> Attached:
    subject = image.manifest.descriptor
    title = f"sbom.{suffix}"
    manifest = referrer(subject, content, artifact_type, title, created_at(image))
    return Attached(suffix, image.platform, subject, content, manifest)


def _plain(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
