"""The ``index.json`` of a layout: names that stand for manifests (image-spec image-layout.md).

Values: a directory and an archive read and change it the same way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import DocumentError, NotFound, one_line
from layersmith.oci.documents import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    Descriptor,
    refuse_ambiguous,
    refuse_twins,
)
from layersmith.oci.graph import find_below
from layersmith.oci.strictjson import decode, encode, typed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.oci.content import Source

__all__ = ["LAYOUT_VERSION", "REF_NAME", "RefNames"]

REF_NAME: Final = "org.opencontainers.image.ref.name"
LAYOUT_VERSION: Final = b'{"imageLayoutVersion":"1.0.0"}'
_NEW: Final[Mapping[str, Any]] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
_MOST_SHOWN: Final = 30
# Tags made of a digest: what refers to it, and what cosign has about it. No images' names.
_BESIDE: Final = re.compile(r"sha(?:256|512)-[0-9a-f]{64}(?:\.[a-z]+)?")


class RefNames:
    """One ``index.json``; :meth:`tagged` returns another, with everything unknown kept."""

    def __init__(self, json: Mapping[str, Any] = _NEW) -> None:
        self._json = json

    @classmethod
    def parse(cls, raw: bytes, what: str) -> RefNames:
        """Read verified JSON; raises :class:`DocumentError`."""
        json = decode(raw, what)
        if not isinstance(json, dict):
            raise DocumentError(f"{what}: not an index")
        refuse_twins(json, what)
        refuse_ambiguous(json, OCI_INDEX, what)
        manifests = json.get("manifests") or []  # a new layout of umoci's has null
        typed(manifests, list[Descriptor], what)
        return cls({**json, "manifests": manifests})

    @property
    def raw(self) -> bytes:
        """The bytes of the file."""
        return encode(self._json)

    @property
    def entries(self) -> list[Descriptor]:
        """The manifests and indexes in it; other things may lie beside them."""
        found = typed(self._json["manifests"], list[Descriptor], "index.json")
        return [d for d in found if d.media_type in INDEX_TYPES | MANIFEST_TYPES]

    @property
    def names(self) -> list[str]:
        """Every name, sorted."""
        names = {d.annotations.get(REF_NAME, "") for d in self.entries}
        return sorted(names - {""})

    def resolve(self, identifier: str, source: Source, hint: str) -> Descriptor:
        """Return what a name or digest stands for; the only image if there is one.

        A digest may be of what an index of `source` names, as that of a platform's manifest is.
        Raises :class:`NotFound`, naming what is there.
        """
        entries = self.entries
        named = [d for d in entries if d.annotations.get(REF_NAME) == identifier]
        digest = [d for d in entries if d.digest == identifier]
        if named or digest:
            return (named or digest)[-1]
        images = [d for d in entries if not _BESIDE.fullmatch(d.annotations.get(REF_NAME, ""))]
        if identifier == "latest" and len({d.digest for d in images}) == 1:
            return images[0]
        if ":" in identifier and (below := find_below(source, entries, identifier)):
            return below
        names = sorted({d.annotations.get(REF_NAME, "(untagged)") for d in entries})
        there = ", ".join(names[:_MOST_SHOWN]) or "nothing"
        shown = one_line(identifier, 140)
        raise NotFound(f"{source.name} has no {shown!r}", hint=f"it has: {there}; {hint}")

    def tagged(self, name: str, descriptor: Descriptor, **more: str) -> RefNames:
        """Return the index in which `name`, annotated with `more`, stands for a manifest."""
        entry = {
            "mediaType": descriptor.media_type,
            "digest": descriptor.digest,
            "size": descriptor.size,
            "annotations": {REF_NAME: name, **more},
        }
        others = [m for m in self._json["manifests"] if _name(m) != name]
        return RefNames({**self._json, "manifests": sorted([*others, entry], key=_order)})


def _order(entry: dict[str, Any]) -> tuple[str, str]:
    return _name(entry), str(entry.get("digest", ""))


def _name(entry: dict[str, Any]) -> str:
    return str((entry.get("annotations") or {}).get(REF_NAME, ""))
