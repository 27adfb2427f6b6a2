"""Putting signed documents beside an image, in either carrier; nothing is put there twice.

A tag that lists them is read, added to and written again: a registry has no way to do that
as one step. So it is looked at afterwards, and done again where somebody came between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from layersmith.assemble.finding import MOST, tag_of, tagged
from layersmith.assemble.referrers import Listed, tag_lists
from layersmith.attest.claims import SIGNED
from layersmith.attest.envelopes import BUNDLE
from layersmith.attest.judging import SIGNATURE, form_of
from layersmith.errors import DocumentError, NotFound, RegistryError
from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_MANIFEST, Descriptor, Document, Manifest
from layersmith.oci.graph import Node
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.assemble.places import Place, Repository

__all__ = ["attach_referrer", "attach_tag"]

_TRIES: Final = 3
_EMPTY: Final = "application/vnd.oci.empty.v1+json"
_ABOUT: Final = "dev.sigstore.bundle."
_NEVER: Final = "0001-01-01T00:00:00Z"


def attach_referrer(
    place: Place, repository: Repository, subject: Descriptor, raw: bytes, predicate_type: str
) -> Digest:
    """Put a bundle as a referrer of `subject` (cosign's BUNDLE_SPEC), and list it if need be."""
    layer, config = _blob(repository, raw, BUNDLE), _blob(repository, b"{}", _EMPTY)
    json = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": BUNDLE,
        "config": identified(config),
        "layers": [identified(layer)],
        "subject": identified(subject),
        "annotations": {
            f"{_ABOUT}content": "dsse-envelope",
            f"{_ABOUT}predicateType": predicate_type,
        },
    }
    manifest = _document(repository, json)
    listed = [Listed(subject.digest, Node(manifest.descriptor, manifest))]
    for _ in range(_TRIES):
        lists = tag_lists(place, repository, listed)
        if all(_stands(repository, tag, one.descriptor) for tag, one in lists.items()):
            return manifest.descriptor.digest
        for tag, one in lists.items():
            repository.put(one.descriptor, held(one.raw))
            repository.tag(tag, one.descriptor)
    raise _contended(repository)


def attach_tag(
    repository: Repository, subject: Digest, raw: bytes, predicate_type: str, signature: str
) -> Digest:
    """Add a payload with its signature, or an envelope, to what cosign's tag has."""
    tag = tag_of(subject, predicate_type)
    media_type = form_of(predicate_type)
    notes = {SIGNATURE: signature}
    if predicate_type != SIGNED:
        notes["predicateType"] = predicate_type
    layer = {**identified(_blob(repository, raw, media_type)), "annotations": notes}
    for _ in range(_TRIES):
        known = tagged(repository, tag)
        layers = list(known.json["layers"]) if known is not None else []
        if known is not None and layer in layers:
            return known.descriptor.digest
        if len(layers) >= MOST:
            raise DocumentError(f"{repository.name}: {tag} has {len(layers)} signatures already")
        manifest = _document(repository, _listing(repository, known, [*layers, layer]))
        repository.tag(tag, manifest.descriptor)
        if _stands(repository, tag, manifest.descriptor):
            return manifest.descriptor.digest
    raise _contended(repository)


def identified(descriptor: Descriptor) -> dict[str, Any]:
    """Return what identifies content, and nothing about its place in an index."""
    return {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }


def _listing(
    repository: Repository, known: Document[Manifest] | None, layers: list[dict[str, Any]]
) -> Mapping[str, Any]:
    """Return cosign's manifest of `layers`: an image whose config has no time and no platform."""
    config = {
        "architecture": "",
        "created": _NEVER,
        "history": [{"created": _NEVER} for _ in layers],
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        "config": {},
    }
    described = identified(_blob(repository, encode(config), OCI_CONFIG))
    below = known.json if known is not None else {"schemaVersion": 2, "mediaType": OCI_MANIFEST}
    return {**below, "config": described, "layers": layers}


def _blob(repository: Repository, raw: bytes, media_type: str) -> Descriptor:
    described = Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))
    if not repository.has(described):
        repository.put(described, held(raw))
    return described


def _document(repository: Repository, json: Mapping[str, Any]) -> Document[Manifest]:
    media_type = json.get("mediaType", OCI_MANIFEST)
    document = Document.write(json, media_type, Manifest)
    if not repository.has(document.descriptor):
        repository.put(document.descriptor, held(document.raw))
    return document


def _stands(repository: Repository, tag: str, descriptor: Descriptor) -> bool:
    try:
        return repository.resolve(tag).digest == descriptor.digest
    except NotFound:
        return False


def _contended(repository: Repository) -> RegistryError:
    return RegistryError(
        f"{repository.name}: somebody else writes signatures at the same time", hint="try again"
    )
