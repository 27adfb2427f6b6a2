"""``rebase``: the layers of an application on another base, for every platform of it.

::

    REF -standing-> what is its own, and where it stood      (verified: see `standing`)
    TARGET | REF2 -> Python image, as for app build
    layers x new base -fitting-> nothing wrong, or every reason
    new base + layers + what was said -derive-> config, manifest;  manifests -> index -deliver->

Layers are only mounted, or copied by digest: what is written is JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import structs

from layersmith.assemble.fitting import Fit
from layersmith.assemble.inputs import load_input
from layersmith.assemble.moving import Moved, move_all, own_annotations
from layersmith.assemble.places import Place
from layersmith.assemble.publishing import PLAIN, Publication, again, destinations, publish
from layersmith.assemble.python_image import python_image
from layersmith.assemble.reading import created_at, moment
from layersmith.assemble.record import APPLICATION, is_ours
from layersmith.assemble.standing import (
    CREATED,
    Standing,
    check_prefix,
    standing_by,
    standing_of,
)
from layersmith.errors import (
    DocumentError,
    InvalidInput,
    InvalidTarget,
    RecipeError,
    intention,
    one_line,
)
from layersmith.oci.derived import OUR_KEYS, make_index
from layersmith.oci.documents import Index
from layersmith.oci.image import every_image, image_of
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.assemble.inputs import Input, Pinned
    from layersmith.assemble.moving import Trio
    from layersmith.assemble.publishing import Beside, Published, Signing
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.provenance import Subject
    from layersmith.oci.documents import Document, Manifest
    from layersmith.oci.image import Image

__all__ = ["Rebased", "Wish", "rebase"]

_DEFAULT: Final = "oci:dist/rebased"
_FROM: Final = f"{OUR_KEYS}rebased-from."
_VERSION: Final = "org.opencontainers.image.version"
_PYTHON: Final = "PYTHON_VERSION"
_NAME: Final = "application"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to move, onto what, and what is allowed on the way.

    `recipe` says how a target is assembled, and where the result goes.
    """

    ref: str
    onto: str
    recipe: Recipe
    pinned: Pinned
    old_base: str = ""
    shadowing: bool = False


@dataclass(frozen=True, slots=True)
class Rebased:
    """The result; with `is_same` it stood there already, and nothing was made."""

    place: Place
    before: Document[Index] | Document[Manifest]
    python: PythonImage
    index: Document[Index] | Document[Manifest]
    moved: tuple[Moved, ...]
    published: Published
    is_same: bool


def rebase(
    workshop: Workshop, wish: Wish, beside: Beside = PLAIN, signing: Signing | None = None
) -> Rebased:
    """Put the application on the new base and deliver the index, signed if asked.

    Raises :class:`ClosureError` with every reason why it does not fit, :class:`InvalidInput` for
    what is no application or was changed, :class:`NotFound` for a platform that the new base
    lacks, and :class:`StoreError`; then no tag was written.
    """
    place = Place.parse(wish.ref)
    with workshop.timed("resolve"):
        found = load_input(place.source(workshop.registries), place, workshop.cache)
        images = _images(found, wish.recipe)
    with intention(str(place)):
        standings = list(_standings(workshop, wish, images))
    recipe = _recipe(wish, images)
    places = destinations(recipe, _DEFAULT, beside, signing)
    aims = [(place, (_tag(place, found.place),)) for place in places]

    def attempt() -> Rebased | None:
        with intention(f"rebasing onto {one_line(wish.onto, 200)}"):
            python = python_image(workshop, recipe, wish.pinned)
        trios = list(zip(images, standings, python.images, strict=True))
        is_same = _is_there(found, trios)
        if is_same:
            moved = tuple(Moved(i, base, i, s.layers, Fit(), ()) for i, s, base in trios)
            published = _as_it_is(workshop, found, images)
        else:
            allow, shadowing = wish.recipe.allow_unresolved, wish.shadowing
            moved = move_all(workshop, found, python, trios, allow, shadowing=shadowing)
            published = _publication(recipe, found, python, trios, moved)
        # Where nothing was made, what has been named is all that there is to do.
        wanted = aims if not is_same or recipe.push or recipe.output else ()
        done = publish(workshop, published, wanted, beside, signing)
        if done is None:
            return None
        return Rebased(found.place, found.top, python, published.top, moved, done, is_same)

    return again(attempt)


def _images(found: Input, recipe: Recipe) -> tuple[Image, ...]:
    """Return the images to move: those of every platform, unless some are chosen."""
    if recipe.platforms:
        return tuple(map(found.image, recipe.chosen_platforms()))
    top = found.top
    with intention(f"reading {found.place}"):
        if isinstance(top.value, Index):
            images = tuple(every_image(found.source, top.value))
        else:
            images = (image_of(found.source, top),)
        if not images:
            raise DocumentError("there is no image in this index")
    return images


def _standings(workshop: Workshop, wish: Wish, images: Sequence[Image]) -> Iterator[Standing]:
    """Yield where each image stands: as it says, or by comparison with the base that is named."""
    old: Input | None = None
    if wish.old_base:
        place = Place.parse(wish.old_base)
        old = load_input(place.source(workshop.registries), place, workshop.cache)
    for image in images:
        about = image.manifest.value.annotations
        if APPLICATION not in about and is_ours(about) and old is None:
            raise InvalidInput(
                "it is a Python image, no application: nothing is on it",
                hint="assemble it again, or name what it was built on: --old-base REF",
            )
        below = old.image(image.platform) if old is not None else None
        if APPLICATION in about:
            if below is not None:
                check_prefix(below, image)
            yield standing_of(image)
        elif below is not None:
            yield standing_by(below, image, _version(below))
        else:
            yield standing_of(image)


def _version(base: Image) -> str:
    """Return which Python an image says it has."""
    about = base.manifest.value.annotations
    if is_ours(about):
        return about.get(_VERSION, "")
    return base.config.value.environment().get(_PYTHON, "")


def _recipe(wish: Wish, images: Sequence[Image]) -> Recipe:
    """Return the recipe of the new base: a target's is what was said, an image needs none."""
    platforms = tuple(str(image.platform) for image in images)
    recipe = structs.replace(wish.recipe, platforms=platforms, app=None)
    if not wish.onto:
        raise RecipeError(
            "no --onto: onto what?", hint="give a target like 3.13-debian13, or an image"
        )
    try:
        Target.parse(wish.onto)
    except InvalidTarget:
        if not set(":/@") & set(wish.onto):
            raise
        kept = {key: getattr(recipe, key) for key in ("output", "push", "platforms")}
        return Recipe(base_image=wish.onto, **kept)
    return structs.replace(recipe, target=wish.onto, base_image="")


def _is_there(found: Input, trios: Sequence[Trio]) -> bool:
    """Tell whether all that there is stands on the new base already."""
    is_same = all(s.image == base.manifest.descriptor.digest for _, s, base in trios)
    value = found.top.value
    count = len(list(every_image(found.source, value))) if isinstance(value, Index) else 1
    return is_same and len(trios) == count


def _as_it_is(workshop: Workshop, found: Input, images: Sequence[Image]) -> Publication:
    """Return the image as it is, with whatever else there is below its index."""
    from layersmith.assemble.copying import whole  # noqa: PLC0415 - seldom needed

    about = found.place, found.top.descriptor
    delivery = whole(workshop.registries, workshop.crew, *about)
    return Publication(
        name=_NAME,
        origin=found.place,
        top=found.top,
        images=images,
        blobs=delivery.blobs,
        whole=delivery,
    )


def _publication(
    recipe: Recipe,
    found: Input,
    python: PythonImage,
    trios: Sequence[Trio],
    moved: Sequence[Moved],
) -> Publication:
    """Return the images, who has their layers, and how it is said that they were made."""

    def stated(subjects: Sequence[Subject]) -> bytes:
        from layersmith.assemble.ingredients import rebased_of  # noqa: PLC0415 - seldom asked for

        return rebased_of(recipe, found, python, moved).statement(subjects)

    own = (
        found.blob(layer)
        for one in moved
        for layer in one.image.manifest.value.layers[-one.layers :]
    )
    return Publication(
        name=_NAME,
        origin=found.place,
        top=make_index([one.image for one in moved], _about(found, python, moved, trios)),
        images=[one.image for one in moved],
        blobs=[*python.blobs(), *own],
        statement=stated,
    )


def _tag(place: Place, origin: Place) -> str:
    return place.tag or origin.tag or "latest"


def _about(
    found: Input, python: PythonImage, moved: Sequence[Moved], trios: Sequence[Trio]
) -> dict[str, str]:
    """Return the index's annotations: how it was made, and from which image."""
    created = moment(max(created_at(one.image) for one in moved))
    standing = Standing(image=str(python.input.digest), python=python.version)
    about = {**python.about, CREATED: created, APPLICATION: standing.text()}
    for image, standing, _ in trios:
        about |= own_annotations(image, standing)
    about[f"{_FROM}digest"] = str(found.digest)
    if found.place.reference is not None:
        about[f"{_FROM}name"] = found.place.reference.name
    return about
