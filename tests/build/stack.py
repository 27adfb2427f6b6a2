"""Images of given blobs in a layout, written at once: for hundreds of them, and no fsync."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.build.image import compressed

from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from layersmith.oci.image import Layer
from layersmith.stores.refnames import LAYOUT_VERSION, REF_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SUFFIX = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}


@dataclass(frozen=True)
class Blob:
    """A layer as it is stored, and the tar that it is meant to be."""

    data: bytes
    compression: str
    tar: bytes

    @classmethod
    def of(cls, tar: bytes, compression: str) -> Blob:
        return cls(compressed(tar, compression), compression, tar)

    @cached_property
    def layer(self) -> Layer:
        """The layer as an image describes it."""
        media_type = f"{OCI_LAYER}{_SUFFIX[self.compression]}"
        digest = Digest.of(self.data)
        descriptor = Descriptor(media_type=media_type, digest=digest, size=len(self.data))
        return Layer(descriptor, Digest.of(self.tar))


def write_layout(
    folder: Path, images: Mapping[str, Sequence[Blob]], env: Sequence[str] = ()
) -> None:
    """Write a layout with an image of these layers under each tag."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    tops = [
        {**_put(blobs, _manifest(blobs, layers, env), OCI_MANIFEST), "annotations": {REF_NAME: tag}}
        for tag, layers in images.items()
    ]
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": tops}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_bytes(LAYOUT_VERSION)


def _manifest(blobs: Path, layers: Sequence[Blob], env: Sequence[str]) -> bytes:
    described = [_put(blobs, blob.data, blob.layer.descriptor.media_type) for blob in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": list(env)},
        "rootfs": {"type": "layers", "diff_ids": [Digest.of(blob.tar) for blob in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _put(blobs, json.dumps(config).encode(), OCI_CONFIG),
        "layers": described,
    }
    return json.dumps(manifest).encode()


def _put(blobs: Path, data: bytes, media_type: str) -> dict[str, Any]:
    digest = Digest.of(data)
    path = blobs / digest.encoded
    if not path.exists():
        path.write_bytes(data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}
