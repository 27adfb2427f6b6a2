"""R20: every parser of a stranger's bytes as a fuzz target (see tests/fuzz).

CI's part reads the seeds and mutants of them, the same each time; the whole lets atheris look
for more. What counts as a find: another error than ours, a broken invariant, a hang.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from tests.fuzz.campaign import corpus, fuzzed, set_up
from tests.fuzz.covered import branches
from tests.fuzz.mutations import inputs
from tests.fuzz.targets import TARGETS
from tests.reliability.scoreboard import Figure, Row
from tests.reliability.trial import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.target import Target
    from tests.reliability.scoreboard import Run

ROW: Final = Row(
    "R20",
    "fuzz",
    ">= 8 targets: nothing but our own errors, what is accepted reads the same again, none "
    "takes > 5 s; >= 95 % of the parsers' branches are reached",
)
SECONDS: Final = 5.0
MUTANTS: Final = (200, 2000)
FUZZING: Final = 120  # seconds a target
BRANCHES: Final = 0.95


def measure(run: Run) -> Figure:
    """Fuzz if there is time, then read all that is known and see how far it reaches."""
    tally = Tally(SECONDS)
    parts = [f"{len(TARGETS)} targets"]
    if run.full:
        set_up()
        done = fuzzed(list(TARGETS), FUZZING, seed=run.seed)
        tally.misses += [str(campaign) for campaign in done if campaign.finds]
        executions = sum(campaign.executions for campaign in done)
        parts.append(f"{executions:,} executions of atheris in {FUZZING} s each")
    modules = sorted({module for target in TARGETS.values() for module in target.parsers})
    reached = branches(partial(_read_all, run, tally), modules, run.scratch)
    taken, there = (sum(counts) for counts in zip(*reached.values(), strict=True))
    parts += [
        f"{tally.count:,} inputs, {len(tally.misses)} finds, slowest {tally.slowest[0]:.1f} s",
        f"{taken} of {there} branches ({taken / there:.1%}) of {len(modules)} parsers",
    ]
    misses = [*tally.misses]
    if len(TARGETS) < 8:
        misses.append(f"only {len(TARGETS)} targets")
    if taken < BRANCHES * there:
        worst = sorted(reached, key=lambda name: reached[name][0] - reached[name][1])[:5]
        misses.append(f"branches that nothing reached, most of them in {', '.join(worst)}")
    return Figure("; ".join(parts), tuple(misses))


def _read_all(run: Run, tally: Tally) -> None:
    for target in TARGETS.values():
        for number, data in enumerate(_inputs(target, run)):
            tally.attempt(f"{target.name}, input {number}", partial(target, data))


def _inputs(target: Target, run: Run) -> Iterator[bytes]:
    yield from inputs(target, Random(run.seed), run.pick(*MUTANTS))
    if run.full:
        yield from (path.read_bytes() for path in sorted(corpus(target.name).iterdir()))
