"""What went into an application, for its statement: images, lock, wheels and source, by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import to_builtins

from layersmith import __version__
from layersmith.assemble.reading import created_at
from layersmith.assemble.record import made_from
from layersmith.assemble.standing import standing_of
from layersmith.attest.applications import Below, Ingredient, Making, distribution
from layersmith.attest.names import purl
from layersmith.attest.provenance import APP_TYPE, REBASE_TYPE
from layersmith.oci.digest import Digest
from layersmith.recipe.lock import Made
from layersmith.recipe.shape import shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layersmith.assemble.deblayer import Package
    from layersmith.assemble.inputs import Input
    from layersmith.assemble.moving import Moved
    from layersmith.assemble.orders import Applied, Order
    from layersmith.assemble.places import Place
    from layersmith.assemble.python_image import PythonImage
    from layersmith.oci.image import Image
    from layersmith.recipe.application import App
    from layersmith.recipe.recipe import Recipe

__all__ = ["built_of", "rebased_of"]

# What is said of an application's table: no path of this machine, and no place.
_SAID: Final = (
    "extras", "groups", "shared", "debian-packages", "include", "exclude", "owner", "mode",
    "entrypoint", "cmd", "workdir", "env", "ports", "labels", "annotations", "stop-signal",
    "bytecode",
)  # fmt: skip


def built_of(
    order: Order,
    python: PythonImage,
    applied: Sequence[Applied],
    files: Iterable[tuple[str, Digest]],
) -> Making:
    """Return how an application was built; `files` are those of its lock."""
    images = [one.image for one in applied]
    wheels = (chosen for one in applied for chosen in one.wheels)
    own = (one.application.wheel for one in applied if one.application.wheel is not None)
    layers = (
        Ingredient(f"application {one.image.platform}", Digest(one.application.layer.diff_id))
        for one in applied
        if order.app.source
    )
    ingredients = [
        *_python(order.recipe, python),
        *(Ingredient(name, digest) for name, digest in files),
        *sorted({_package(one) for each in applied if each.added for one in each.added.packages}),
        *sorted(distribution(w.name, w.version, w.filename, Digest(w.digest)) for w in wheels),
        *(distribution(w.name, w.version, w.filename, Digest(w.digest)) for w in own),
        *sorted(layers),
    ]
    asked = {"python": _named(order.recipe, python), "application": _said(order.app)}
    return _making(APP_TYPE, order.recipe, python, images, asked, ingredients)


def rebased_of(recipe: Recipe, found: Input, python: PythonImage, moved: Sequence[Moved]) -> Making:
    """Return how an application was put on another base."""
    before = {str(one.before.platform): one.before.manifest.descriptor.digest for one in moved}
    image = Below("application", _reference(found.place), found.digest, before)
    ingredients = [*image.ingredients(), *_python(recipe, python)]
    asked = {"image": _reference(found.place), "onto": _named(recipe, python)}
    images = [one.image for one in moved]
    return _making(REBASE_TYPE, recipe, python, images, asked, ingredients)


def _making(
    kind: str,
    recipe: Recipe,
    python: PythonImage,
    images: Sequence[Image],
    asked: dict[str, Any],
    ingredients: Sequence[Ingredient],
) -> Making:
    images = sorted(images, key=lambda image: image.platform.key)
    compiled = {str(image.platform): standing_of(image).bytecode for image in images}
    about = {
        "platforms": [str(image.platform) for image in images],
        "compression": str(recipe.compressor()),
        "recipe": shape(recipe),
    }
    found = {
        "python": python.version,
        "epochs": {str(image.platform): created_at(image) for image in images},
        "bytecode": {platform: by for platform, by in compiled.items() if by},
    }
    made = Made(__version__, recipe.compressor().identity)
    return Making(
        kind=kind, asked={**asked, **about}, found=found, ingredients=ingredients, made=made
    )


def _python(recipe: Recipe, python: PythonImage) -> Iterator[Ingredient]:
    """Yield the Python image below, and what it was assembled from, if that was done here."""
    manifests = {str(one.platform): one.manifest.descriptor.digest for one in python.images}
    name = _named(recipe, python) if recipe.base_image else ""
    yield from Below("python", name, python.input.digest, manifests).ingredients()
    if not recipe.base_image:
        for what, name, digest in made_from(python.about):
            yield from Below(what, name, digest).ingredients()


def _named(recipe: Recipe, python: PythonImage) -> str:
    """Return the Python image as it was asked for: a target, or a reference."""
    return _reference(python.input.place) if recipe.base_image else recipe.target


def _reference(place: Place) -> str:
    """Return what others find a place by; a path of this machine is nobody else's business."""
    return str(place.reference or "")


def _package(one: Package) -> Ingredient:
    """Return a package of Debian's as what went in, by the name that its archive gives it."""
    name = f"{one.name}_{one.version}_{one.architecture}.deb"
    uri = purl("deb", f"debian/{one.name}", one.version, {"arch": one.architecture})
    return Ingredient(name, Digest(one.digest), uri)


def _said(app: App) -> dict[str, Any]:
    table = to_builtins(app)
    return {key: table[key] for key in _SAID if table[key] not in (None, False, "", (), [], {})}
