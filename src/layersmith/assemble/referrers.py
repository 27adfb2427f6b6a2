"""Referrers: signatures, SBOMs and the like, found and handed on (distribution-spec 1.1).

A registry either keeps the list of what refers to a digest itself, or clients keep it
as an index under a tag made of the digest ("Referrers Tag Schema"). Layouts and
archives have only the latter. cosign's signatures, attestations and SBOMs refer to
nothing: they have tags made of the digest of what they are about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import DocumentError, NotFound
from layersmith.oci.content import is_manifest
from layersmith.oci.documents import OCI_INDEX, Descriptor, Document, Index, Manifest
from layersmith.oci.graph import Node, walk
from layersmith.oci.image import load
from layersmith.oci.strictjson import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layersmith.assemble.places import Place, Repository
    from layersmith.oci.content import Source
    from layersmith.oci.digest import Digest

__all__ = ["Listed", "cosign_tags", "find", "listed", "referrers_tag", "tag_lists"]

_MAX_REFERRERS: Final = 1000
_COSIGN_TAGS: Final = ("sig", "att", "sbom")


def referrers_tag(digest: Digest) -> str:
    """Return the tag that lists what refers to `digest`: ``sha256-...``, shortened."""
    return f"{digest.algorithm}-{digest.encoded[:64]}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A referrer with all that is below it, and what it refers to."""

    subject: Digest
    node: Node


def find(place: Place, source: Repository, nodes: Iterable[Node]) -> list[Listed]:
    """Return the referrers of `nodes`, and theirs: signatures of SBOMs too.

    Raises :class:`DocumentError` for a list that names something else.
    """
    todo = list({node.descriptor.digest: node for node in nodes if node.document is not None})
    found: dict[Digest, Listed] = {}
    for subject in todo:
        for descriptor in listed(place, source, subject):
            if descriptor.digest in found or not is_manifest(descriptor):
                continue
            node = walk(source, descriptor)
            said = node.document.value.subject if node.document else None
            if said is None or said.digest != subject:
                raise DocumentError(
                    f"{source.name}: {descriptor.digest} is listed as a referrer of {subject}, "
                    "but does not refer to it"
                )
            found[descriptor.digest] = Listed(subject, node)
            todo.append(descriptor.digest)
            if len(found) > _MAX_REFERRERS:
                raise DocumentError(f"{source.name}: more than {_MAX_REFERRERS} referrers")
    return list(found.values())


def cosign_tags(source: Repository, nodes: Iterable[Node]) -> dict[str, Node]:
    """Return by tag what cosign keeps beside `nodes`, and beside that."""
    todo = list({node.descriptor.digest: node for node in nodes if node.document is not None})
    found: dict[str, Node] = {}
    for digest in todo:
        for kind in _COSIGN_TAGS:
            tag = f"{referrers_tag(digest)}.{kind}"
            try:
                top = source.resolve(tag)
            except NotFound:
                continue
            found[tag] = walk(source, top)
            todo += [top.digest] if top.digest not in todo else []
            if len(found) > _MAX_REFERRERS:
                raise DocumentError(f"{source.name}: more than {_MAX_REFERRERS} tags of cosign's")
    return found


def tag_lists(
    place: Place, sink: Repository, referrers: Sequence[Listed]
) -> dict[str, Document[Index]]:
    """Return the referrers tags that `sink` needs, with what else they list there.

    None are needed where the registry has the API: it lists what is pushed.
    """
    if not referrers:
        return {}
    if place.reference is not None and _ask(sink, referrers[0].subject) is not None:
        return {}
    lists: dict[str, dict[Digest, dict[str, Any]]] = {}
    for one in referrers:
        tag = referrers_tag(one.subject)
        if tag not in lists:
            # An archive is written anew: what it lists now will be gone.
            known = () if "archive" in place.kind else _tagged(sink, tag)
            lists[tag] = {d.digest: _json(d) for d in known}
        lists[tag][one.node.descriptor.digest] = _entry(one.node)
    return {tag: _index(list(entries.values())) for tag, entries in lists.items()}


def listed(place: Place, source: Source, subject: Digest) -> Sequence[Descriptor]:
    """Return what the registry, or the tag that stands in for its API, lists for `subject`."""
    known = _ask(source, subject) if place.reference is not None else None
    return _tagged(source, referrers_tag(subject)) if known is None else known


def _ask(repository: Source, subject: Digest) -> list[Descriptor] | None:
    from layersmith.stores.registry_repository import RegistryRepository  # noqa: PLC0415
    from layersmith.stores.registry_tags import RegistryListing  # noqa: PLC0415 - the network

    if not isinstance(repository, RegistryRepository):  # a bundle has what was in a registry
        return None
    return RegistryListing(repository).referrers(subject)


def _tagged(source: Source, tag: str) -> Sequence[Descriptor]:
    try:
        top = load(source, tag)
    except NotFound:
        return ()
    return top.value.manifests if isinstance(top.value, Index) else ()


def _entry(node: Node) -> dict[str, Any]:
    """Describe a referrer: the list says what it is, and repeats its annotations."""
    assert node.document is not None
    value = node.document.value
    kind = value.artifact_type or (value.config.media_type if isinstance(value, Manifest) else "")
    described: dict[str, Any] = {
        "mediaType": node.descriptor.media_type,
        "digest": node.descriptor.digest,
        "size": node.descriptor.size,
    }
    if kind:
        described["artifactType"] = kind
    if value.annotations:
        described["annotations"] = dict(sorted(value.annotations.items()))
    return described


def _json(descriptor: Descriptor) -> dict[str, Any]:
    value: dict[str, Any] = decode(encode(descriptor), "descriptor")
    return value


def _index(entries: Sequence[dict[str, Any]]) -> Document[Index]:
    ordered = sorted(entries, key=lambda entry: str(entry["digest"]))
    json = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": ordered}
    return Document.write(json, OCI_INDEX, Index)
