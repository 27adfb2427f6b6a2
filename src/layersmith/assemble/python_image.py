"""The Python image below an application: a target, assembled first, or an image of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.analysis.objects import Objects
from layersmith.apps.bytecode import library_sources, magic_number
from layersmith.apps.interpreter import Interpreter, find_interpreter
from layersmith.apps.site import APP, VENV
from layersmith.assemble.assembling import assembled
from layersmith.assemble.delivery import Blob
from layersmith.assemble.inputs import Input, load_input
from layersmith.assemble.places import Place
from layersmith.assemble.reading import READERS, LayerReader, mending
from layersmith.assemble.record import APPLICATION, WHEELS, is_ours, recorded
from layersmith.errors import InvalidInput, RecipeError, intention
from layersmith.oci.derived import OUR_KEYS
from layersmith.oci.strictjson import encode
from layersmith.recipe.target import Target
from layersmith.rootfs.entries import Directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.assemble.inputs import Pinned
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.image import Image
    from layersmith.recipe.recipe import Recipe
    from layersmith.rootfs.tree import Root

__all__ = ["Facts", "PythonImage", "python_image"]

_VERSION: Final = "org.opencontainers.image.version"
# What of a recipe makes a Python image, and so means nothing beside base-image.
_OF_TARGETS: Final = (
    "target", "base", "builder", "verify_base", "verify_builder", "include", "exclude", "user",
    "replace_package",
)  # fmt: skip


class Facts(msgspec.Struct, frozen=True):
    """What a layer on top has to know of an image, without reading its layers again.

    `magic` is the number of its Python's bytecode; `bare` if the standard library has none.
    """

    version: str
    machine: str
    glibc: tuple[int, int]
    trouble: str
    magic: int | None
    bare: bool

    @property
    def interpreter(self) -> Interpreter:
        """The Python of the image."""
        return Interpreter(self.version, self.machine, self.glibc)


_DECODER: Final = msgspec.json.Decoder(Facts)


@dataclass(frozen=True, slots=True)
class PythonImage:
    """An index over images with a Python; `new` are layers that only the cache has.

    `about` are the annotations that say how it was made.
    """

    workshop: Workshop
    input: Input
    name: str
    images: tuple[Image, ...]
    about: Mapping[str, str]
    version: str
    new: frozenset[str]

    def blobs(self) -> list[Blob]:
        """Return the layers of all platforms, and who has them."""
        return [
            Blob(layer, self.workshop.cache, None)
            if layer.digest in self.new
            else self.input.blob(layer)
            for image in self.images
            for layer in image.manifest.value.layers
        ]

    def root(self, image: Image) -> Root:
        """Return the file system of one platform; damage in the cache is mended once."""
        wanted, layers = [(self.input, image, True)], self.workshop.layers
        with self.workshop.crew.pool(READERS, "layer") as pool:
            return mending(layers, wanted, lambda: LayerReader(layers, pool).roots(wanted)[0])

    def facts(self, image: Image) -> Facts:
        """Return what there is to know of one platform; raises :class:`RecipeError`."""
        cache = self.workshop.cache
        key = f"python image 2 {image.manifest.descriptor} {self.version}"
        kept = cache.recall(key)
        if kept is not None:
            facts = _DECODER.decode(kept)
        else:
            facts = self._looked(image)
            cache.remember(key, encode(facts))
        if facts.trouble:
            raise RecipeError(facts.trouble, hint="take the image that is below it")
        return facts

    def _looked(self, image: Image) -> Facts:
        root = self.root(image)
        found = find_interpreter(root, image.platform, self.version, Objects())
        about = found.version, found.machine, found.glibc, _trouble(root)
        return Facts(*about, magic_number(root, found), bool(library_sources(root, found)))


def python_image(workshop: Workshop, recipe: Recipe, pinned: Pinned) -> PythonImage:
    """Return the image that the recipe names; a target is assembled, warm if it can be.

    Raises what an assemble raises, and :class:`InvalidInput` for an image that is not ours.
    """
    if recipe.base_image:
        return _named(workshop, recipe)
    target = Target.parse(recipe.target)
    inputs, outcome = assembled(workshop, target, recipe, pinned)
    base, _ = inputs
    return PythonImage(
        workshop,
        Input(base.source, base.place, outcome.index),
        str(target),
        tuple(made.image for made in outcome.made),
        recorded(recipe, *inputs),
        outcome.python,
        frozenset(made.layer.digest for made in outcome.made),
    )


def _named(workshop: Workshop, recipe: Recipe) -> PythonImage:
    if beside := [key for key in _OF_TARGETS if getattr(recipe, key)]:
        raise RecipeError(f"base-image beside {beside[0]}", hint="leave one of them out")
    place = Place.parse(recipe.base_image)
    with workshop.timed("resolve"):
        found = load_input(place.source(workshop.registries), place, workshop.cache)
        images = tuple(found.image(platform) for platform in recipe.chosen_platforms())
    versions = set()
    for image in images:
        about = image.manifest.value.annotations
        with intention(str(place)):
            if not is_ours(about):
                raise InvalidInput(
                    "this image was not made by layersmith assemble",
                    hint="give a target, or an image that layersmith made",
                )
            if APPLICATION in about:
                raise InvalidInput(
                    "this image is an application already",
                    hint="take the Python image that is below it",
                )
        versions.add(about.get(_VERSION, ""))
    if len(versions) != 1:
        raise InvalidInput(f"{place} has another Python on each platform")
    kept = {k: v for k, v in images[0].manifest.value.annotations.items() if k.startswith(OUR_KEYS)}
    kept.pop(WHEELS, None)  # of a builder image, and of one platform
    base = {"org.opencontainers.image.base.digest": str(found.digest)}
    if place.reference is not None:
        base["org.opencontainers.image.base.name"] = str(place.reference)
    return PythonImage(
        workshop, found, str(place), images, {**kept, **base}, versions.pop(), frozenset()
    )


def _trouble(root: Root) -> str:
    """Say why no application can be put on an image, or nothing."""
    there = root.tree.entry(APP)
    if there is not None and not isinstance(there, Directory):
        return f"the image has /{APP}, which is no directory"
    if root.tree.entry(VENV) is not None:
        return f"the image has /{VENV} already"
    return ""
