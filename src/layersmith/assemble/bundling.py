"""Bundles: everything that an assemble reads, and what it gives, in one OCI archive.

::

    base, builder       their index as it is, and below it what the chosen platforms need
    lock                an artifact: the lock, the recipe in its canonical form, and the wheels
                        of a builder image
    3.13-debian13 ...   the image, whole

So a site that the network does not reach can assemble it again, and prove that it is equal
to what was made outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from layersmith.assemble.builder_tools import WHEEL_TYPE
from layersmith.assemble.bundled import ARTIFACT, LOCK_TYPE
from layersmith.assemble.inputs import FREE, Input, Pinned, resolve
from layersmith.assemble.locking import lock_of
from layersmith.assemble.making import make, plan
from layersmith.assemble.noting import Noting
from layersmith.assemble.reading import READERS
from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST, Descriptor, Document, Manifest
from layersmith.oci.image import load_at, select
from layersmith.recipe.lock import LOCK_NAME, Lock, write_lock
from layersmith.recipe.shape import shape_json
from layersmith.recipe.target import Target
from layersmith.stores.bundle import write_bundle
from layersmith.stores.refnames import RefNames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from layersmith.assemble.outcome import Outcome
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.content import Readable
    from layersmith.oci.documents import Platform
    from layersmith.recipe.recipe import Recipe
    from layersmith.rootfs.compressor import Compressor

__all__ = ["Bundled", "create"]

_RECIPE_TYPE: Final = "application/vnd.layersmith.recipe.v1+json"
_EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_TITLE: Final = "org.opencontainers.image.title"


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written: the files, the lock, the image's index, how many blobs of what size."""

    files: Sequence[Path]
    lock: Lock
    image: Digest
    blobs: int
    size: int


class _Content:
    """The blobs of a bundle, and who has them; one that two images share is there once."""

    def __init__(self) -> None:
        self.blobs: dict[
            Digest, tuple[Descriptor, Callable[[], AbstractContextManager[Readable]]]
        ] = {}
        self.names = RefNames()

    def bytes(self, raw: bytes, media_type: str) -> Descriptor:
        descriptor = Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))
        self.blobs[descriptor.digest] = descriptor, held(raw)
        return descriptor

    def document(self, document: Document[Any]) -> None:
        self.blobs[document.descriptor.digest] = document.descriptor, held(document.raw)

    def input(self, name: str, input_: Input, platforms: Sequence[Platform]) -> list[Descriptor]:
        """Add an image as far as `platforms` need it; return its layers."""
        noting = Noting(input_.source)
        top = load_at(noting, input_.top.descriptor)
        images = [select(noting, top, platform) for platform in platforms]
        layers = [layer for image in images for layer in image.manifest.value.layers]
        for descriptor in (*noting.noted, *layers):
            self.blobs[descriptor.digest] = descriptor, partial(input_.source.open, descriptor)
        self.names = self.names.tagged(name, input_.top.descriptor)
        return layers


def create(
    workshop: Workshop,
    recipe: Recipe,
    path: Path,
    *,
    pinned: Pinned = FREE,
    compressor: Compressor,
    limit: int = 0,
) -> Bundled:
    """Assemble, and write what that took and gave to `path`, in parts of `limit` bytes if asked.

    Raises what :func:`layersmith.assemble.pipeline.plan` raises, and :class:`OutputError`.
    """
    target = Target.parse(recipe.target)
    inputs = resolve(workshop, target, recipe, pinned)
    content = _Content()
    platforms = recipe.chosen_platforms()
    named = tuple(zip(("base", "builder"), inputs, strict=True))
    layers = [(i, blob) for name, i in named for blob in content.input(name, i, platforms)]
    with workshop.timed("fetch"), workshop.crew.pool(READERS, "layer") as pool:
        # Into the cache, compressed: from there they are read now, and written later.
        for _ in pool.map(lambda one: _fetch(*one), layers):
            pass
    planned = plan(workshop, target, recipe, inputs, pinned)
    lock = lock_of(planned)
    outcome = make(workshop, planned)
    _add_image(content, outcome, workshop, target.tags(outcome.python))
    _add_lock(content, lock, recipe, _add_wheels(content, workshop, lock))
    with workshop.timed("write"):
        files = write_bundle(path, content.names, content.blobs, compressor, limit, workshop.crew)
    size = sum(blob.size for blob, _ in content.blobs.values())
    return Bundled(files, lock, outcome.index.descriptor.digest, len(content.blobs), size)


def _fetch(input_: Input, blob: Descriptor) -> None:
    with input_.source.open(blob):
        pass


def _add_image(
    content: _Content, outcome: Outcome, workshop: Workshop, tags: Sequence[str]
) -> None:
    for made in outcome.made:
        content.document(made.image.manifest)
        content.document(made.image.config)
        layer = made.layer.layer.descriptor
        content.blobs[layer.digest] = layer, partial(workshop.cache.open, layer)
    content.document(outcome.index)
    for tag in tags:
        content.names = content.names.tagged(tag, outcome.index.descriptor)


def _add_wheels(content: _Content, workshop: Workshop, lock: Lock) -> list[tuple[Descriptor, str]]:
    """Add what a builder image was made with, each wheel once; return it with its names."""
    found = []
    wheels = {item for about in lock.platforms.values() for item in about.wheels.items()}
    for filename, digest in sorted(wheels):
        size = workshop.cache.blob_path(digest).stat().st_size
        blob = Descriptor(media_type=WHEEL_TYPE, digest=digest, size=size)
        content.blobs[digest] = blob, partial(workshop.cache.open, blob)
        found.append((blob, filename))
    return found


def _add_lock(
    content: _Content, lock: Lock, recipe: Recipe, more: Sequence[tuple[Descriptor, str]]
) -> None:
    blobs = [
        (content.bytes(write_lock(lock), LOCK_TYPE), LOCK_NAME),
        (content.bytes(shape_json(recipe).encode(), _RECIPE_TYPE), "recipe.json"),
        *more,
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": ARTIFACT,
        "config": _described(content.bytes(b"{}", _EMPTY_TYPE)),
        "layers": [{**_described(blob), "annotations": {_TITLE: name}} for blob, name in blobs],
    }
    document = Document.write(manifest, OCI_MANIFEST, Manifest)
    content.document(document)
    content.names = content.names.tagged("lock", document.descriptor)


def _described(blob: Descriptor) -> dict[str, Any]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}
