"""R6: a registry of whose answers 30 %, and 60 %, are failures; on a clock that is turned."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.reliability.faults_site import Workplace
from tests.reliability.faults_trials import opened, weather_of
from tests.reliability.scoreboard import Figure, Row, Run

if TYPE_CHECKING:
    from tests.reliability.faults_trials import Trials

ROW: Final = Row(
    "R6",
    "flaky-registry",
    "30 %: 100 % succeed, with at most 2.0 times the requests; "
    "60 %: 99.5 % inside 10 minutes; no torn tag",
)
_IN_TIME: Final = 600.0
_TWICE: Final = 2.0


def measure(run: Run) -> Figure:
    """Push and pull an image again and again, in both weathers."""
    rounds = run.pick(60, 500)
    with Workplace(run.scratch) as place, opened(place) as trials:
        needed = _needed(trials)
        texts, misses = [], []
        for rate, least in ((0.3, 1.0), (0.6, 0.995)):
            trials.site.registry.weather = weather_of(rate, random.Random(run.seed))
            text, missed = _at(trials, rate, rounds, least, needed)
            texts.append(text)
            misses += missed
            run.say(f"R6: {text}")
        torn = trials.site.registry.sightings or []
        misses += [f"a torn tag: {each}" for each in torn]
    return Figure(f"{'; '.join(texts)}; {len(torn)} torn tags seen", tuple(misses))


def _needed(trials: Trials) -> int:
    """Return how many requests one push and one pull take where nothing fails."""
    trials.tidy()
    for _, wrong in (trials.push(), trials.pull()):
        assert not wrong, wrong
    return len(trials.site.registry.log)


def _at(
    trials: Trials, rate: float, rounds: int, least: float, needed: int
) -> tuple[str, list[str]]:
    sent, done, longest = 0, 0, 0.0
    misses = []
    for _ in range(rounds):
        trials.tidy()
        for ended, wrong in (trials.push(), trials.pull()):
            longest = max(longest, ended.waited)
            if wrong or ended.waited > _IN_TIME:
                misses.append(f"{rate:.0%}: {wrong or f'it takes {ended.waited:.0f} s'}")
            else:
                done += 1
        sent += len(trials.site.registry.log)
    share, ratio = done / (2 * rounds), sent / (needed * rounds)
    if share >= least:
        misses = []
    if rate < 0.5 and ratio > _TWICE:
        misses.append(f"{rate:.0%}: {ratio:.2f} times the requests")
    text = (
        f"{rate:.0%} faults: {done} of {2 * rounds} pushes and pulls, {ratio:.2f}x the requests, "
        f"the longest waits {longest:.0f} s"
    )
    return text, misses
