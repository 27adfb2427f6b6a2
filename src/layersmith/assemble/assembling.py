"""``assemble``: resolve the inputs, make what is new, deliver it.

What was made before from the same inputs is not made again: see `outcome`. The rooms that
read, plan and pack are loaded only when there is something to make, for a run that changes
nothing is mostly the loading of code.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from layersmith import __version__
from layersmith.assemble.delivery import Blob, Delivery, Destination, bring, stale
from layersmith.assemble.inputs import FREE, Inputs, Pinned, resolve
from layersmith.assemble.outcome import Assembled, Outcome
from layersmith.assemble.places import Place
from layersmith.errors import RecipeError, typed
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from layersmith.assemble.workshop import Workshop
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target

__all__ = ["assemble"]

# Changes with anything in the code that gives the same question another answer.
_FORMAT: Final = "outcome 2"
# What of a recipe does not shape the image.
_ELSEWHERE: Final[dict[str, Any]] = {"output": "", "push": (), "mirrors": {}, "plain_http": ()}


def assemble(
    workshop: Workshop, target: Target, recipe: Recipe, pinned: Pinned = FREE
) -> Assembled:
    """Make the image of every platform and deliver the index to every place.

    Raises what :func:`layersmith.assemble.pipeline.plan` raises, and
    :class:`StoreError` for a place that takes nothing; then no tag was written.
    """
    places = _destinations(target, recipe)
    inputs = resolve(workshop, target, recipe, pinned)
    key = _key(target, recipe, inputs, pinned)
    outcome = Outcome.recall(workshop.cache, key)
    if outcome is not None:
        names = _deliver(workshop, target, inputs, outcome, places, hold=True)
        if names is not None:
            return Assembled(target, *inputs, outcome, names)
    from layersmith.assemble.pipeline import produce  # noqa: PLC0415 - see above

    outcome = produce(workshop, target, recipe, inputs, pinned)
    outcome.remember(workshop.cache, key)
    names = _deliver(workshop, target, inputs, outcome, places, hold=False)
    assert names is not None
    return Assembled(target, *inputs, outcome, names)


def _key(target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned) -> str:
    """Name everything that the outcome depends on."""
    about = {
        "format": _FORMAT,
        "layersmith": __version__,
        "target": str(target),
        "recipe": structs.replace(recipe, **_ELSEWHERE),
        "inputs": [(str(input_.place), input_.digest) for input_ in inputs],
        "epoch": os.environ.get("SOURCE_DATE_EPOCH", "") if not pinned.epochs else "",
        "pinned": [sorted(pinned.epochs.items()), sorted(pinned.images.items())],
        "compressor": recipe.compressor().identity,
    }
    return encode(about).decode()


def _deliver(
    workshop: Workshop,
    target: Target,
    inputs: Inputs,
    outcome: Outcome,
    places: list[Place],
    *,
    hold: bool,
) -> list[str] | None:
    """Deliver, and return the names that the index has now.

    With `hold` the layers are from an earlier run: None if one of them is needed and no
    longer whole.
    """
    delivery = _delivery(workshop, inputs, outcome)
    tagged = [
        (place, (place.tag,) if place.tag else target.tags(outcome.python)) for place in places
    ]
    with workshop.timed("deliver"):
        destinations = [Destination(place.sink(workshop.registries), t) for place, t in tagged]
        tags = stale(delivery, destinations)
        layers = [made.layer.layer.descriptor for made in outcome.made] if tags and hold else []
        if not all(map(workshop.cache.hold, layers)):
            return None
        bring(delivery, tags, workshop.crew)
    return [place.named(tag) for place, t in tagged for tag in t]


def _delivery(workshop: Workshop, inputs: Inputs, outcome: Outcome) -> Delivery:
    base, _ = inputs
    blobs = []
    for made in outcome.made:
        *below, _ = made.image.manifest.value.layers
        blobs += [Blob(layer, base.source, base.place.reference) for layer in below]
        blobs.append(Blob(made.layer.layer.descriptor, workshop.cache, None))
    return Delivery.of_images(outcome.index, [made.image for made in outcome.made], blobs)


def _destinations(target: Target, recipe: Recipe) -> list[Place]:
    places = [Place.parse(text) for text in recipe.push]
    if recipe.output or not recipe.push:
        place = Place.parse(recipe.output or f"oci:dist/{target}")
        if place.reference is not None:
            raise RecipeError(
                f"the output {typed(recipe.output, 200)!r} is no layout or archive",
                hint="write oci:DIR, oci-archive:FILE or docker-archive:FILE, or use --push",
            )
        places.append(place)
    one = next((place for place in places if place.holds_one), None)
    if one is not None and len(recipe.chosen_platforms()) > 1:
        raise RecipeError(f"{one!s} can hold one platform", hint="choose one with --platform")
    return places
