"""SPDX 2.3 as JSON: an inventory as packages, files and how they relate.

The image CONTAINS its layers, its packages and the files of no package; a package CONTAINS
its files; packages and files are EXPANDED_FROM_ARCHIVE of the layers that they came in
(specification 2.3, clauses 7, 8 and 11). Nothing is concluded about licences.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith import __version__
from layersmith.attest.names import identifier, purl, shown, urn
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layersmith.attest.inventory import Component, Hashed, Inventory
    from layersmith.oci.image import Layer

__all__ = ["MEDIA_TYPE", "spdx"]

MEDIA_TYPE: Final = "application/spdx+json"
_NONE: Final = "NOASSERTION"
_DOCUMENT: Final = "SPDXRef-DOCUMENT"
_IMAGE: Final = "SPDXRef-Image"
_SYSTEM: Final = "SPDXRef-OperatingSystem"
_PERSON = re.compile(r"([^<>]*[^<> ]) *<([^<>]+)>")


class _Checksum(msgspec.Struct, frozen=True, rename="camel"):
    algorithm: str
    checksum_value: str


class _Reference(msgspec.Struct, frozen=True, rename="camel"):
    reference_category: str
    reference_type: str
    reference_locator: str


class _Code(msgspec.Struct, frozen=True, rename="camel"):
    package_verification_code_value: str


class _Package(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    version_info: str = ""
    supplier: str = ""
    download_location: str
    files_analyzed: bool
    package_verification_code: _Code | None = None
    checksums: tuple[_Checksum, ...] = ()
    source_info: str = ""
    license_concluded: str
    license_declared: str
    copyright_text: str
    comment: str = ""
    external_refs: tuple[_Reference, ...] = ()
    primary_package_purpose: str


class _File(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    spdx_id: str = msgspec.field(name="SPDXID")
    file_name: str
    checksums: tuple[_Checksum, ...]
    license_concluded: str
    copyright_text: str


class _Relationship(msgspec.Struct, frozen=True, rename="camel"):
    spdx_element_id: str
    relationship_type: str
    related_spdx_element: str


class _Creation(msgspec.Struct, frozen=True, rename="camel"):
    created: str
    creators: tuple[str, ...]


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    spdx_version: str
    data_license: str
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    document_namespace: str
    creation_info: _Creation
    packages: tuple[_Package, ...]
    files: tuple[_File, ...]
    relationships: tuple[_Relationship, ...]


def spdx(found: Inventory) -> bytes:
    """Return the document: the same bytes for the same inventory."""
    created = datetime.fromtimestamp(found.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = _Document(
        spdx_version="SPDX-2.3",
        data_license="CC0-1.0",
        spdx_id=_DOCUMENT,
        name=f"{found.name} {found.platform}",
        document_namespace=urn("spdx", __version__, found.digest),
        creation_info=_Creation(created, (f"Tool: layersmith-{__version__}",)),
        packages=tuple(_packages(found)),
        files=tuple(map(_file, found.files)),
        relationships=tuple(_relationships(found)),
    )
    return encode(document)


def _packages(found: Inventory) -> Iterator[_Package]:
    yield _made(
        _IMAGE,
        found.name,
        purpose="CONTAINER",
        version_info=found.digest,
        files=found.files,
        checksums=(_checksum(Digest(found.digest)),),
        external_refs=(
            _reference(
                purl("oci", found.name.lower(), found.digest, {"arch": found.platform.architecture})
            ),
        ),
    )
    if found.system is not None:
        yield _made(
            _SYSTEM,
            found.system.name,
            purpose="OPERATING_SYSTEM",
            version_info=found.system.version,
            comment=found.system.title,
        )
    for layer in _layers(found):
        yield _made(
            _layer_id(layer.diff_id),
            str(layer.descriptor.digest),
            purpose="ARCHIVE",
            checksums=(_checksum(layer.descriptor.digest),),
            comment=f"a layer of the image: {_of_layer(layer)}",
        )
    for component in found.components:
        yield _component(component)


def _component(component: Component) -> _Package:
    source = component.source
    references = [_reference(component.purl)]
    if component.cpe:
        references.append(_Reference("SECURITY", "cpe23Type", component.cpe))
    return _made(
        _component_id(component),
        component.name,
        purpose="APPLICATION" if component.kind == "cpython" else "LIBRARY",
        version_info=component.version,
        supplier=_supplier(component.supplier),
        files=component.files,
        source_info=f"built package from: {source[0]} {source[1]}" if source else "",
        license_declared=component.license or _NONE,
        comment=f"recorded in /{shown(component.place)}",
        external_refs=tuple(references),
    )


def _made(
    spdx_id: str,
    name: str,
    *,
    purpose: str,
    version_info: str = "",
    supplier: str = _NONE,
    files: Sequence[Hashed] = (),
    checksums: tuple[_Checksum, ...] = (),
    source_info: str = "",
    license_declared: str = _NONE,
    comment: str = "",
    external_refs: tuple[_Reference, ...] = (),
) -> _Package:
    return _Package(
        spdx_id=spdx_id,
        name=name,
        version_info=version_info,
        supplier=supplier,
        download_location=_NONE,
        files_analyzed=bool(files),
        package_verification_code=_Code(_verification_code(files)) if files else None,
        checksums=checksums,
        source_info=source_info,
        license_concluded=_NONE,
        license_declared=license_declared,
        copyright_text=_NONE,
        comment=comment,
        external_refs=external_refs,
        primary_package_purpose=purpose,
    )


def _verification_code(files: Iterable[Hashed]) -> str:
    """Return the SHA-1 of all files' SHA-1s, sorted and joined (clause 7.9.4)."""
    joined = "".join(sorted(file.sha1 for file in files))
    return hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()


def _supplier(text: str) -> str:
    if not text:
        return _NONE
    person = _PERSON.fullmatch(text)
    return f"Organization: {person[1]} ({person[2]})" if person else f"Organization: {text}"


def _file(file: Hashed) -> _File:
    return _File(
        spdx_id=_file_id(file),
        file_name=f"./{shown(file.path)}",
        checksums=(_Checksum("SHA1", file.sha1), _Checksum("SHA256", file.sha256)),
        license_concluded=_NONE,
        copyright_text=_NONE,
    )


def _relationships(found: Inventory) -> Iterator[_Relationship]:
    yield _Relationship(_DOCUMENT, "DESCRIBES", _IMAGE)
    if found.system is not None:
        yield _Relationship(_IMAGE, "CONTAINS", _SYSTEM)
    for layer in _layers(found):
        yield _Relationship(_IMAGE, "CONTAINS", _layer_id(layer.diff_id))
    for component in found.components:
        here = _component_id(component)
        yield _Relationship(_IMAGE, "CONTAINS", here)
        for diff_id in component.layers:
            yield _Relationship(here, "EXPANDED_FROM_ARCHIVE", _layer_id(diff_id))
        for file in component.files:
            yield _Relationship(here, "CONTAINS", _file_id(file))
    for file in found.others:
        yield _Relationship(_IMAGE, "CONTAINS", _file_id(file))
    for file in found.files:
        yield _Relationship(_file_id(file), "EXPANDED_FROM_ARCHIVE", _layer_id(file.layer))


def _layers(found: Inventory) -> list[Layer]:
    """Return each layer once: an image may have one, an empty one say, several times."""
    return list({layer.diff_id: layer for layer in found.layers}.values())


def _of_layer(layer: Layer) -> str:
    return f"diff_id {layer.diff_id}, {layer.descriptor.size} bytes {layer.descriptor.media_type}"


def _layer_id(diff_id: str) -> str:
    return f"SPDXRef-Layer-{Digest(diff_id).encoded}"


def _component_id(component: Component) -> str:
    name = identifier(component.kind, component.name, component.purl, component.place)
    return f"SPDXRef-{name}"


def _file_id(file: Hashed) -> str:
    return f"SPDXRef-{identifier('File', file.path.rpartition('/')[2], file.path)}"


def _reference(locator: str) -> _Reference:
    return _Reference("PACKAGE-MANAGER", "purl", locator)


def _checksum(digest: Digest) -> _Checksum:
    return _Checksum(digest.algorithm.upper(), digest.encoded)
