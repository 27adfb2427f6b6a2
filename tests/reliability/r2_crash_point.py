"""R2: killed at every system call that changes a file, and at random times.

The kill comes just before the call, in whatever thread; so each call is the last one done in
the cell of the next. Afterwards the old output is there, whole; the same command gives the same
digest; the cache is clean; and nothing is left behind that this, or pruning, does not remove.
"""

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from tests.reliability.disk_cells import Cell
from tests.reliability.disk_jobs import JOBS, Job
from tests.reliability.disk_site import Point, Site, stratified
from tests.reliability.scoreboard import Figure, Row, Run
from tests.reliability.syscalls import KILL, Call, Verdict

ROW: Final = Row(
    "R2", "crash-point", "identical digest after rerun, cache clean, old output intact: 100 %"
)
_TRIES: Final = 3  # threads: a call may not come, or not as often, in another run


def measure(run: Run) -> Figure:
    rng = random.Random(run.seed)
    site = Site(run.scratch / "site")
    site.prepare()
    site.learn()
    changing = [point for point in site.points if point.call.writes]
    points = changing if run.full else stratified(changing, 60, rng)
    tally = _Tally(site)
    for number, point in enumerate(points):
        if run.full and number % 50 == 0:
            run.say(f"R2: {number} of {len(points)}, {len(tally.misses)} misses")
        tally.at(point)
    at_calls = tally.counts["killed"]
    for _ in range(run.pick(20, 500)):
        job = rng.choice(JOBS)
        tally.after(job, rng.random() * site.seconds[job.name])
    kinds = {(point.job.name, point.kind) for point in changing}
    text = (
        f"{at_calls} kills at system calls ({len(tally.hit)} of {len(kinds)} kinds of calls), "
        f"{tally.counts['killed'] - at_calls} at random times: "
        f"{tally.counts['right']} of {tally.counts['killed']} right after a rerun"
    )
    if run.full and len(tally.hit) < len(kinds):
        tally.misses += [f"never reached: {kind}" for kind in sorted(kinds - tally.hit)]
    return Figure(text, tuple(tally.misses))


class _Tally:
    """Cells, and what came of them."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.counts: Counter[str] = Counter()
        self.hit: set[tuple[str, str]] = set()
        self.misses: list[str] = []

    def at(self, point: Point) -> None:
        """Kill at a point; try again where the run did not come there."""
        for _ in range(_TRIES):
            cell = self._site.cell(point.job)
            if self._killed(cell, str(point), point.when_reached(cell, lambda: KILL)):
                self.hit.add((point.job.name, point.kind))
                return

    def after(self, job: Job, seconds: float) -> None:
        """Kill after some time."""
        cell = self._site.cell(job)
        self._killed(cell, f"{job.name}: after {seconds:.3f} s", death=seconds)

    def _killed(
        self,
        cell: Cell,
        what: str,
        decide: Callable[[Call], Verdict] | None = None,
        *,
        death: float = float("inf"),
    ) -> bool:
        try:
            done = cell.run(decide, death=death)
            if done.ended.stuck:
                self.misses.append(f"{what}: stuck")
            if done.status != -signal.SIGKILL:
                return False
            self.counts["killed"] += 1
            faults = list(_faults(cell, check_first=self.counts["killed"] % 2 == 0))
            self.counts["right"] += not faults
            self.misses += [f"{what}: {fault}" for fault in faults]
            return True
        finally:
            cell.remove()


def _faults(cell: Cell, *, check_first: bool) -> Iterator[str]:
    yield from cell.faults_of_output(may_be_new=True)
    if check_first:  # to check a cache removes what was left behind: the rerun must cope too
        yield from cell.faults_of_cache()
    yield from cell.faults_of_rerun()
    yield from cell.faults_of_cache()
