"""R4: many processes on one cache, a quarter of them killed, others pruning and verifying."""

from typing import Final

from tests.reliability.scoreboard import Figure, Row, Run
from tests.soak.shared_cache import run as soak

ROW: Final = Row(
    "R4", "shared-cache", "corrupt reads 0, stuck 0, downloads per blob ≤ 1 + kills and prunings"
)
_PROCESSES, _ROUNDS = (8, 16), (8, 50)


def measure(run: Run) -> Figure:
    found = soak(run.pick(*_PROCESSES), run.pick(*_ROUNDS), 0.25, run.seed)
    misses = found.faults
    if not found.killed:
        misses.append("nobody was killed")
    text = (
        f"{found.runs} runs, {found.killed} killed: {found.failed} failed, {found.stuck} stuck, "
        f"{len(found.corrupt)} corrupt; {found.fetches} downloads of {found.blobs} blobs, "
        f"{found.most_of_one} at most of one, {sum(found.needless.values())} of them needless"
    )
    return Figure(text, tuple(misses))
