"""Deciding and making: base and builder in, plans and then documents out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from layersmith.assemble.inputs import FREE
from layersmith.assemble.outcome import LeftOut, Made, Outcome, TopLayer, Unresolved
from layersmith.assemble.planned import PlannedFor
from layersmith.assemble.reading import READERS, LayerReader, epoch_of, mending, moment
from layersmith.assemble.record import stated
from layersmith.assemble.toplayer import make_layer
from layersmith.errors import RecipeError, intention
from layersmith.oci.derived import NewLayer, Settings, derive, make_index
from layersmith.rootfs.entries import as_utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from layersmith.assemble.inputs import Input, Inputs, Pinned
    from layersmith.assemble.reading import Wanted
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.documents import Platform
    from layersmith.oci.image import Image
    from layersmith.plan.plan import Plan
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target

    Images: TypeAlias = tuple[Image, Image]  # base and builder of one platform
    Both: TypeAlias = tuple[Plan, Made]

__all__ = ["ENV", "Planned", "make", "plan", "produce", "undone"]

ENV: Final = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONFAULTHANDLER": "1",
}
_ENTRYPOINT: Final = ("/usr/local/bin/python",)


class Planned(PlannedFor["Plan"]):
    """The plans of a distroless image."""

    __slots__ = ()


def plan(
    workshop: Workshop, target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned = FREE
) -> Planned:
    """Read base and builder and decide; nothing but the cache is written.

    Raises :class:`StoreError`, :class:`VerificationError`, :class:`LayerError`,
    :class:`ClosureError`, :class:`RecipeError` or :class:`LockMismatch`.
    """
    job = _Job(workshop, target, recipe, *inputs)
    return job.agreed(job.each("read and plan", pinned, job.plan))


def make(workshop: Workshop, planned: Planned) -> Outcome:
    """Pack the layer of every platform, and write the documents above them."""
    job = _Job(workshop, planned.target, planned.recipe, planned.base, planned.builder)
    with workshop.timed("pack"), workshop.crew.pool(len(planned.plans), "pack") as pool:
        return job.outcome(planned, list(pool.map(job.make, planned.plans)))


def produce(
    workshop: Workshop, target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned = FREE
) -> Outcome:
    """Plan and make: a platform is packed as soon as it is planned, while others are read.

    Raises what :func:`plan` raises.
    """
    job = _Job(workshop, target, recipe, *inputs)

    def planned_and_made(reader: LayerReader, images: Images, epoch: int | None) -> Both:
        plan = job.plan(reader, images, epoch)
        return plan, job.make(plan)

    both = job.each("read, plan and pack", pinned, planned_and_made)
    return job.outcome(job.agreed([plan for plan, _ in both]), [made for _, made in both])


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    """What is asked for, and the steps to it; those of a platform run on its own thread."""

    workshop: Workshop
    target: Target
    recipe: Recipe
    base: Input
    builder: Input

    def each(
        self, what: str, pinned: Pinned, step: Callable[[LayerReader, Images, int | None], T]
    ) -> list[T]:
        """Take a step for every platform, side by side, on its images and the time for it."""
        platforms, crew = self.recipe.chosen_platforms(), self.workshop.crew
        with (
            self.workshop.timed(what),
            crew.pool(READERS, "layer") as layers,
            crew.pool(len(platforms), "plan") as pool,
        ):
            found = list(pool.map(lambda platform: self._images(platform, pinned), platforms))
            reader = LayerReader(self.workshop.layers, layers, len(platforms))
            reader.begin(wanted for images in found for wanted in self._wanted(images))
            epochs = (pinned.epochs.get(str(platform)) for platform in platforms)
            return list(pool.map(partial(step, reader), found, epochs))

    def _images(self, platform: Platform, pinned: Pinned) -> Images:
        with intention(str(platform)):
            images = self.base.image(platform), self.builder.image(platform)
            pinned.check(platform, images)
            return images

    def _wanted(self, images: Images) -> tuple[Wanted, Wanted]:
        base, builder = images
        return (self.base, base, True), (self.builder, builder, False)

    def plan(self, reader: LayerReader, images: Images, epoch: int | None) -> Plan:
        """Read both images of a platform, and decide."""
        with intention(str(images[0].platform)):
            layers, wanted = self.workshop.layers, self._wanted(images)
            return mending(layers, wanted, lambda: self._decide(reader, images, epoch))

    def _decide(self, reader: LayerReader, images: Images, epoch: int | None) -> Plan:
        # Loaded while the first layers are read.
        from layersmith.analysis.objects import Objects  # noqa: PLC0415
        from layersmith.plan.plan import Platformed, make_plan  # noqa: PLC0415
        from layersmith.plan.soundness import check_target  # noqa: PLC0415

        base, builder = images
        cache = self.workshop.cache
        key = f"objects 2 {base.manifest.descriptor} {builder.manifest.descriptor}"
        objects = Objects(cache.recall(key))
        inputs = Platformed(base, builder, *reader.roots(self._wanted(images)))
        time = epoch_of(images) if epoch is None else epoch
        made = make_plan(inputs, self.recipe, time, objects)
        check_target(made.inputs.base_root, self.target, made.python)
        if objects.grown:
            cache.remember(key, objects.dump())
        return made

    def agreed(self, plans: list[Plan]) -> Planned:
        """Return what all platforms together are; raises where they do not fit together."""
        versions = {plan.python for plan in plans}
        if len(versions) > 1:
            raise RecipeError(
                f"the builder has another Python on each platform: {sorted(versions)}"
            )
        from layersmith.plan.selection import check_matched  # noqa: PLC0415 - loaded by then

        check_matched(plan.unmatched for plan in plans)
        return Planned(self.target, self.recipe, self.base, self.builder, plans)

    def make(self, plan: Plan) -> Made:
        """Pack the layer of a platform, and derive its image from the base."""
        recipe, platform = self.recipe, plan.inputs.base.platform
        with intention(str(platform)):
            layer = self._layer(plan)
            added = NewLayer(layer.layer, f"layersmith assemble {self.target}")
            settings = Settings(
                created=moment(plan.epoch),
                user=plan.user.config,
                env={**ENV, **dict(sorted(recipe.env.items()))},
                entrypoint=recipe.entrypoint if recipe.entrypoint is not None else _ENTRYPOINT,
                cmd=recipe.cmd,
                workdir=recipe.workdir,
                labels=recipe.labels,
                annotations=self._said(plan.python, plan.epoch),
            )
            return Made(derive(plan.inputs.base, added, settings), layer, *undone(plan))

    def _layer(self, plan: Plan) -> TopLayer:
        shop, recipe = self.workshop, self.recipe
        task = f"pack {plan.inputs.base.platform}"
        wanted = self._wanted((plan.inputs.base, plan.inputs.builder))
        return mending(
            shop.layers,
            wanted,
            lambda: make_layer(
                plan.entries,
                shop.layers,
                plan.epoch,
                recipe.compressor(),
                shop.cache,
                shop.crew,
                task,
                plan.removed,
            ),
        )

    def _said(self, python: str, epoch: int) -> Mapping[str, str]:
        return stated(self.recipe, self.base, self.builder, python, moment(epoch))

    def outcome(self, planned: Planned, made: list[Made]) -> Outcome:
        """Write the index over the images of all platforms."""
        annotations = self._said(planned.python, planned.epoch)
        index = make_index([each.image for each in made], annotations)
        return Outcome(planned.python, index, tuple(made))


def undone(plan: Plan) -> tuple[tuple[Unresolved, ...], tuple[LeftOut, ...]]:
    """Return what the plan leaves missing, and what it leaves out, in short."""
    unresolved = (
        Unresolved(as_utf8(item.soname), tuple(map(as_utf8, item.wanted_by)))
        for item in plan.unresolved
    )
    left_out = (LeftOut(item.name, item.why, len(item.paths), item.size) for item in plan.left_out)
    return tuple(unresolved), tuple(left_out)
