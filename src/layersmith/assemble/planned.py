"""What is known once every platform is planned, whichever kind of image it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.inputs import Input
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target

__all__ = ["PlannedFor"]


class _OfPlatform(Protocol):
    @property
    def python(self) -> str: ...
    @property
    def epoch(self) -> int: ...


_Plan_co = TypeVar("_Plan_co", bound=_OfPlatform, covariant=True)


@dataclass(frozen=True, slots=True)
class PlannedFor(Generic[_Plan_co]):
    """The inputs and the plan of every platform: what `layersmith plan` shows."""

    target: Target
    recipe: Recipe
    base: Input
    builder: Input
    plans: Sequence[_Plan_co]

    @property
    def python(self) -> str:
        """The full Python version, the same on every platform."""
        return self.plans[0].python

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that the image gets where none is asked for."""
        return self.target.tags(self.python)

    @property
    def epoch(self) -> int:
        """The newest of all platforms' times, so that their order does not matter."""
        return max(plan.epoch for plan in self.plans)
