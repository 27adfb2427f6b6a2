"""``assemble``: resolve the inputs, make what is new, deliver it.

What was made before from the same inputs is not made again: see `outcome`. The rooms that
read, plan and pack are loaded only when there is something to make, for a run that changes
nothing is mostly the loading of code.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from layersmith import __version__
from layersmith.assemble.delivery import Blob
from layersmith.assemble.inputs import FREE, Inputs, Pinned, resolve
from layersmith.assemble.outcome import Assembled, Outcome
from layersmith.assemble.publishing import PLAIN, Beside, Publication, again, destinations, publish
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.publishing import Signing
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.provenance import Subject
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target

__all__ = ["assemble", "assembled"]

# Changes with anything in the code that gives the same question another answer.
_FORMAT: Final = "outcome 3"
# What of a recipe does not shape the image.
_ELSEWHERE: Final[dict[str, Any]] = {
    "output": "",
    "push": (),
    "mirrors": {},
    "plain_http": (),
    "verify_base": "",
    "verify_builder": "",
    "app": None,
    "base_image": "",
    "requirements": "",
    "wheel_dirs": (),
}


def assemble(
    workshop: Workshop,
    target: Target,
    recipe: Recipe,
    pinned: Pinned = FREE,
    beside: Beside = PLAIN,
    signing: Signing | None = None,
) -> Assembled:
    """Make the image of every platform and deliver the index to every place, signed if asked.

    Raises what :func:`layersmith.assemble.pipeline.plan` raises, and
    :class:`StoreError` for a place that takes nothing; then no tag was written.
    """
    places = destinations(recipe, f"oci:dist/{target.folder}", beside, signing)
    inputs = resolve(workshop, target, recipe, pinned)
    key = _key(target, recipe, inputs, pinned)

    def attempt() -> Assembled | None:
        recalled = Outcome.recall(workshop.cache, key)
        outcome = recalled or _made(workshop, target, recipe, inputs, pinned, key)
        images = _publication(workshop, recipe, inputs, outcome)
        if recalled is not None:
            layers = [made.layer.layer.descriptor for made in recalled.made]
            images = replace(images, earlier=layers)
        tags = target.tags(outcome.python)
        aims = [(place, (place.tag,) if place.tag else tags) for place in places]
        done = publish(workshop, images, aims, beside, signing)
        if done is None:
            return None
        return Assembled(target, *inputs, outcome, done.names, done.attached, done.signed)

    return again(attempt)


def assembled(
    workshop: Workshop, target: Target, recipe: Recipe, pinned: Pinned = FREE
) -> tuple[Inputs, Outcome]:
    """Return the image of every platform, delivered nowhere; its new layers are in the cache.

    They are verified when they are read, and only then. Raises what
    :func:`layersmith.assemble.pipeline.plan` raises.
    """
    inputs = resolve(workshop, target, recipe, pinned)
    key = _key(target, recipe, inputs, pinned)
    outcome = Outcome.recall(workshop.cache, key)
    layers = [made.layer.layer.descriptor for made in outcome.made] if outcome else []
    if outcome is None or not all(map(workshop.cache.keep, layers)):
        outcome = _made(workshop, target, recipe, inputs, pinned, key)
    return inputs, outcome


def _made(
    workshop: Workshop, target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned, key: str
) -> Outcome:
    """Make it, and remember it by `key` for the next run."""
    from layersmith.assemble.making import produce  # noqa: PLC0415 - see above

    outcome = produce(workshop, target, recipe, inputs, pinned)
    outcome.remember(workshop.cache, key)
    return outcome


def _key(target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned) -> str:
    """Name everything that the outcome depends on."""
    about: dict[str, Any] = {
        "format": _FORMAT,
        "layersmith": __version__,
        "target": str(target),
        "recipe": structs.replace(recipe, **_ELSEWHERE),
        "inputs": [(str(input_.place), input_.digest) for input_ in inputs],
        "epoch": os.environ.get("SOURCE_DATE_EPOCH", "") if not pinned.epochs else "",
        "pinned": [sorted(pinned.epochs.items()), sorted(pinned.images.items())],
        "compressor": recipe.compressor().identity,
    }
    if target.is_builder:
        from layersmith.assemble.builder_tools import fingerprint  # noqa: PLC0415 - seldom needed

        about["tools"] = fingerprint(recipe)
        about["wheels"] = {at: sorted(wheels.items()) for at, wheels in pinned.wheels.items()}
    return encode(about).decode()


def _publication(
    workshop: Workshop, recipe: Recipe, inputs: Inputs, outcome: Outcome
) -> Publication:
    """Return the images, who has their layers, and how it is said that they were made."""
    base, _ = inputs
    blobs: list[Blob] = []
    for made in outcome.made:
        *below, _ = made.image.manifest.value.layers
        blobs += map(base.blob, below)
        blobs.append(Blob(made.layer.layer.descriptor, workshop.cache, None))

    def stated(subjects: Sequence[Subject]) -> bytes:
        from layersmith.assemble.proving import lock_made_by  # noqa: PLC0415 - see above
        from layersmith.attest.provenance import statement  # noqa: PLC0415 - as above

        return statement(lock_made_by(recipe, inputs, outcome), subjects)

    return Publication(
        name=recipe.target,
        origin=base.place,
        top=outcome.index,
        images=[made.image for made in outcome.made],
        blobs=blobs,
        statement=stated,
    )
