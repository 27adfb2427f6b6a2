"""R1: every kind of fault at every request of an assemble and push, by rule P."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count
from typing import TYPE_CHECKING, Final

from tests.reliability.faults_judge import Cell, Matrix, judged
from tests.reliability.faults_kinds import KINDS
from tests.reliability.faults_site import Workplace
from tests.reliability.scoreboard import Figure, Row, Run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.reliability.faults_judge import Verdict

ROW: Final = Row(
    "R1",
    "fault-matrix",
    "rule P in 100 % of the cells; faults that pass are outlived once and twice in 100 %",
)
_SAMPLE: Final = 620
_OF_A_KIND: Final = 10
_LEAST: Final = 8
_SHARDS: Final = 24


def measure(run: Run) -> Figure:
    """Judge a sample, stratified by kinds and requests; or every cell, on every processor."""
    tally = Tally()
    if not run.full:
        with Workplace(run.scratch) as place:
            matrix = Matrix.of(place)
            tally.requests = len(matrix.requests)
            for number, cell in enumerate(sample(matrix.cells, run.seed), 1):
                tally.add(judged(place, cell, matrix.digest))
                if number % 100 == 0:
                    run.say(f"R1: {tally.figure().text}")
        return tally.figure()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cpu_count(), mp_context=context) as pool:
        shards = [pool.submit(_shard, run.scratch / str(n), n) for n in range(_SHARDS)]
        for number, shard in enumerate(shards):
            tally.take(shard.result())
            run.say(f"R1: {number + 1} of {_SHARDS}: {tally.figure().text}")
            for miss in tally.misses:
                run.say(f"  {miss}")
    return tally.figure()


def _shard(folder: Path, number: int) -> Tally:
    tally = Tally()
    with Workplace(folder) as place:
        matrix = Matrix.of(place)
        tally.requests = len(matrix.requests)
        cells = list(matrix.cells)
        random.Random(0).shuffle(cells)  # every shard gets its share of what takes long
        for cell in cells[number::_SHARDS]:
            tally.add(judged(place, cell, matrix.digest))
    return tally


def sample(cells: Sequence[Cell], seed: int) -> list[Cell]:
    """Return some cells of each kind, at as many requests as can be, and others to fill up."""
    left = list(cells)
    random.Random(seed).shuffle(left)
    chosen: list[Cell] = []
    met: Counter[str] = Counter()
    of_kind: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in left:
        of_kind[cell.kind.name].append(cell)
    for kind in KINDS:
        pool = of_kind[kind.name]
        for _ in range(_OF_A_KIND):
            # The request that was met least so far: so all of them are, in the end.
            rarest = min(pool, key=lambda cell: (met[cell.asked.shape], met[cell.asked.name]))
            pool.remove(rarest)
            chosen.append(rarest)
            met.update((rarest.asked.shape, rarest.asked.name))
            if not pool:
                break
    others = [cell for cell in left if not met[cell.asked.name]]
    taken = set(chosen)
    others += [cell for cell in left if cell not in taken]
    return [*chosen, *others[: max(_SAMPLE - len(chosen), 0)]]


class Tally:
    """What came of the cells that were judged."""

    def __init__(self) -> None:
        self.requests = self.cells = self.whole = self.to_outlive = self.outlived = 0
        self.passed = self.sightings = 0
        self.kinds: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()
        self.misses: list[str] = []

    def add(self, verdict: Verdict) -> None:
        """Count a cell."""
        cell = verdict.cell
        self.misses += [f"{cell}: {fault}" for fault in verdict.faults]
        if not verdict.struck:  # another thread was first, and the request was not made
            return
        self.cells += 1
        self.whole += not verdict.faults
        self.kinds[cell.kind.name] += 1
        self.shapes[cell.asked.shape] += 1
        self.passed += verdict.passed
        self.sightings += len(verdict.sightings)
        if cell.kind.must_pass(cell.asked, cell.times):
            self.to_outlive += 1
            self.outlived += verdict.passed

    def take(self, other: Tally) -> None:
        """Add another tally."""
        self.requests = max(self.requests, other.requests)
        for name in ("cells", "whole", "to_outlive", "outlived", "passed", "sightings"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.kinds += other.kinds
        self.shapes += other.shapes
        self.misses += other.misses

    def figure(self) -> Figure:
        """Return the row's figure."""
        few = [
            f"{kind.name}: only {self.kinds[kind.name]} cells"
            for kind in KINDS
            if self.kinds[kind.name] < _LEAST
        ]
        return Figure(
            f"{self.cells} cells of {len(self.kinds)} kinds at {len(self.shapes)} kinds of "
            f"request ({self.requests} requests): rule P in {self.whole}, "
            f"{self.outlived} of {self.to_outlive} outlived that can be, "
            f"{self.sightings} torn tags seen",
            (*self.misses, *few),
        )
