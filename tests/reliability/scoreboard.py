"""One row of the scoreboard: a promise, a target, and the figure that was measured.

A row is a module ``rNN_name.py`` beside this file. It has ``ROW``, which says what is
promised, and ``measure(run)``, which puts the promise to the test and returns a
:class:`Figure`. It runs in a process of its own (``python -m tests.reliability R8``), so a row
may set the environment, limits and signal handlers as it likes.

Every row has two sizes: the quick one, which is part of CI (all rows together take at most ten
minutes on two cores), and ``run.full``, behind ``make reliability FULL=1``.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

HERE: Final = Path(__file__).parent
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """What is promised: ``id`` as in "R8", the test's name, and the target in words."""

    id: str
    test: str
    target: str


@dataclass(frozen=True)
class Figure:
    """What was measured, in one line, and each way in which it misses the target."""

    text: str
    misses: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        return not self.misses


@dataclass(frozen=True)
class Run:
    """How a row is measured: the whole of it or CI's part, where, and from which seed."""

    full: bool
    scratch: Path  # an empty directory of this row's own, removed afterwards
    seed: int

    def pick(self, quick: T, full: T) -> T:
        """Of two sizes, the one that this run is for."""
        return full if self.full else quick

    def say(self, line: str) -> None:
        """A line for whoever waits; standard output is the table's."""
        print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Measure:
    """A row and the function that measures it."""

    row: Row
    module: str
    measure: Callable[[Run], Figure]


def rows() -> list[Measure]:
    """Every row there is, in the order of their numbers."""
    found = []
    for path in HERE.glob("r[0-9]*_*.py"):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        found.append(Measure(module.ROW, path.stem, module.measure))
    return sorted(found, key=lambda each: int(each.row.id.removeprefix("R")))
