"""Images: manifest and config together, found by platform (image-spec image-index.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.errors import DocumentError, NotFound, intention
from layersmith.oci.content import Source, read_document
from layersmith.oci.documents import (
    CONFIG_TYPES,
    INDEX_TYPES,
    LAYER_COMPRESSION,
    MANIFEST_TYPES,
    Descriptor,
    Document,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)
from layersmith.oci.graph import Visited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.digest import Digest

__all__ = [
    "Image",
    "Layer",
    "every_image",
    "image_of",
    "is_beside_images",
    "load",
    "load_at",
    "select",
]

_MAX_NESTING: Final = 3
_MAX_LAYERS: Final = 1000  # runtimes stop at 127
_ATTESTATION: Final = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as both sides know it: the blob, and the tar that it inflates to."""

    descriptor: Descriptor
    diff_id: Digest

    @property
    def compression(self) -> str:
        """``gzip``, ``zstd`` or ``none``."""
        return LAYER_COMPRESSION[self.descriptor.media_type]


@dataclass(frozen=True, slots=True)
class Image:
    """One platform's image: manifest and config as they came."""

    platform: Platform
    manifest: Document[Manifest]
    config: Document[ImageConfig]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, lowest first."""
        diff_ids = self.config.value.rootfs.diff_ids
        pairs = zip(self.manifest.value.layers, diff_ids, strict=True)
        return tuple(Layer(descriptor, diff_id) for descriptor, diff_id in pairs)

    @property
    def size(self) -> int:
        """The bytes of all layers as they are stored."""
        return sum(layer.size for layer in self.manifest.value.layers)


def load(source: Source, identifier: str) -> Document[Index] | Document[Manifest]:
    """Return the index or manifest that `identifier` names; verified and parsed."""
    descriptor = source.resolve(identifier)
    try:
        return load_at(source, descriptor)
    except NotFound:
        # The tag moved meanwhile and what it stood for is gone, or a header was wrong.
        now = source.resolve(identifier)
        if now == descriptor:
            raise
        return load_at(source, now)


def load_at(source: Source, descriptor: Descriptor) -> Document[Index] | Document[Manifest]:
    """Return the index or manifest that `descriptor` describes; verified and parsed."""
    if descriptor.media_type in INDEX_TYPES:
        return Document.parse(read_document(source, descriptor), descriptor, Index)
    if descriptor.media_type in MANIFEST_TYPES:
        return Document.parse(read_document(source, descriptor), descriptor, Manifest)
    raise DocumentError(
        f"{source.name}: {descriptor.digest} is of type {descriptor.media_type!r}, "
        "neither an image manifest nor an index"
    )


def select(source: Source, top: Document[Index] | Document[Manifest], platform: Platform) -> Image:
    """Return the image for `platform` below `top`.

    Raises :class:`NotFound` with the platforms that are there.
    """
    seen: list[Platform] = []
    found = _manifests(source, top, None, platform, seen, Visited(source.name))
    for manifest, said in found:
        if manifest is not top and manifest.value.config.media_type not in CONFIG_TYPES:
            continue  # something else that lies beside the images
        image = image_of(source, manifest, said)
        if image.platform.key == platform.key:
            return image
        seen.append(image.platform)
    there = ", ".join(sorted({str(p) for p in seen})) or "none"
    raise NotFound(
        f"{source.name} {top.descriptor.digest} has no image for {platform}",
        hint=f"it has: {there}",
    )


def _manifests(
    source: Source,
    top: Document[Index] | Document[Manifest],
    said: Platform | None,
    platform: Platform,
    seen: list[Platform],
    visited: Visited,
    depth: int = 0,
) -> Iterator[tuple[Document[Manifest], Platform | None]]:
    """Yield the manifests that may be for `platform`, and what their index says they are for."""
    if isinstance(top.value, Manifest):
        yield top, said
        return
    if depth >= _MAX_NESTING:
        raise DocumentError(f"{source.name}: indexes nested deeper than {_MAX_NESTING}")
    for child in top.value.manifests:
        if is_beside_images(child):
            continue
        if visited.has(child):
            continue
        if child.platform is not None and child.platform.key != platform.key:
            seen.append(child.platform)
        elif child.media_type in INDEX_TYPES or child.media_type in MANIFEST_TYPES:
            visited.add(child)
            below, about = load_at(source, child), child.platform or said
            yield from _manifests(source, below, about, platform, seen, visited, depth + 1)


def is_beside_images(child: Descriptor) -> bool:
    """Tell whether an index's entry is about images (an attestation) and none itself."""
    is_unknown = child.platform is not None and child.platform.os == "unknown"
    return is_unknown or _ATTESTATION in child.annotations


def image_of(source: Source, manifest: Document[Manifest], said: Platform | None = None) -> Image:
    """Return the image of a manifest; `said` completes what its config leaves open.

    Raises :class:`DocumentError`.
    """
    with intention(source.name):
        descriptor = manifest.value.config
        if descriptor.media_type not in CONFIG_TYPES:
            raise DocumentError(
                f"manifest {manifest.descriptor.digest}: its config is of type "
                f"{descriptor.media_type!r}: not an image"
            )
        config = Document.parse(read_document(source, descriptor), descriptor, ImageConfig)
        layers, diff_ids = manifest.value.layers, config.value.rootfs.diff_ids
        if len(layers) > _MAX_LAYERS:
            raise DocumentError(
                f"manifest {manifest.descriptor.digest}: {len(layers)} layers, "
                f"at most {_MAX_LAYERS} are read"
            )
        if len(layers) != len(diff_ids):
            raise DocumentError(
                f"manifest {manifest.descriptor.digest}: {len(layers)} layers, "
                f"but {len(diff_ids)} diff_ids in its config"
            )
        for layer in layers:
            if layer.media_type not in LAYER_COMPRESSION:
                raise DocumentError(f"layer {layer.digest}: unknown type {layer.media_type!r}")
    return Image(_completed(config.value.platform, said), manifest, config)


def every_image(source: Source, index: Index) -> Iterator[Image]:
    """Yield the images that an index lists itself, in its order."""
    for child in index.manifests:
        if child.media_type in MANIFEST_TYPES and not is_beside_images(child):
            manifest = load_at(source, child)
            assert isinstance(manifest.value, Manifest)
            if manifest.value.config.media_type in CONFIG_TYPES:
                yield image_of(source, manifest, child.platform)


def _completed(own: Platform, said: Platform | None) -> Platform:
    """Add what the index says and the config leaves open: many name no variant."""
    if said is None or (said.os, said.architecture) != (own.os, own.architecture):
        return own
    return msgspec.structs.replace(
        own, variant=own.variant or said.variant, os_version=own.os_version or said.os_version
    )
