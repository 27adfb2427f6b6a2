"""What lies around an image: what refers to it, and cosign's tags, of each manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.assemble.referrers import Listed, cosign_tags, find, referrers_tag
from layersmith.errors import intention
from layersmith.oci.documents import Manifest
from layersmith.oci.graph import Node, walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.assemble.places import Place
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.registry import Registries

__all__ = ["Around", "around"]

_PREDICATES: Final = ("dev.sigstore.bundle.predicateType", "predicateType")


@dataclass(frozen=True, slots=True)
class Around:
    """A document, what it is to the one above it, and what is about it."""

    what: str
    descriptor: Descriptor
    artifact_type: str = ""
    predicate_types: tuple[str, ...] = ()
    about: tuple[Around, ...] = ()
    below: tuple[Around, ...] = ()


def around(registries: Registries, place: Place) -> Around:
    """Return the index or manifest that `place` names, with all that is around it."""
    source = place.source(registries)
    with intention(f"reading {place}"):
        top = walk(source, source.resolve(place.identifier))
        listed = find(place, source, top.nodes())
        below = [one for node in (top, *(each.node for each in listed)) for one in node.nodes()]
        return _Map(listed, cosign_tags(source, below)).of(top)


class _Map:
    """Puts what was found to what it is about."""

    def __init__(self, listed: Sequence[Listed], tags: Mapping[str, Node]) -> None:
        self._tags = tags
        self._referrers: dict[Digest, list[Node]] = {}
        for one in listed:
            self._referrers.setdefault(one.subject, []).append(one.node)

    def of(self, node: Node, what: str = "") -> Around:
        """Return a document with what is about it, and about that."""
        document = node.document
        value: Any = document.value if document is not None else None
        platform = node.descriptor.platform
        own = "manifest" if isinstance(value, Manifest) else "index" if value else "other"
        return Around(
            what or (f"{own} {platform}" if platform else own),
            node.descriptor,
            getattr(value, "artifact_type", ""),
            _predicates(value),
            tuple(self._about(node.descriptor.digest)) if value is not None else (),
            tuple(self.of(child) for child in node.children),
        )

    def _about(self, digest: Digest) -> list[Around]:
        found = [self.of(node, "referrer") for node in self._referrers.get(digest, ())]
        prefix = f"{referrers_tag(digest)}."
        return found + [
            self.of(node, tag) for tag, node in self._tags.items() if tag.startswith(prefix)
        ]


def _predicates(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Manifest):
        return ()
    notes = [value.annotations, *(layer.annotations for layer in value.layers)]
    found = (note[key] for note in notes for key in _PREDICATES if key in note)
    return tuple(dict.fromkeys(found))
