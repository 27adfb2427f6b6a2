"""Deciding and making: base and builder in, plans and then documents out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from layersmith.analysis.objects import Objects
from layersmith.assemble.inputs import FREE, Pinned
from layersmith.assemble.outcome import LeftOut, Made, Outcome, TopLayer, Unresolved
from layersmith.assemble.reading import LayerReader, Wanted, epoch_of
from layersmith.assemble.record import recorded
from layersmith.assemble.toplayer import make_layer
from layersmith.errors import RecipeError, intention
from layersmith.oci.image import NewLayer, Settings, derive, make_index
from layersmith.plan.plan import Plan, Platformed, make_plan
from layersmith.plan.selection import check_matched
from layersmith.plan.soundness import check_target
from layersmith.stores.layers import CacheDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from layersmith.assemble.inputs import Input, Inputs
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.documents import Platform
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target

__all__ = ["Planned", "make", "plan", "undone"]

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
        """The tags that the image gets where none is asked for."""
        return self.target.tags(self.python)


def plan(
    workshop: Workshop, target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned = FREE
) -> Planned:
    """Read base and builder and decide; nothing but the cache is written.

    Raises :class:`StoreError`, :class:`VerificationError`, :class:`LayerError`,
    :class:`ClosureError`, :class:`RecipeError` or :class:`LockMismatch`.
    """
    base, builder = inputs
    platforms = recipe.chosen_platforms()
    with (
        workshop.timed("read and plan"),
        workshop.crew.pool(_READERS, "layer") as layers,
        workshop.crew.pool(len(platforms), "plan") as pool,
    ):
        reader = LayerReader(workshop.layers, layers)
        plans = list(
            pool.map(
                lambda p: _plan_platform(workshop, p, base, builder, recipe, reader, pinned),
                platforms,
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


def make(workshop: Workshop, planned: Planned) -> Outcome:
    """Pack the layer of every platform, and write the documents above them."""
    with workshop.timed("pack"), workshop.crew.pool(len(planned.plans), "pack") as pool:
        made = tuple(pool.map(lambda plan: _make(workshop, planned, plan), planned.plans))
    # The newest of all, so that the order of the platforms does not matter.
    epoch = max(plan.epoch for plan in planned.plans)
    index = make_index([m.image for m in made], _annotations(planned, epoch))
    return Outcome(planned.python, index, made)


def _plan_platform(
    workshop: Workshop,
    platform: Platform,
    base: Input,
    builder: Input,
    recipe: Recipe,
    reader: LayerReader,
    pinned: Pinned,
) -> Plan:
    with intention(str(platform)):
        wanted = (base, base.image(platform), True), (builder, builder.image(platform), False)
        pinned.check(platform, [image for _, image, _ in wanted])
        epoch = pinned.epochs.get(str(platform))
        try:
            return _decide(workshop, wanted, recipe, reader, epoch)
        except CacheDamagedError:
            _mend(workshop, wanted)
            return _decide(workshop, wanted, recipe, reader, epoch)


def _decide(
    workshop: Workshop,
    wanted: tuple[Wanted, Wanted],
    recipe: Recipe,
    reader: LayerReader,
    epoch: int | None,
) -> Plan:
    base, builder = (image for _, image, _ in wanted)
    key = f"objects 1 {base.manifest.descriptor} {builder.manifest.descriptor}"
    objects = Objects(workshop.cache.recall(key))
    inputs = Platformed(base, builder, *reader.roots(wanted))
    moment = epoch_of((base, builder)) if epoch is None else epoch
    made = make_plan(inputs, recipe, moment, objects)
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
    about = (
        plan.entries, workshop.layers, plan.epoch, planned.recipe.compressor(), workshop.cache,
        workshop.crew, task,
    )  # fmt: skip
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
        image = derive(plan.inputs.base, added, settings)
        return Made(image, layer, *undone(plan))


def undone(plan: Plan) -> tuple[tuple[Unresolved, ...], tuple[LeftOut, ...]]:
    """Return what the plan leaves missing, and what it leaves out, in short."""
    unresolved = (Unresolved(item.soname, item.wanted_by) for item in plan.unresolved)
    left_out = (LeftOut(item.name, item.why, len(item.paths), item.size) for item in plan.left_out)
    return tuple(unresolved), tuple(left_out)


def _moment(epoch: int) -> str:
    """Return seconds since 1970 as configs and annotations have them (RFC 3339)."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _annotations(planned: Planned, epoch: int) -> Mapping[str, str]:
    about = {f"{_ABOUT}created": _moment(epoch), f"{_ABOUT}version": planned.python}
    made = recorded(planned.recipe, planned.base, planned.builder)
    return {**made, **about, **planned.recipe.annotations}
