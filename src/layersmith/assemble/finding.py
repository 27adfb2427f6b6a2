"""Finding what lies beside an image: signatures and attestations, in either carrier.

A bundle is a referrer (cosign's BUNDLE_SPEC). A signature of simple signing is a layer of
the manifest that has the tag ``sha256-....sig``, or of a referrer; an attestation one below
``sha256-....att``. What a list says of a referrer is not believed: cosign's own lists give
another type than the manifest has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from layersmith.assemble.referrers import listed, referrers_tag
from layersmith.attest.claims import SIGNED
from layersmith.attest.envelopes import BUNDLE
from layersmith.attest.judging import Document, form_of
from layersmith.attest.strict import MAX_PAYLOAD
from layersmith.errors import DocumentError, NotFound
from layersmith.oci.content import is_manifest
from layersmith.oci.documents import Descriptor, Index, Manifest
from layersmith.oci.documents import Document as Parsed
from layersmith.oci.image import load, load_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.assemble.places import Place
    from layersmith.oci.content import Source
    from layersmith.oci.digest import Digest

__all__ = ["MOST", "beside", "tag_of", "tagged"]

MOST: Final = 100
_TOGETHER: Final = 64 << 20
# As what the types of a referrer may be listed that has signatures in it.
_LISTED_AS: Final = frozenset(
    {
        "",
        BUNDLE,
        "application/vnd.oci.empty.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
    }
)


def tag_of(digest: Digest, predicate_type: str) -> str:
    """Return cosign's tag for the signatures of `digest`, or its attestations."""
    return f"{referrers_tag(digest)}.{'sig' if predicate_type == SIGNED else 'att'}"


def beside(place: Place, source: Source, digest: Digest, predicate_type: str) -> list[Document]:
    """Return what may be a signature of `digest`, or an attestation; not judged yet.

    Raises :class:`DocumentError` for more than 100, or more than 64 MiB of them, for what
    is listed as a referrer and is none, and for a manifest that cannot be read.
    """
    found: list[tuple[str, Descriptor]] = []
    tag = tag_of(digest, predicate_type)
    manifest = tagged(source, tag)
    if manifest is not None:
        found += [(f"{tag}, {n}", layer) for n, layer in enumerate(manifest.value.layers, 1)]
    for referrer in _referrers(place, source, digest):
        name = f"referrer {referrer.descriptor.digest}"
        found += [(name, layer) for layer in referrer.value.layers]
    kinds = (BUNDLE, form_of(predicate_type))
    found = [(where, layer) for where, layer in found if layer.media_type in kinds]
    if len(found) > MOST:
        raise DocumentError(f"{source.name}: {digest} has more than {MOST} signatures")
    if sum(layer.size for _, layer in found) > _TOGETHER:
        raise DocumentError(f"{source.name}: signatures of more than {_TOGETHER >> 20} MiB")
    return [_read(source, where, layer) for where, layer in found]


def tagged(source: Source, tag: str) -> Parsed[Manifest] | None:
    """Return the manifest that a tag of cosign's stands for, if there is one."""
    try:
        top = load(source, tag)
    except NotFound:
        return None
    return _manifest(source, top)


def _referrers(place: Place, source: Source, digest: Digest) -> Iterator[Parsed[Manifest]]:
    entries: Sequence[Descriptor] = [
        one
        for one in listed(place, source, digest)
        if is_manifest(one) and one.artifact_type in _LISTED_AS
    ]
    if len(entries) > MOST:
        raise DocumentError(f"{source.name}: {digest} has more than {MOST} signatures")
    for one in entries:
        manifest = _manifest(source, load_at(source, one))
        subject = manifest.value.subject
        if subject is None or subject.digest != digest:
            raise DocumentError(
                f"{source.name}: {one.digest} is listed as a referrer of {digest}, "
                "but does not refer to it"
            )
        yield manifest


def _manifest(source: Source, top: Parsed[Index] | Parsed[Manifest]) -> Parsed[Manifest]:
    if not isinstance(top.value, Manifest):
        raise DocumentError(f"{source.name}: {top.descriptor.digest} is an index, no signature")
    return top


def _read(source: Source, where: str, layer: Descriptor) -> Document:
    if layer.size > MAX_PAYLOAD:
        raise DocumentError(f"{source.name}: {where} is larger than {MAX_PAYLOAD >> 20} MiB")
    with source.open(layer) as stream:
        raw = stream.read()
    return Document(where, layer.media_type, raw, layer.annotations)
