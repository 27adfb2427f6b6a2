"""CycloneDX 1.6 as JSON: an inventory as components, files inside the packages they belong to.

The layers are properties of the image, in order; every component and file names its own by
diff_id. The serial number is a UUID made from the manifest's digest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from layersmith import __version__
from layersmith.attest.names import identifier, purl, shown, urn
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.attest.inventory import Component, Hashed, Inventory

__all__ = ["MEDIA_TYPE", "cyclonedx"]

MEDIA_TYPE: Final = "application/vnd.cyclonedx+json"
_OURS: Final = "layersmith:"
_ALGORITHMS: Final = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


class _Hash(msgspec.Struct, frozen=True):
    alg: str
    content: str


class _Property(msgspec.Struct, frozen=True):
    name: str
    value: str


class _Component(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    type: str
    bom_ref: str = msgspec.field(default="", name="bom-ref")
    supplier: dict[str, str] | None = None
    name: str
    version: str = ""
    hashes: tuple[_Hash, ...] = ()
    licenses: tuple[dict[str, Any], ...] = ()
    cpe: str = ""
    purl: str = ""
    properties: tuple[_Property, ...] = ()
    components: tuple[_Component, ...] = ()


class _Metadata(msgspec.Struct, frozen=True, kw_only=True):
    timestamp: str
    tools: dict[str, tuple[_Component, ...]]
    component: _Component


class _Dependency(msgspec.Struct, frozen=True, rename="camel"):
    ref: str
    depends_on: tuple[str, ...]


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    schema: str = msgspec.field(name="$schema")
    bom_format: str
    spec_version: str
    serial_number: str
    version: int
    metadata: _Metadata
    components: tuple[_Component, ...]
    dependencies: tuple[_Dependency, ...]


def cyclonedx(found: Inventory) -> bytes:
    """Return the document: the same bytes for the same inventory."""
    image = _image(found)
    packages = tuple(map(_package, found.components))
    document = _Document(
        schema="http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format="CycloneDX",
        spec_version="1.6",
        serial_number=urn("cyclonedx", __version__, found.digest),
        version=1,
        metadata=_Metadata(
            timestamp=datetime.fromtimestamp(found.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            tools={"components": (_tool(),)},
            component=image,
        ),
        components=(*_system(found), *packages, *map(_file, found.others)),
        dependencies=(
            _Dependency(image.bom_ref, tuple(package.bom_ref for package in packages)),
            *(_Dependency(package.bom_ref, ()) for package in packages),
        ),
    )
    return encode(document)


def _tool() -> _Component:
    return _Component(type="application", name="layersmith", version=__version__)


def _image(found: Inventory) -> _Component:
    reference = purl("oci", found.name.lower(), found.digest, {"arch": found.platform.architecture})
    digest = Digest(found.digest)
    properties = [_Property(f"{_OURS}platform", str(found.platform))]
    for number, layer in enumerate(found.layers):
        properties.append(_Property(f"{_OURS}layer:{number}:digest", str(layer.descriptor.digest)))
        properties.append(_Property(f"{_OURS}layer:{number}:diff-id", str(layer.diff_id)))
    return _Component(
        type="container",
        bom_ref=reference,
        name=found.name,
        version=found.digest,
        hashes=(_Hash(_ALGORITHMS[digest.algorithm], digest.encoded),),
        purl=reference,
        properties=tuple(properties),
    )


def _system(found: Inventory) -> Iterator[_Component]:
    if found.system is not None:
        yield _Component(
            type="operating-system",
            bom_ref="operating-system",
            name=found.system.name,
            version=found.system.version,
        )


def _package(component: Component) -> _Component:
    about = [_Property(f"{_OURS}kind", component.kind)]
    about += [_Property(f"{_OURS}layer", layer) for layer in component.layers]
    about.append(_Property(f"{_OURS}record", f"/{shown(component.place)}"))
    if component.source is not None:
        about.append(_Property(f"{_OURS}source:name", component.source[0]))
        about.append(_Property(f"{_OURS}source:version", component.source[1]))
    return _Component(
        type="application" if component.kind == "cpython" else "library",
        bom_ref=identifier(component.kind, component.name, component.purl, component.place),
        supplier={"name": component.supplier} if component.supplier else None,
        name=component.name,
        version=component.version,
        licenses=({"expression": component.license},) if component.license else (),
        cpe=component.cpe,
        purl=component.purl,
        properties=tuple(about),
        components=tuple(map(_file, component.files)),
    )


def _file(file: Hashed) -> _Component:
    return _Component(
        type="file",
        bom_ref=identifier("file", file.path.rpartition("/")[2], file.path),
        name=f"/{shown(file.path)}",
        hashes=(_Hash("SHA-1", file.sha1), _Hash("SHA-256", file.sha256)),
        properties=(_Property(f"{_OURS}layer", file.layer),),
    )
