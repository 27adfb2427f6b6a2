"""Rebuilding: an image is assembled again from what it says of itself, and compared.

Nothing that was made before is believed: the cache serves the inputs, verified, but no
plan and no layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import structs

from layersmith.assemble.comparing import Difference, documents, images
from layersmith.assemble.inputs import Pinned, resolve
from layersmith.assemble.locked import pinned_by
from layersmith.assemble.making import produce
from layersmith.assemble.places import Place
from layersmith.assemble.record import COMPRESSOR, Record, recorded_wheels
from layersmith.errors import DocumentError, InvalidInput, NotFound, intention
from layersmith.oci.documents import Index, Manifest
from layersmith.oci.image import every_image, image_of, load
from layersmith.recipe.target import Target
from layersmith.stores.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.assemble.bundled import Opened
    from layersmith.assemble.outcome import Outcome
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.content import Source
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Descriptor, Document
    from layersmith.oci.image import Image
    from layersmith.recipe.lock import Lock
    from layersmith.recipe.recipe import Recipe

__all__ = ["Forgetful", "Published", "Rebuilt", "published", "rebuild"]


class Forgetful(Cache):
    """A cache of content that gives no earlier answer to any question."""

    def recall(self, key: str) -> bytes | None:  # noqa: ARG002 - as the cache's own
        """Return nothing."""
        return None


@dataclass(frozen=True, slots=True)
class Published:
    """The image to be rebuilt: `top` is an index, or one platform's manifest."""

    name: str
    source: Source
    top: Document[Index] | Document[Manifest]
    images: tuple[Image, ...]

    @property
    def platforms(self) -> str:
        """The platforms that it is for, for messages."""
        return ", ".join(sorted({str(one.platform) for one in self.images}))

    def lacks(self, platform: object) -> NotFound:
        """Return the error that it has no image for a platform."""
        return NotFound(
            f"{self.name} has no image for {platform}", hint=f"it has: {self.platforms}"
        )


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came out; without differences the two are equal, to the bit."""

    name: str
    image: Digest
    rebuilt: Digest
    differences: tuple[Difference, ...]

    @property
    def is_equal(self) -> bool:
        """Tell whether nothing differs."""
        return self.image == self.rebuilt and not self.differences


def published(name: str, source: Source, identifier: str) -> Published:
    """Read an image's documents; raises :class:`NotFound` or :class:`DocumentError`."""
    with intention(f"reading {name}"):
        top = load(source, identifier)
        if isinstance(top.value, Manifest):
            found: tuple[Image, ...] = (image_of(source, top),)
        else:
            found = tuple(every_image(source, top.value))
        if not found:
            raise DocumentError("there is no image in this index")
    return Published(name, source, top, found)


def rebuild(
    workshop: Workshop, image: Published, *, lock: Lock | None = None, bundle: Opened | None = None
) -> Rebuilt:
    """Assemble `image` again, from `lock` or the bundle's, else from its own annotations.

    Raises :class:`InvalidInput` where these do not say enough, and what an assemble raises.
    """
    lock = bundle.lock if bundle is not None else lock
    if lock is not None:
        recipe, pinned = lock.wish, pinned_by(lock, bundle.bundle if bundle else None)
        # what the image says of itself: the lock may be of another
        compressor = image.top.value.annotations.get(COMPRESSOR, lock.made.compressor)
        if strange := {str(one.platform) for one in image.images} - lock.platforms.keys():
            raise InvalidInput(f"the lock has no {min(strange)}, which {image.name} is for")
    else:
        record = Record.of(image.top.value.annotations, image.name)
        recipe, pinned = _recorded(workshop, image, record)
        compressor = record.compressor
    recipe = structs.replace(recipe, platforms=tuple(str(one.platform) for one in image.images))
    if bundle is not None:
        bundle.check(recipe.chosen_platforms())
    target = Target.parse(recipe.target)
    inputs = resolve(workshop, target, recipe, pinned)
    outcome = produce(workshop, target, recipe, inputs, pinned)
    compressors = compressor, recipe.compressor().identity
    top = outcome.index.descriptor
    if isinstance(image.top.value, Manifest):
        top = outcome.made[0].image.manifest.descriptor
    differences: tuple[Difference, ...] = ()
    if top.digest != image.top.descriptor.digest:
        ours = inputs[0].source  # asks the cache first: our new layer is there
        differences = tuple(_differences(image, outcome, ours, compressors))
    return Rebuilt(image.name, image.top.descriptor.digest, top.digest, differences)


def _recorded(workshop: Workshop, image: Published, record: Record) -> tuple[Recipe, Pinned]:
    """Return the recipe that the image has in it, and the inputs and times that it names."""

    def found(what: str, name: str, digest: Digest) -> Descriptor:
        if not name:
            raise InvalidInput(
                f"{image.name} does not say where its {what} {digest} is: it was a local file",
                hint="give --bundle FILE or --lock FILE",
            )
        place = Place.parse(name)
        with intention(f"reading {place}"):
            return place.source(workshop.registries).resolve(digest)

    recipe = structs.replace(record.recipe, base=record.base_name, builder=record.builder_name)
    wheels = {
        str(one.platform): recorded_wheels(one.manifest.value.annotations, image.name)
        for one in image.images
        if Target.parse(recipe.target).is_builder
    }
    return recipe, Pinned(
        base=found("base", record.base_name, record.base),
        builder=found("builder", record.builder_name, record.builder),
        epochs={str(one.platform): _epoch(one, image.name) for one in image.images},
        wheels=wheels,
    )


def _epoch(image: Image, name: str) -> int:
    """Return the time of the entries: that of the config (see `_make` in the pipeline)."""
    try:
        return int(datetime.fromisoformat(image.config.value.created or "").timestamp())
    except (ValueError, OverflowError):
        raise DocumentError(f"{name}: the config of {image.platform} has no time") from None


def _differences(
    image: Published, outcome: Outcome, ours: Source, compressors: tuple[str, str]
) -> Iterator[Difference]:
    if isinstance(image.top.value, Index):
        yield from documents("index", image.top, outcome.index)
    made = {made.image.platform.key: made.image for made in outcome.made}
    for one in image.images:
        yield from images((image.source, one), (ours, made[one.platform.key]), compressors)
