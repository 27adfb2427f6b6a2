"""``assemble``: resolve the inputs, make what is new, deliver it.

What was made before from the same inputs is not made again: see `outcome`. The rooms that
read, plan and pack are loaded only when there is something to make, for a run that changes
nothing is mostly the loading of code.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from layersmith import __version__
from layersmith.assemble.delivery import Blob, Delivery, Destination, bring, stale
from layersmith.assemble.inputs import FREE, Inputs, Pinned, resolve
from layersmith.assemble.outcome import Assembled, Attached, Outcome
from layersmith.assemble.places import Place
from layersmith.errors import RecipeError, typed
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.assemble.places import Repository
    from layersmith.assemble.signing import Signer, Word, Written
    from layersmith.assemble.workshop import Workshop
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target
    from layersmith.stores.cache import Cache

__all__ = ["PLAIN", "Beside", "Signing", "assemble", "assembled", "destinations"]

# Changes with anything in the code that gives the same question another answer.
_FORMAT: Final = "outcome 2"
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
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What is delivered beside the images: SBOMs in these formats, provenance."""

    sboms: tuple[str, ...] = ()
    provenance: bool = False


PLAIN: Final = Beside()


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs what is delivered, and as whose: each place's own repository by default."""

    signer: Signer
    repository: str = ""

    def word(self, place: Place) -> Word:
        """Return what is said at a place; raises :class:`InvalidInput` where nothing can be."""
        from layersmith.assemble.signing import Word, named_repository  # noqa: PLC0415 - as below

        place.check_adding()
        return Word(named_repository(place, self.repository, "--sign-as"))

    def sign(
        self, place: Place, store: Repository, made: Assembled, cache: Cache
    ) -> Iterator[Written]:
        """Sign every platform's manifest and the index, and attest what is attached to them."""
        from layersmith.assemble.signing import attesting  # noqa: PLC0415 - as below

        word = self.word(place)
        subjects = [one.image.manifest.descriptor for one in made.outcome.made]
        subjects.append(made.outcome.index.descriptor)
        yield from self.signer.say_all(place, store, subjects, word)
        for one in made.attached:
            said = attesting(word.repository, one.content, cache)
            yield from self.signer.say_all(place, store, [one.subject], said)


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
    places = destinations(recipe, f"oci:dist/{target}", beside)
    if signing is not None:
        for place in places:
            signing.word(place)
    inputs = resolve(workshop, target, recipe, pinned)
    key = _key(target, recipe, inputs, pinned)
    outcome = Outcome.recall(workshop.cache, key)
    if outcome is not None and (beside == PLAIN or _is_held(workshop, outcome)):
        attached = _attached(workshop, recipe, inputs, outcome, beside)
        made = Assembled(target, *inputs, outcome, (), attached)
        done = _deliver(workshop, made, places, signing, hold=True)
        if done is not None:
            return done
    outcome = _made(workshop, target, recipe, inputs, pinned, key)
    attached = _attached(workshop, recipe, inputs, outcome, beside)
    made = Assembled(target, *inputs, outcome, (), attached)
    done = _deliver(workshop, made, places, signing, hold=False)
    assert done is not None
    return done


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
    from layersmith.assemble.pipeline import produce  # noqa: PLC0415 - see above

    outcome = produce(workshop, target, recipe, inputs, pinned)
    outcome.remember(workshop.cache, key)
    return outcome


def _is_held(workshop: Workshop, outcome: Outcome) -> bool:
    """Tell whether the new layers are whole; from here on they stay."""
    return all(workshop.cache.hold(made.layer.layer.descriptor) for made in outcome.made)


def _attached(
    workshop: Workshop, recipe: Recipe, inputs: Inputs, outcome: Outcome, beside: Beside
) -> list[Attached]:
    if beside == PLAIN:
        return []
    from layersmith.assemble.attaching import attached_sboms  # noqa: PLC0415 - see above

    with workshop.timed("describe"):
        found = list(attached_sboms(workshop, inputs, outcome, beside.sboms))
        if beside.provenance:
            from layersmith.assemble.proving import attached_provenance  # noqa: PLC0415 - as above

            found += attached_provenance(workshop, recipe, inputs, outcome)
    return found


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
    made: Assembled,
    places: list[Place],
    signing: Signing | None,
    *,
    hold: bool,
) -> Assembled | None:
    """Deliver, and return the result with the names that the index has now.

    With `hold` the layers are from an earlier run: None if one of them is needed and no
    longer whole.
    """
    outcome = made.outcome
    written: list[Written] = []
    delivery = _delivery(workshop, (made.base, made.builder), outcome, made.attached)

    def destination(place: Place) -> Destination:
        sink = place.sink(workshop.registries)
        found = Destination(sink, (place.tag,) if place.tag else made.target.tags(outcome.python))
        if made.attached:
            from layersmith.assemble.attaching import lists_at  # noqa: PLC0415 - see above

            found = replace(found, lists=partial(lists_at, place, sink, made.attached))
        if signing is None:
            return found
        return replace(
            found, settle=lambda: written.extend(signing.sign(place, sink, made, workshop.cache))
        )

    with workshop.timed("deliver"):
        destinations = [destination(place) for place in places]
        tags = stale(delivery, destinations)
        layers = [made.layer.layer.descriptor for made in outcome.made] if tags and hold else []
        if not all(map(workshop.cache.hold, layers)):
            return None
        bring(delivery, tags, workshop.crew)
        for one in destinations:  # where nothing had to be brought
            if all(one is not brought for brought, _ in tags):
                one.settle()
    names = [p.named(t) for p, d in zip(places, destinations, strict=True) for t in d.tags]
    return replace(made, names=names, signed=written)


def _delivery(
    workshop: Workshop, inputs: Inputs, outcome: Outcome, attached: Sequence[Attached]
) -> Delivery:
    base, _ = inputs
    blobs = []
    for made in outcome.made:
        *below, _ = made.image.manifest.value.layers
        blobs += [Blob(layer, base.source, base.place.reference) for layer in below]
        blobs.append(Blob(made.layer.layer.descriptor, workshop.cache, None))
    delivery = Delivery.of_images(outcome.index, [made.image for made in outcome.made], blobs)
    if not attached:
        return delivery
    from layersmith.assemble.attaching import with_attached  # noqa: PLC0415 - see above

    return with_attached(workshop, delivery, attached)


def destinations(recipe: Recipe, default: str, beside: Beside = PLAIN) -> list[Place]:
    """Return where the image goes, to `default` if nothing is said.

    Raises :class:`RecipeError` or :class:`InvalidReference`.
    """
    places = [Place.parse(text) for text in recipe.push]
    if recipe.output or not recipe.push:
        place = Place.parse(recipe.output or default)
        if place.reference is not None:
            raise RecipeError(
                f"the output {typed(recipe.output, 200)!r} is no layout or archive",
                hint="write oci:DIR, oci-archive:FILE or docker-archive:FILE, or use --push",
            )
        places.append(place)
    one = next((place for place in places if place.holds_one), None)
    if one is not None and len(recipe.chosen_platforms()) > 1:
        raise RecipeError(f"{one!s} can hold one platform", hint="choose one with --platform")
    if beside != PLAIN:
        from layersmith.assemble.attaching import check_places  # noqa: PLC0415 - see above
        from layersmith.assemble.describing import format_of  # noqa: PLC0415 - as above

        check_places(places)
        for name in beside.sboms:
            format_of(name)
    return places
