"""Images put into any sink, document by document."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zstandard
from tests.build.tar import archive, file

from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Platform,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.oci.content import Sink

DOCKER = "application/vnd.docker."
DOCKER_LIST = f"{DOCKER}distribution.manifest.list.v2+json"
DOCKER_MANIFEST = f"{DOCKER}distribution.manifest.v2+json"
DOCKER_CONFIG = f"{DOCKER}container.image.v1+json"
DOCKER_TAR = f"{DOCKER}image.rootfs.diff.tar"
DOCKER_LAYER = f"{DOCKER_TAR}.gzip"

AMD64 = Platform(os="linux", architecture="amd64")
ARM64 = Platform(os="linux", architecture="arm64")
HELLO = archive(file("hello", b"hello\n"))


def descriptor(data: bytes, media_type: str = OCI_LAYER) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))


def put(sink: Sink, data: bytes, media_type: str = OCI_LAYER) -> Descriptor:
    described = descriptor(data, media_type)
    sink.put(described, held(data))
    return described


def put_json(sink: Sink, value: object, media_type: str) -> Descriptor:
    return put(sink, json.dumps(value).encode(), media_type)


def shown(described: Descriptor, **more: object) -> dict[str, Any]:
    """Return a descriptor as JSON."""
    plain = {"mediaType": described.media_type, "digest": described.digest, "size": described.size}
    return {**plain, **more}


def compressed(tar: bytes, compression: str) -> bytes:
    if compression == "zstd":
        return zstandard.ZstdCompressor().compress(tar)
    return gzip.compress(tar, 1, mtime=0) if compression == "gzip" else tar


@dataclass(frozen=True)
class Made:
    """An image to be put: uncompressed layers, and what else its documents say."""

    layers: Sequence[bytes] = (HELLO,)
    platform: Platform = AMD64
    compression: str = "gzip"
    docker: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)
    runtime: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    layer: Mapping[str, Any] = field(default_factory=dict)

    def put(self, sink: Sink) -> Descriptor:
        """Write layers, config and manifest; return the manifest's descriptor."""
        plain, sign = (DOCKER_TAR, ".") if self.docker else (OCI_LAYER, "+")
        layer_type = plain if self.compression == "none" else f"{plain}{sign}{self.compression}"
        layers = [put(sink, compressed(t, self.compression), layer_type) for t in self.layers]
        config = {
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": dict(self.runtime),
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(tar) for tar in self.layers]},
            "history": [{"created_by": f"layer {n}"} for n, _ in enumerate(self.layers)],
            **({"variant": self.platform.variant} if self.platform.variant else {}),
            **self.config,
        }
        config_type = DOCKER_CONFIG if self.docker else OCI_CONFIG
        manifest_type = DOCKER_MANIFEST if self.docker else OCI_MANIFEST
        manifest = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": shown(put_json(sink, config, config_type)),
            "layers": [shown(layer, **self.layer) for layer in layers],
            **self.manifest,
        }
        return put_json(sink, manifest, manifest_type)


def platform_json(platform: Platform) -> dict[str, str]:
    about = {"architecture": platform.architecture, "os": platform.os}
    return about | ({"variant": platform.variant} if platform.variant else {})


def put_index(
    sink: Sink, manifests: Sequence[Mapping[str, Any]], media_type: str = OCI_INDEX, **more: object
) -> Descriptor:
    """Write an index over descriptors as JSON (see :func:`shown`)."""
    value = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(manifests), **more}
    return put_json(sink, value, media_type)


def for_platform(described: Descriptor, platform: Platform, **more: object) -> dict[str, Any]:
    return shown(described, platform=platform_json(platform), **more)
