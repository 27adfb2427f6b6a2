"""SBOMs held against the official schemas, and the image that unit tests describe."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator, Draft201909Validator
from referencing import Registry, Resource
from tests.build.image import Made
from tests.build.layers import LayerContents, changes
from tests.build.tar import archive, file, hard_link, symlink
from tests.fakes.memory import Memory

from layersmith.attest.survey import survey
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Manifest
from layersmith.oci.image import image_of, load_at
from layersmith.rootfs.layer import overlay
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.attest.inventory import Inventory

SCHEMAS = Path(__file__).parent.parent / "schemas"
RECORDS = "var/lib/dpkg/status.d"
SITE = "usr/local/lib/python3.13/site-packages"
PYTHON = b"\x7fELF..\x003.13.5\x00.."


def faults(raw: bytes) -> list[str]:
    """Return what the official schema says against a document, SPDX or CycloneDX."""
    document = json.loads(raw)
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
        for error in _validator("spdxVersion" in document).iter_errors(document)
    ]


@cache
def _validator(is_spdx: bool) -> Draft7Validator | Draft201909Validator:
    if is_spdx:
        return Draft201909Validator(_schema("spdx-schema-2.3.json"))
    schema = _schema("bom-1.6.SNAPSHOT.schema.json")
    base = schema["$id"].rpartition("/")[0]
    beside = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    registry: Registry[Any] = Registry().with_resources(
        (f"{base}/{name}", Resource.from_contents(_schema(name))) for name in beside
    )
    return Draft7Validator(schema, registry=registry)


def _schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text())


def debian(
    name: str, files: Mapping[str, bytes], *more: str, version: str = "1.0-1"
) -> list[bytes]:
    """Return a package's record, as distroless has it, and its files."""
    control = [f"Package: {name}", f"Version: {version}", "Architecture: amd64", *more]
    sums = [
        f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {path}"
        for path, content in files.items()
    ]
    return [
        file(f"{RECORDS}/{name}", "".join(f"{line}\n" for line in control).encode()),
        file(f"{RECORDS}/{name}.md5sums", "".join(f"{line}\n" for line in sums).encode()),
        *(file(path, content) for path, content in files.items()),
    ]


BASE = archive(
    *debian(
        "libstdc++6",
        {"usr/lib/libstdc++.so.6": b"c++", "usr/lib/changed": b"as packaged"},
        "Source: gcc-14 (14.2.0-19)",
        "Maintainer: Debian GCC Maintainers <debian-gcc@lists.debian.example>",
        version="14.2.0-19+b1~x",
    ),
    file("usr/lib/os-release", b'PRETTY_NAME="Distroless"\nID="debian"\nVERSION_ID="13"\n'),
    symlink("etc/os-release", "../usr/lib/os-release"),
    file("etc/passwd", b"root"),
    symlink("lib", "usr/lib"),
)
OURS = archive(
    *debian("libffi8", {"usr/lib/libffi.so.8.1": b"ffi"}),
    hard_link("usr/lib/libffi.so.8.2", "usr/lib/libffi.so.8.1"),
    file("usr/lib/changed", b"by hand"),
    file("usr/local/lib/libpython3.13.so.1.0", PYTHON),
    file("usr/local/bin/python3.13", b"program"),
    file("usr/local/lib/python3.13/os.py", b"os"),
    file(f"{SITE}/flask_x/__init__.py", b"flask"),
    file(f"{SITE}/stray.py", b"?"),
    file(
        f"{SITE}/Flask_X-1.2.dist-info/METADATA",
        b"Name: Flask.X\nVersion: 1.2\nLicense-Expression: BSD-3-Clause\n",
    ),
    file(f"{SITE}/Flask_X-1.2.dist-info/RECORD", b"flask_x/__init__.py,,\n"),
    file(b"srv/\xff\n\x1b", b"odd"),
)
EPOCH = 1_700_000_000


def taken(layers: Sequence[bytes] = (BASE, OURS), **manifest: Any) -> Inventory:
    """Return the inventory of an image of these layers."""
    store = Memory()
    described = Made(layers, manifest=manifest).put(store)
    document = load_at(store, described)
    assert isinstance(document.value, Manifest)
    image = image_of(store, document)
    named = {str(Digest.of(tar)): tar for tar in layers}
    tree = overlay([changes(tar, name) for name, tar in named.items()])
    return survey(image, Root(tree, LayerContents(named)), EPOCH)
