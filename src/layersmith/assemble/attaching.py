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
from layersmith.assemble.describing import format_of, keep, sboms
from layersmith.assemble.outcome import Attached
from layersmith.assemble.reading import created_at
from layersmith.assemble.referrers import Listed, tag_lists
from layersmith.errors import InvalidInput
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST, Descriptor, Document, Manifest
from layersmith.oci.graph import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from layersmith.assemble.inputs import Inputs
    from layersmith.assemble.outcome import Outcome
    from layersmith.assemble.places import Place, Repository
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.documents import Index
    from layersmith.oci.image import Image

__all__ = ["attached_sboms", "check_places", "lists_at", "referrer", "with_attached"]

_CREATED: Final = "org.opencontainers.image.created"
_TITLE: Final = "org.opencontainers.image.title"
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
    workshop: Workshop, inputs: Inputs, outcome: Outcome, names: Sequence[str]
) -> Iterator[Attached]:
    """Yield an SBOM of every platform in every format, attached to its manifest."""
    formats = [format_of(name) for name in names]
    for made in outcome.made:
        image = made.image
        contents = sboms(workshop, inputs[0], image, formats)
        for one, content in zip(formats, contents, strict=True):
            yield _about(image, content, one.media_type, one.suffix)


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
