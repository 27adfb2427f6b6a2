"""Inputs: base and builder, resolved once, with an image for each platform."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from layersmith.assemble.delivery import Blob
from layersmith.assemble.places import Place
from layersmith.errors import LockMismatch, RecipeError, intention
from layersmith.oci.image import Image, load, load_at, select
from layersmith.stores.cache import CachedSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.assemble.vouching import Vouching
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.content import Source
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Descriptor, Document, Index, Manifest, Platform
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target
    from layersmith.stores.cache import Cache

__all__ = ["FREE", "Input", "Inputs", "Pinned", "load_input", "named", "resolve"]

# What of a recipe speaks of two images, or of one alone.
_OF_TWO: Final = ("verify_base", "include", "exclude", "replace_package")
_OF_BUILDERS: Final = ("requirements", "wheel_dirs")


@dataclass(frozen=True, slots=True)
class Input:
    """An image that is read, for every platform: `top` is what its tag stood for.

    `verified` says who vouched for it, if that was demanded.
    """

    source: CachedSource
    place: Place
    top: Document[Index] | Document[Manifest]
    verified: tuple[str, ...] = ()

    @property
    def digest(self) -> Digest:
        """The digest that the tag stood for."""
        return self.top.descriptor.digest

    def image(self, platform: Platform) -> Image:
        """Return the image of `platform`; raises :class:`NotFound`."""
        return select(self.source, self.top, platform)

    def blob(self, layer: Descriptor) -> Blob:
        """Return a layer of its images, and who has it."""
        return Blob(layer, self.source, self.place.reference)


# Base and builder; a builder image is made of one, which is both.
Inputs: TypeAlias = tuple[Input, Input]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What is settled before anything is read: by a lock, a bundle, an image's own record.

    `images` are the manifests of base and builder, `epochs` the times, and `wheels` the digests
    of a builder image's wheels by file name, each by platform.
    """

    base: Descriptor | None = None
    builder: Descriptor | None = None
    source: Source | None = None
    epochs: Mapping[str, int] = field(default_factory=dict)
    images: Mapping[str, tuple[Digest, Digest]] = field(default_factory=dict)
    wheels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def check(self, platform: Platform, found: Sequence[Image]) -> None:
        """Refuse other images than `images` for a platform; raises :class:`LockMismatch`."""
        got = tuple(image.manifest.descriptor.digest for image in found)
        expected = self.images.get(str(platform), got)
        for name, one, other in zip(("base", "builder"), expected, got, strict=True):
            if one != other:
                raise LockMismatch(
                    f"the lock contradicts itself: {name} is {one} there, its index has {other}",
                    hint="was it edited? make it anew with: layersmith lock",
                )


FREE: Final = Pinned()


def named(target: Target, recipe: Recipe) -> tuple[str, str]:
    """Return base and builder as the recipe or its target names them.

    Raises :class:`RecipeError` for what the recipe says and this kind of image has not.
    """
    said = [key for key in _OF_TWO if getattr(recipe, key)]
    if not target.is_builder:
        if said := [key for key in _OF_BUILDERS if getattr(recipe, key)]:
            raise RecipeError(
                f"{said[0].replace('_', '-')} is for builder images, and {target} is none",
                hint=f"the target of one is builder:{target}",
            )
        return recipe.base or target.base, recipe.builder or target.builder
    if recipe.base not in ("", recipe.builder):
        said = ["base", *said]
    if said:
        raise RecipeError(
            f"{said[0].replace('_', '-')} beside {target}: that is one image, with tools on top",
            hint="builder = or --builder names another one",
        )
    return (recipe.builder or target.builder,) * 2


def resolve(workshop: Workshop, target: Target, recipe: Recipe, pinned: Pinned = FREE) -> Inputs:
    """Return base and builder, each of them resolved once, unless `pinned`: one request.

    What has to be vouched for is not read any further, be it pinned or not, unless it is:
    raises :class:`Untrusted`.
    """
    base_place, builder_place = map(Place.parse, named(target, recipe))
    wanted = [
        (base_place, pinned.base, _demanded(recipe.verify_base, base_place, "verify-base")),
        (
            builder_place,
            pinned.builder,
            _demanded(recipe.verify_builder, builder_place, "verify-builder"),
        ),
    ]

    def one(named: tuple[Place, Descriptor | None, Vouching | None]) -> Input:
        place, settled, demand = named
        source = pinned.source or place.source(workshop.registries)
        found = load_input(source, place, workshop.cache, settled)
        if demand is None:
            return found
        with intention(f"verifying {place}"):
            # What is in a bundle must be vouched for there: nothing else is asked.
            verified = demand.check(source, found.digest)
        return replace(found, verified=verified)

    if target.is_builder:
        with workshop.timed("resolve"):
            both = one(wanted[1])
        return both, both
    with workshop.timed("resolve"), workshop.crew.pool(2, "resolve") as pool:
        base, builder = pool.map(one, wanted)
    return base, builder


def _demanded(text: str, place: Place, option: str) -> Vouching | None:
    if not text:
        return None
    from layersmith.assemble.vouching import vouching  # noqa: PLC0415 - loads cryptography

    return vouching(text, place, option)


def load_input(
    source: Source, place: Place, cache: Cache, pinned: Descriptor | None = None
) -> Input:
    """Resolve the place's tag once, unless it is `pinned`; from here on only digests are used."""
    cached = CachedSource(source, cache)
    with intention(f"reading {place}"):
        if pinned is not None:
            return Input(cached, place, load_at(cached, pinned))
        return Input(cached, place, load(cached, place.identifier))
