"""The pipeline of `plan` and `assemble`: short composition, no detail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from layersmith.analysis.objects import Objects
from layersmith.assemble.delivery import Blob, Delivery, Destination, deliver
from layersmith.assemble.inputs import Input, LayerReader, Wanted, epoch_of, load_input
from layersmith.assemble.places import Place
from layersmith.assemble.toplayer import TopLayer, make_layer
from layersmith.errors import RecipeError, intention, one_line
from layersmith.oci.image import Image, NewLayer, Settings, derive, make_index
from layersmith.plan.plan import Plan, Platformed, make_plan
from layersmith.plan.selection import check_matched
from layersmith.plan.soundness import check_target
from layersmith.stores.layers import CacheDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.documents import Document, Index, Platform
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target

__all__ = ["Assembled", "Made", "Planned", "assemble", "plan"]

_ENV: Final = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONFAULTHANDLER": "1",
}
_ENTRYPOINT: Final = ("/usr/local/bin/python",)
_READERS: Final = 6
_ABOUT: Final = "org.opencontainers.image."


@dataclass(frozen=True, slots=True)
class Planned:
    """The inputs and the plan of every platform: what `layersmith plan` shows."""

    target: Target
    recipe: Recipe
    base: Input
    builder: Input
    plans: Sequence[Plan]

    @property
    def python(self) -> str:
        """The full Python version, the same on every platform."""
        return self.plans[0].python

    @property
    def tags(self) -> tuple[str, ...]:
        """The target, and the target with the full Python version."""
        return tuple(dict.fromkeys((str(self.target), f"{self.python}-{self.target.suffix}")))


@dataclass(frozen=True, slots=True)
class Made:
    """One platform, done: its plan, its layer, its image."""

    plan: Plan
    layer: TopLayer
    image: Image


@dataclass(frozen=True, slots=True)
class Assembled:
    """The result: the index, its images, and the names that stand for it."""

    planned: Planned
    index: Document[Index]
    made: Sequence[Made]
    names: Sequence[str]


def plan(workshop: Workshop, target: Target, recipe: Recipe) -> Planned:
    """Read base and builder and decide; nothing but the cache is written.

    Raises :class:`StoreError`, :class:`VerificationError`, :class:`LayerError`,
    :class:`ClosureError` or :class:`RecipeError`.
    """
    places = [
        Place.parse(recipe.base or target.base),
        Place.parse(recipe.builder or target.builder),
    ]
    with workshop.timed("resolve"), workshop.crew.pool(2, "resolve") as pool:
        base, builder = pool.map(lambda place: _load(workshop, place), places)
    platforms = recipe.chosen_platforms()
    with (
        workshop.timed("read and plan"),
        workshop.crew.pool(_READERS, "layer") as layers,
        workshop.crew.pool(len(platforms), "plan") as pool,
    ):
        reader = LayerReader(workshop.layers, layers)
        plans = list(
            pool.map(
                lambda p: _plan_platform(workshop, p, base, builder, recipe, reader), platforms
            )
        )
    versions = {plan.python for plan in plans}
    if len(versions) > 1:
        raise RecipeError(f"the builder has another Python on each platform: {sorted(versions)}")
    for plan in plans:
        with intention(str(plan.inputs.base.platform)):
            check_target(plan.inputs.base_root, target, plan.python)
    check_matched(plan.unmatched for plan in plans)
    return Planned(target, recipe, base, builder, plans)


def assemble(workshop: Workshop, target: Target, recipe: Recipe) -> Assembled:
    """Make the image of every platform and deliver the index to every place."""
    places = _destinations(target, recipe)
    planned = plan(workshop, target, recipe)
    with workshop.timed("pack"), workshop.crew.pool(len(planned.plans), "pack") as pool:
        made = list(pool.map(lambda plan: _make(workshop, planned, plan), planned.plans))
    # The newest of all, so that the order of the platforms does not matter.
    epoch = max(plan.epoch for plan in planned.plans)
    index = make_index([m.image for m in made], _annotations(planned, epoch))
    delivery = Delivery.of_images(index, [m.image for m in made], _blobs(workshop, planned, made))
    tagged = [(place, (place.tag,) if place.tag else planned.tags) for place in places]
    with workshop.timed("deliver"):
        destinations = [Destination(place.sink(workshop.registries), t) for place, t in tagged]
        deliver(delivery, destinations, workshop.crew)
    return Assembled(planned, index, made, [place.named(tag) for place, t in tagged for tag in t])


def _load(workshop: Workshop, place: Place) -> Input:
    source = place.source(workshop.registries)
    return load_input(source, place, workshop.cache)


def _plan_platform(
    workshop: Workshop,
    platform: Platform,
    base: Input,
    builder: Input,
    recipe: Recipe,
    reader: LayerReader,
) -> Plan:
    with intention(str(platform)):
        wanted = (base, base.image(platform), True), (builder, builder.image(platform), False)
        try:
            return _decide(workshop, wanted, recipe, reader)
        except CacheDamagedError:
            _mend(workshop, wanted)
            return _decide(workshop, wanted, recipe, reader)


def _decide(
    workshop: Workshop,
    wanted: tuple[Wanted, Wanted],
    recipe: Recipe,
    reader: LayerReader,
) -> Plan:
    base, builder = (image for _, image, _ in wanted)
    key = f"objects 1 {base.manifest.descriptor} {builder.manifest.descriptor}"
    objects = Objects(workshop.cache.recall(key))
    inputs = Platformed(base, builder, *reader.roots(wanted))
    made = make_plan(inputs, recipe, epoch_of((base, builder)), objects)
    if objects.grown:
        workshop.cache.remember(key, objects.dump())
    return made


def _mend(workshop: Workshop, wanted: Iterable[Wanted]) -> None:
    """Fetch every layer again that is damaged in the cache: where one is, more may be."""
    for input_, image, keep in wanted:
        for layer in image.layers:
            workshop.layers.mend(input_.source, layer, keep_blob=keep)


def _make_layer(workshop: Workshop, planned: Planned, plan: Plan) -> TopLayer:
    """Pack the layer; if the cache is found damaged meanwhile, mend it and pack again."""
    task = f"pack {plan.inputs.base.platform}"
    about = plan.entries, workshop.layers, plan.epoch, workshop.cache, workshop.crew, task
    try:
        return make_layer(*about)
    except CacheDamagedError:
        images = plan.inputs.base, plan.inputs.builder
        _mend(workshop, zip((planned.base, planned.builder), images, (True, False), strict=True))
        return make_layer(*about)


def _make(workshop: Workshop, planned: Planned, plan: Plan) -> Made:
    recipe, platform = planned.recipe, plan.inputs.base.platform
    with intention(str(platform)):
        layer = _make_layer(workshop, planned, plan)
        added = NewLayer(layer.layer, f"layersmith assemble {planned.target}")
        settings = Settings(
            created=_moment(plan.epoch),
            user=plan.user.config,
            env={**_ENV, **dict(sorted(recipe.env.items()))},
            entrypoint=recipe.entrypoint if recipe.entrypoint is not None else _ENTRYPOINT,
            cmd=recipe.cmd,
            workdir=recipe.workdir,
            labels=recipe.labels,
            annotations=_annotations(planned, plan.epoch),
        )
        return Made(plan, layer, derive(plan.inputs.base, added, settings))


def _moment(epoch: int) -> str:
    """Return seconds since 1970 as configs and annotations have them (RFC 3339)."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _annotations(planned: Planned, epoch: int) -> Mapping[str, str]:
    about = {
        f"{_ABOUT}base.digest": str(planned.base.digest),
        f"{_ABOUT}created": _moment(epoch),
        f"{_ABOUT}version": planned.python,
    }
    if planned.base.place.reference is not None:
        about[f"{_ABOUT}base.name"] = str(planned.base.place.reference)
    return {**about, **planned.recipe.annotations}


def _destinations(target: Target, recipe: Recipe) -> list[Place]:
    places = [Place.parse(text) for text in recipe.push]
    if recipe.output or not recipe.push:
        place = Place.parse(recipe.output or f"oci:dist/{target}")
        if place.reference is not None:
            raise RecipeError(
                f"the output {one_line(recipe.output, 200)!r} is no layout or archive",
                hint="write oci:DIR, oci-archive:FILE or docker-archive:FILE, or use --push",
            )
        places.append(place)
    one = next((place for place in places if place.holds_one), None)
    if one is not None and len(recipe.chosen_platforms()) > 1:
        raise RecipeError(f"{one!s} can hold one platform", hint="choose one with --platform")
    return places


def _blobs(workshop: Workshop, planned: Planned, made: Sequence[Made]) -> list[Blob]:
    blobs = []
    for one in made:
        inputs = one.plan.inputs
        blobs += [
            Blob(layer, planned.base.source, planned.base.place.reference)
            for layer in inputs.base.manifest.value.layers
        ]
        blobs.append(Blob(one.layer.layer.descriptor, workshop.cache, None))
    return blobs
