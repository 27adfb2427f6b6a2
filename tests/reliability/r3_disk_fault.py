"""R3: a disk that fails at any call that writes, or opens; and disks that are too small.

Rule P: the run ends well, with the digest that it always has, or with one clear line and an
exit code that says so; then no tag was moved, nothing is half written, the cache is clean, and
the same command gives the same digest once the disk is well again.
"""

import errno
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tests.reliability.disk_cells import Cell, Outcome, broken_rules
from tests.reliability.disk_site import Point, Site, stratified
from tests.reliability.scoreboard import Figure, Row, Run
from tests.reliability.small_disks import small_disks
from tests.reliability.syscalls import Call, Verdict

ROW: Final = Row(
    "R3", "disk-fault", "rule P at every call that can fail, on every small disk: 100 %"
)

ERRORS: Final = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES)
_REMOVING: Final = frozenset({"unlink", "unlinkat", "rmdir"})
_SYNCING: Final = frozenset({"fsync", "fdatasync"})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Fault:
    """An error at a point; with `lasting` at every call after it that it would hit as well."""

    point: Point
    error: int
    lasting: bool

    def __str__(self) -> str:
        name = errno.errorcode[self.error]
        return f"{self.point}: {name}{' from then on' if self.lasting else ''}"

    def deciding(self, cell: Cell, refused: list[Call]) -> Callable[[Call], Verdict]:
        """Refuse what is to be refused, and note it."""
        at = self.point.when_reached(cell, lambda: self.error)

        def decide(call: Call) -> Verdict:
            is_hit = at(call) is not None
            if is_hit or (self.lasting and refused and self._hits(call)):
                refused.append(call)
                return self.error
            return None

        return decide

    def _hits(self, call: Call) -> bool:
        if not call.writes or call.name == "flock":
            return False
        # To remove something needs no space; a file that is synced is written by then.
        return self.error not in _FULL or call.name not in _REMOVING


def measure(run: Run) -> Figure:
    rng = random.Random(run.seed)
    site = Site(run.scratch / "site")
    site.prepare()
    site.learn()
    faults = _all(site.points, rng) if run.full else _some(site.points, rng)
    counts: Counter[str] = Counter()
    misses: list[str] = []
    for number, fault in enumerate(faults):
        if run.full and number % 100 == 0:
            run.say(f"R3: {number} of {len(faults)}, {len(misses)} misses")
        end, found = _tried(site, fault)
        counts[end] += 1
        misses += [f"{fault}: {each}" for each in found]
    disks = small_disks(run, site)
    text = (
        f"{counts['well'] + counts['told']} faults at "
        f"{len({(f.point.job.name, f.point.kind) for f in faults})} kinds of calls: "
        f"{counts['well']} runs ended well all the same, {counts['told']} said clearly why not; "
        f"{disks.text}; {len(misses) + len(disks.misses)} broke rule P"
    )
    return Figure(text, (*misses, *disks.misses))


def _all(points: list[Point], rng: random.Random) -> list[Fault]:
    """Every error at every point, and lasting from one point of each kind on."""
    once = [Fault(p, error, lasting=False) for p in points for error in ERRORS]
    starts = {(p.job.name, p.kind): p for p in rng.sample(points, len(points)) if p.call.writes}
    return once + [Fault(p, error, lasting=True) for p in starts.values() for error in ERRORS]


def _some(points: list[Point], rng: random.Random) -> list[Fault]:
    """At least one point of each kind of call, with errors and their duration in turn."""
    kinds = itertools.cycle(itertools.product(ERRORS, (False, True)))
    return [
        Fault(point, error, lasting=lasting and point.call.writes)
        for point, (error, lasting) in zip(stratified(points, 60, rng), kinds, strict=False)
    ]


def _tried(site: Site, fault: Fault) -> tuple[str, list[str]]:
    """Run one cell; return how it ended, and what broke the rule."""
    cell = site.cell(fault.point.job)
    refused: list[Call] = []
    try:
        done = cell.run(fault.deciding(cell, refused))
        if not refused:
            return "not reached", []
        faults = list(_faults(cell, done, refused))
        return "well" if done.status in cell.job.good_ends else "told", faults
    finally:
        cell.remove()


def _faults(cell: Cell, done: Outcome, refused: list[Call]) -> Iterator[str]:
    yield from broken_rules(cell, done, may_leave=any(c.name in _REMOVING for c in refused))
    unsynced = [call for call in refused if call.name in _SYNCING and ".new-" in call.paths[0]]
    if unsynced and done.status == 0:
        yield f"{unsynced[0].kind} failed, and the run said nothing"
