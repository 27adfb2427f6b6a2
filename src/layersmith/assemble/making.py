"""The two kinds of image that targets name, and who plans and makes each.

Their rooms are loaded only when they are needed: a run that changes nothing needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from layersmith.assemble.inputs import FREE, Pinned

if TYPE_CHECKING:
    from layersmith.assemble.builder_image import PlannedBuilder
    from layersmith.assemble.inputs import Inputs
    from layersmith.assemble.outcome import Outcome
    from layersmith.assemble.pipeline import Planned
    from layersmith.assemble.workshop import Workshop
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target

    AnyPlanned: TypeAlias = Planned | PlannedBuilder

__all__ = ["make", "plan", "produce"]


def plan(
    workshop: Workshop, target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned = FREE
) -> AnyPlanned:
    """Read the inputs and decide; raises as :func:`layersmith.assemble.pipeline.plan`."""
    if target.is_builder:
        from layersmith.assemble import builder_image  # noqa: PLC0415 - see above

        return builder_image.plan(workshop, target, recipe, inputs, pinned)
    from layersmith.assemble import pipeline  # noqa: PLC0415 - see above

    return pipeline.plan(workshop, target, recipe, inputs, pinned)


def make(workshop: Workshop, planned: AnyPlanned) -> Outcome:
    """Pack the layer of every platform, and write the documents above them."""
    from layersmith.assemble import pipeline  # noqa: PLC0415 - see above

    if isinstance(planned, pipeline.Planned):
        return pipeline.make(workshop, planned)
    from layersmith.assemble import builder_image  # noqa: PLC0415 - see above

    return builder_image.make(workshop, planned)


def produce(
    workshop: Workshop, target: Target, recipe: Recipe, inputs: Inputs, pinned: Pinned = FREE
) -> Outcome:
    """Plan and make; raises what :func:`plan` raises."""
    if target.is_builder:
        return make(workshop, plan(workshop, target, recipe, inputs, pinned))
    from layersmith.assemble import pipeline  # noqa: PLC0415 - see above

    return pipeline.produce(workshop, target, recipe, inputs, pinned)
