"""Inputs: base and builder, resolved once, with an image for each platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from layersmith.assemble.places import Place
from layersmith.errors import intention
from layersmith.oci.image import Image, load, select
from layersmith.stores.cache import CachedSource

if TYPE_CHECKING:
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.content import Source
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Document, Index, Manifest, Platform
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target
    from layersmith.stores.cache import Cache

__all__ = ["Input", "Inputs", "load_input", "resolve"]


@dataclass(frozen=True, slots=True)
class Input:
    """An image that is read, for every platform: `top` is what its tag stood for."""

    source: CachedSource
    place: Place
    top: Document[Index] | Document[Manifest]

    @property
    def digest(self) -> Digest:
        """The digest that the tag stood for."""
        return self.top.descriptor.digest

    def image(self, platform: Platform) -> Image:
        """Return the image of `platform`; raises :class:`NotFound`."""
        return select(self.source, self.top, platform)


# Base and builder.
Inputs: TypeAlias = tuple[Input, Input]


def resolve(workshop: Workshop, target: Target, recipe: Recipe) -> Inputs:
    """Return base and builder, each of them resolved once: one request."""
    places = [
        Place.parse(recipe.base or target.base),
        Place.parse(recipe.builder or target.builder),
    ]

    def one(place: Place) -> Input:
        return load_input(place.source(workshop.registries), place, workshop.cache)

    with workshop.timed("resolve"), workshop.crew.pool(2, "resolve") as pool:
        base, builder = pool.map(one, places)
    return base, builder


def load_input(source: Source, place: Place, cache: Cache) -> Input:
    """Resolve the place's tag once; from here on only digests are used."""
    cached = CachedSource(source, cache)
    with intention(f"reading {place}"):
        return Input(cached, place, load(cached, place.identifier))
