"""Reading back the SBOMs that layersmith writes: the packages of an image without the image.

Only what :mod:`layersmith.attest.spdx` and :mod:`layersmith.attest.cyclonedx` write is read:
other tools' SBOMs name source packages and records in other places, or not at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from layersmith.errors import DocumentError
from layersmith.oci.strictjson import decode, typed
from layersmith.scan.subjects import Place, subject

if TYPE_CHECKING:
    from layersmith.scan.subjects import Subject

__all__ = ["MAX_SBOM", "packages"]

MAX_SBOM: Final = 256 << 20
_KINDS: Final = {"pkg:deb/": "debian", "pkg:pypi/": "python", "pkg:generic/python@": "cpython"}
_SOURCE = re.compile(r"built package from: (\S+) (\S+)")
_RECORD = re.compile(r"recorded in /(.+)", re.DOTALL)
_LAYER: Final = "SPDXRef-Layer-"
_OURS: Final = "layersmith:"


class _Reference(msgspec.Struct, rename="camel"):
    reference_type: str
    reference_locator: str


class _Package(msgspec.Struct, rename="camel"):
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    version_info: str = ""
    source_info: str = ""
    comment: str = ""
    external_refs: tuple[_Reference, ...] = ()


class _Relationship(msgspec.Struct, rename="camel"):
    spdx_element_id: str
    relationship_type: str
    related_spdx_element: str


class _Creation(msgspec.Struct):
    creators: tuple[str, ...]


class _Spdx(msgspec.Struct, rename="camel"):
    name: str
    creation_info: _Creation
    packages: tuple[_Package, ...]
    relationships: tuple[_Relationship, ...]


class _Property(msgspec.Struct):
    name: str
    value: str


class _Component(msgspec.Struct):
    name: str
    version: str = ""
    purl: str = ""
    properties: tuple[_Property, ...] = ()

    def said(self, key: str) -> str:
        return next((one.value for one in self.properties if one.name == f"{_OURS}{key}"), "")


class _Metadata(msgspec.Struct):
    component: _Component
    tools: dict[str, tuple[_Component, ...]]


class _CycloneDx(msgspec.Struct):
    metadata: _Metadata
    components: tuple[_Component, ...]


def packages(raw: bytes, what: str) -> list[Subject]:
    """Return the packages that an SBOM of ours lists.

    Raises :class:`DocumentError` for what is none.
    """
    document = decode(raw, what, limit=MAX_SBOM)
    keys = document.keys() if isinstance(document, dict) else ()
    if "spdxVersion" in keys:
        return _of_spdx(document, what)
    if "bomFormat" in keys:
        return _of_cyclonedx(document, what)
    raise DocumentError(f"{what} is neither SPDX nor CycloneDX in JSON")


def _of_spdx(document: Any, what: str) -> list[Subject]:
    said = typed(document, _Spdx, what)
    _check(any(one.startswith("Tool: layersmith-") for one in said.creation_info.creators), what)
    layers = defaultdict(list)
    for one in said.relationships:
        if one.relationship_type == "EXPANDED_FROM_ARCHIVE":
            layers[one.spdx_element_id].append(one.related_spdx_element)
    platform = said.name.rpartition(" ")[2]
    found = []
    for package in said.packages:
        purl = _purl([r.reference_locator for r in package.external_refs])
        if not purl:
            continue
        source, record = _SOURCE.fullmatch(package.source_info), _RECORD.fullmatch(package.comment)
        layer = next(iter(layers[package.spdx_id]), "")
        place = Place(
            platform,
            record[1] if record else "",
            f"sha256:{layer.removeprefix(_LAYER)}" if layer.startswith(_LAYER) else "",
        )
        pair = (source[1], source[2]) if source else None
        found.append(_subject(package.name, package.version_info, purl, pair, place, what))
    return found


def _of_cyclonedx(document: Any, what: str) -> list[Subject]:
    said = typed(document, _CycloneDx, what)
    tools = said.metadata.tools.get("components", ())
    _check(any(tool.name == "layersmith" for tool in tools), what)
    platform = said.metadata.component.said("platform")
    found = []
    for one in said.components:
        if not (purl := _purl([one.purl])):
            continue
        place = Place(platform, one.said("record").removeprefix("/"), one.said("layer"))
        names = one.said("source:name"), one.said("source:version")
        found.append(
            _subject(one.name, one.version, purl, names if all(names) else None, place, what)
        )
    return found


def _purl(locators: list[str]) -> str:
    """Return the package URL of what is looked up; images, say, are not."""
    return next((text for text in locators if text.startswith(tuple(_KINDS))), "")


def _subject(
    name: str, version: str, purl: str, source: tuple[str, str] | None, place: Place, what: str
) -> Subject:
    kind = next(kind for start, kind in _KINDS.items() if purl.startswith(start))
    # By its binary package's name an entry would not be found, and nobody would notice.
    _check(bool(version and place.record) and (kind != "debian" or source is not None), what)
    return subject(kind, name, version, purl, source, place)


def _check(is_ours: bool, what: str) -> None:
    if not is_ours:
        raise DocumentError(
            f"{what} is not an SBOM that layersmith wrote",
            hint="scan the image itself, or make one: layersmith sbom REF -o FILE",
        )
