"""Descriptors, manifests, indexes and configs as frozen values (image-spec 1.1).

A :class:`Document` keeps the raw bytes beside the parsed value: what we did not
change is passed on byte for byte, so its digest stays.

Docker's schema 2 types are read as their OCI equals; both are written as they came.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from layersmith.errors import DocumentError, InvalidInput, one_line
from layersmith.oci import strictjson
from layersmith.oci.digest import Digest

__all__ = [
    "CONFIG_TYPES",
    "INDEX_TYPES",
    "LAYER_COMPRESSION",
    "MANIFEST_TYPES",
    "OCI_CONFIG",
    "OCI_INDEX",
    "OCI_LAYER",
    "OCI_MANIFEST",
    "Descriptor",
    "Document",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "refuse_ambiguous",
    "refuse_twins",
]

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_DOCKER: Final = "application/vnd.docker."

INDEX_TYPES: Final = frozenset({OCI_INDEX, f"{_DOCKER}distribution.manifest.list.v2+json"})
MANIFEST_TYPES: Final = frozenset({OCI_MANIFEST, f"{_DOCKER}distribution.manifest.v2+json"})
CONFIG_TYPES: Final = frozenset({OCI_CONFIG, f"{_DOCKER}container.image.v1+json"})
LAYER_COMPRESSION: Final = {
    OCI_LAYER: "none",
    f"{OCI_LAYER}+gzip": "gzip",
    f"{OCI_LAYER}+zstd": "zstd",
    f"{_DOCKER}image.rootfs.diff.tar": "none",
    f"{_DOCKER}image.rootfs.diff.tar.gzip": "gzip",
    f"{_DOCKER}image.rootfs.diff.tar.zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "none",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
}

T = TypeVar("T")
Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Count = Annotated[int, msgspec.Meta(ge=2, le=2)]


class Platform(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """``os/architecture[/variant]``; arm64 and arm64/v8 are one platform."""

    architecture: str
    os: str
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``linux/arm64`` or ``linux/arm64/v8``; raises :class:`InvalidInput`."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise InvalidInput(
                f"{one_line(text, 60)!r} is not a platform",
                hint="write it like linux/amd64 or linux/arm64/v8",
            )
        return cls(os=parts[0], architecture=parts[1], variant="".join(parts[2:]))

    def __str__(self) -> str:
        """Return the short form, without a variant that is the architecture's own."""
        return "/".join(filter(None, self.key))

    @property
    def key(self) -> tuple[str, str, str]:
        """What two descriptions of one platform have in common."""
        variant = "" if (self.architecture, self.variant) == ("arm64", "v8") else self.variant
        return self.os, self.architecture, variant


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What identifies content: type, digest, size (image-spec descriptor.md)."""

    media_type: str
    digest: Digest
    size: Size
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    data: str = ""
    artifact_type: str = ""
    platform: Platform | None = None

    def __post_init__(self) -> None:
        """Check embedded content: others may take it for what the digest names."""
        if self.data:
            content = base64.b64decode(self.data, validate=True)
            digest = Digest.of(content, self.digest.algorithm)
            if len(content) != self.size or digest != self.digest:
                raise ValueError("`data` is not what digest and size say")

    def __str__(self) -> str:
        """Return the digest: enough to find it."""
        return str(self.digest)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An image manifest (image-spec manifest.md)."""

    schema_version: Count = 2
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An image index (image-spec image-index.md)."""

    schema_version: Count = 2
    media_type: str = ""
    artifact_type: str = ""
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


def _check_moment(text: str | None) -> None:
    """Refuse what is no time by RFC 3339, as Go's readers of a config do (config.md)."""
    if text is None:
        return
    if _MOMENT.fullmatch(text) is None:
        raise ValueError(f"{one_line(text, 40)!r} is no time like 2026-01-31T12:00:00Z")
    datetime.fromisoformat(text[:19])  # a ValueError for a day or an hour that is none


class RootFs(msgspec.Struct, frozen=True, kw_only=True):
    """The layers of a config by the digests of their uncompressed tars."""

    type: Literal["layers"]
    diff_ids: tuple[Digest, ...]


class Runtime(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The execution parameters that layersmith reads; all others pass through."""

    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    user: str = ""
    working_dir: str = ""
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, Any] | None = None
    stop_signal: str | None = None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """How a layer came to be."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None

    def __post_init__(self) -> None:
        """Check the time."""
        _check_moment(self.created)


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An image config (image-spec config.md)."""

    architecture: str
    os: str
    rootfs: RootFs
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    created: str | None = None
    config: Runtime | None = None
    history: tuple[History, ...] | None = None

    def __post_init__(self) -> None:
        """Check the time."""
        _check_moment(self.created)

    @property
    def platform(self) -> Platform:
        """The platform the config says it is for."""
        return Platform(
            os=self.os,
            architecture=self.architecture,
            variant=self.variant,
            os_version=self.os_version,
        )

    def environment(self) -> dict[str, str]:
        """Return ``Env`` as a mapping; the last of two equal names wins."""
        pairs = (self.config.env if self.config else None) or ()
        return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


@dataclass(frozen=True, slots=True)
class Document(Generic[T]):
    """`raw` bytes, their JSON, the typed `value` and the `descriptor` of one document."""

    raw: bytes
    json: Any
    value: T
    descriptor: Descriptor

    @classmethod
    def parse(cls, raw: bytes, descriptor: Descriptor, kind: type[T]) -> Document[T]:
        """Read verified bytes as `kind`.

        Raises :class:`DocumentError`, also for a document that can be read as two
        kinds, that names another media type than its descriptor, or that has a key in
        two spellings.
        """
        what = f"{_NAMES[kind]} {descriptor.digest}"
        json = strictjson.decode(raw, what)
        if not isinstance(json, dict):
            raise DocumentError(f"{what}: not a JSON object")
        refuse_twins(json, what)
        if kind is not ImageConfig:
            refuse_ambiguous(json, descriptor.media_type, what)
        value = strictjson.typed(json, kind, what)
        return cls(raw, json, value, descriptor)

    @classmethod
    def write(cls, json: Any, media_type: str, kind: type[T]) -> Document[T]:
        """Serialise `json` once and for all and describe it."""
        raw = strictjson.encode(json)
        descriptor = Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))
        return cls.parse(raw, descriptor, kind)


# Objects of a document whose keys are data: they may differ in case only.
_MAPS: Final = frozenset({"annotations", "labels", "volumes", "exposedports"})
_NAMES: Final[dict[type[Any], str]] = {
    Manifest: "manifest",
    Index: "index",
    ImageConfig: "config",
}


def refuse_twins(json: Any, what: str) -> None:
    """Refuse two keys that differ in case only, but in maps; raises :class:`DocumentError`."""
    strictjson.refuse_twins(json, what, _MAPS)


def refuse_ambiguous(json: dict[str, Any], media_type: str, what: str) -> None:
    """Refuse a manifest or index with two readings (CVE-2021-41190); :class:`DocumentError`."""
    is_index = media_type in INDEX_TYPES
    foreign = {"layers", "config", "fslayers"} if is_index else {"manifests", "fslayers"}
    # Go's JSON reader, which most others use, does not look at the case of keys.
    spelled = {key.casefold(): key for key in json}
    if mixed := {spelled[key] for key in foreign & spelled.keys()}:
        kind = "an index" if is_index else "a manifest"
        raise DocumentError(f"{what}: {kind} that also has {', '.join(sorted(mixed))}")
    said = json.get(spelled.get("mediatype", "mediaType"), media_type)
    if said != media_type:
        raise DocumentError(
            f"{what}: says it is {one_line(str(said), 80)!r}, its descriptor {media_type!r}"
        )
