"""Images derived from others by adding one layer, and the index over them.

A derived config is the base's own JSON with our fields merged in: what we do not know
survives, and the history stays as it was. A derived manifest has the base's layers as
they are described there, and its annotations (image-spec config.md, manifest.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from layersmith.oci.documents import (
    LAYER_COMPRESSION,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Document,
    ImageConfig,
    Index,
    Manifest,
)
from layersmith.oci.image import Image
from layersmith.oci.strictjson import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.oci.documents import Descriptor
    from layersmith.oci.image import Layer

__all__ = ["OUR_KEYS", "NewLayer", "Settings", "derive", "make_index"]

# What layersmith says of how it made an image stands under keys that begin so.
OUR_KEYS: Final = "dev.layersmith."


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer that we made, and how its history entry reads; or the entries that it has."""

    layer: Layer
    created_by: str
    history: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a derived image's config says; a workdir of None leaves what the base has.

    So does a stop signal; `ports` (``8000/tcp``) are added to the base's. `rest` are values of
    other keys of the config's "config".
    """

    created: str
    user: str
    env: Mapping[str, str]
    entrypoint: Sequence[str] | None
    cmd: Sequence[str] | None
    workdir: str | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    ports: Sequence[str] = ()
    stop_signal: str | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)


def derive(base: Image, added: NewLayer, settings: Settings) -> Image:
    """Return `base` with one layer more and `settings` merged into its config.

    The entrypoint and the command are always ours: a debug base's own would start
    a shell.
    """
    config = Document.write(_config(base, added, settings), OCI_CONFIG, ImageConfig)
    base_json = base.manifest.json
    about = base_json.get("annotations") or {}
    annotations = {k: v for k, v in about.items() if not _is_about(k)} | dict(settings.annotations)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _described(config.descriptor),
        "layers": [*map(_as_oci, base_json["layers"]), _described(added.layer.descriptor)],
        "annotations": dict(sorted(annotations.items())),
    }
    document = Document.write(manifest, OCI_MANIFEST, Manifest)
    return Image(base.platform, document, config)


def _config(base: Image, added: NewLayer, settings: Settings) -> dict[str, Any]:
    config = dict(base.config.json)
    runtime = dict(config.get("config") or {})
    environment = {**base.config.value.environment(), **settings.env}
    runtime["User"] = settings.user
    runtime["Env"] = [f"{name}={value}" for name, value in environment.items()]
    _put(runtime, "Entrypoint", settings.entrypoint)
    _put(runtime, "Cmd", settings.cmd)
    if settings.workdir is not None:
        runtime["WorkingDir"] = settings.workdir
    if settings.stop_signal is not None:
        runtime["StopSignal"] = settings.stop_signal
    if settings.ports:
        ports = {**(runtime.get("ExposedPorts") or {}), **{port: {} for port in settings.ports}}
        runtime["ExposedPorts"] = dict(sorted(ports.items()))
    labels = {**(runtime.get("Labels") or {}), **settings.labels}
    _put(runtime, "Labels", dict(sorted(labels.items())))
    runtime.update(settings.rest)
    rootfs = base.config.json["rootfs"]
    entry = {
        "created": settings.created,
        "created_by": added.created_by,
        "comment": "layersmith",
    }
    config["created"] = settings.created
    config["config"] = runtime
    config["rootfs"] = {**rootfs, "diff_ids": [*rootfs["diff_ids"], added.layer.diff_id]}
    config["history"] = [*(config.get("history") or []), *(added.history or (entry,))]
    return config


def _put(target: dict[str, Any], key: str, value: Any) -> None:
    if value:
        target[key] = list(value) if not isinstance(value, dict) else value
    else:
        target.pop(key, None)


def _is_about(key: str) -> bool:
    """Tell whether an annotation of the base speaks of the base: its title, how it was made."""
    return key.startswith(("org.opencontainers.image.", OUR_KEYS))


def _as_oci(layer: dict[str, Any]) -> dict[str, Any]:
    """Name a Docker layer by its OCI type: the bytes are the same, the manifest is OCI."""
    compression = LAYER_COMPRESSION[layer["mediaType"]]
    suffix = "" if compression == "none" else f"+{compression}"
    return {**layer, "mediaType": f"application/vnd.oci.image.layer.v1.tar{suffix}"}


def _described(descriptor: Descriptor) -> dict[str, Any]:
    value: dict[str, Any] = decode(encode(descriptor), "descriptor")
    return value


def make_index(images: Sequence[Image], annotations: Mapping[str, str]) -> Document[Index]:
    """Return the index over `images`, in the order of their platforms."""
    manifests = []
    for image in sorted(images, key=lambda image: image.platform.key):
        platform = image.platform
        about = {"architecture": platform.architecture, "os": platform.os}
        if platform.architecture == "arm64" or platform.variant:
            about["variant"] = platform.variant or "v8"
        if platform.os_version:
            about["os.version"] = platform.os_version
        manifests.append({**_described(image.manifest.descriptor), "platform": about})
    json: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": manifests,
    }
    if annotations:
        json["annotations"] = dict(sorted(annotations.items()))
    return Document.write(json, OCI_INDEX, Index)
