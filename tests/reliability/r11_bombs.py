"""R11: little input that asks for much work, memory or disk, by the program as users run it.

Rule P: a bomb ends with an error of ours, in one line, and leaves nothing behind. What is
only heavy may pass. Time is the processor's: this machine may have other things to do.
"""

from __future__ import annotations

from typing import Final

from tests.fakes.registry import FakeRegistry
from tests.reliability.bench import Bench, Outcome, cleared, explode
from tests.reliability.bombs_documents import DOCUMENTS
from tests.reliability.bombs_layers import LAYERS, Bomb
from tests.reliability.bombs_registry import REGISTRY
from tests.reliability.scoreboard import Figure, Row, Run

ROW: Final = Row("R11", "bombs", "rule P: 100 %; RSS <= 300 MiB; <= 20 s each")
BOMBS: Final = (*LAYERS, *DOCUMENTS, *REGISTRY)
MAX_MEMORY: Final = 300 << 20
MAX_SECONDS: Final = 20.0


def measure(run: Run) -> Figure:
    """Let every bomb go off, one after the other."""
    outcomes = {bomb.name: _exploded(bomb, run) for bomb in BOMBS}
    misses = [miss for bomb in BOMBS for miss in _misses(bomb, outcomes[bomb.name])]
    ended = sum(outcome.code != 0 for outcome in outcomes.values())
    largest = max(outcomes, key=lambda name: outcomes[name].memory)
    longest = max(outcomes, key=lambda name: outcomes[name].work)
    text = (
        f"{len(outcomes)} bombs: {ended} refused, {len(outcomes) - ended} only heavy; most memory "
        f"{outcomes[largest].memory >> 20} MiB ({largest}); most work "
        f"{outcomes[longest].work:.1f} s of processor ({longest})"
    )
    return Figure(text, tuple(misses))


def _exploded(bomb: Bomb, run: Run) -> Outcome:
    with FakeRegistry() as registry:
        bench = Bench(run.scratch / "bomb", registry, full=run.full)
        try:
            outcome = explode(bench, bomb.arrange(bench))
        finally:
            cleared(bench)
    run.say(f"{bomb.name}: {outcome.code}, {outcome.work:.1f} s, {outcome.memory >> 20} MiB")
    return outcome


def _misses(bomb: Bomb, outcome: Outcome) -> list[str]:
    found = outcome.faults(bomb.says, bomb.codes)
    if outcome.memory > MAX_MEMORY:
        found.append(f"{outcome.memory >> 20} MiB of memory")
    if outcome.work > MAX_SECONDS:
        found.append(f"{outcome.work:.0f} s of processor")
    return [f"{bomb.name}: {fault}" for fault in found]
