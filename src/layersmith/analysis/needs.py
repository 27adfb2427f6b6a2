"""What a closure found: the values, and how they are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from layersmith.analysis.problems import AbiMismatch, MissingLibrary
from layersmith.errors import ClosureError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.analysis.problems import Problem

__all__ = ["Closure", "Provided", "Reason", "Shipped", "Unresolved"]


class Reason(NamedTuple):
    """Why a library is shipped: `wanted_by` asks for it as `soname`."""

    wanted_by: str
    soname: str

    def __str__(self) -> str:
        """Say it in words."""
        return f"needed by {self.wanted_by} as {self.soname}"


class Shipped(NamedTuple):
    """A file of the builder to ship, with the symbolic links to it that the base lacks."""

    path: str
    links: tuple[str, ...]
    reasons: tuple[Reason, ...]


class Provided(NamedTuple):
    """A need that the base meets."""

    soname: str
    path: str
    wanted_by: tuple[str, ...]


class Unresolved(NamedTuple):
    """A need that nothing meets and that was expected, or allowed, to be so."""

    soname: str
    wanted_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closure:
    """What the roots need, sorted; paths are canonical and relative to the root.

    `links` are all symbolic links to ship, those to roots included; `conf_directories`
    those where libraries are only found if the image's ld.so.conf names them.
    """

    shipped: tuple[Shipped, ...]
    provided: tuple[Provided, ...]
    unresolved: tuple[Unresolved, ...]
    conf_directories: tuple[str, ...]
    links: tuple[str, ...]
    problems: tuple[Problem, ...]

    def check(self) -> None:
        """Raise all problems together, if there are any."""
        if self.problems:
            raise ClosureError(
                "the libraries do not fit together",
                problems=tuple(one_line(str(problem)) for problem in self.problems),
                hint=_hint(self.problems),
            )


def _hint(problems: Sequence[Problem]) -> str:
    if any(isinstance(problem, AbiMismatch) for problem in problems):
        return "use a builder of the same Debian release as the base"
    if any(isinstance(problem, MissingLibrary) for problem in problems):
        return "if it is right that a library is absent: --allow-unresolved SONAME"
    return ""
