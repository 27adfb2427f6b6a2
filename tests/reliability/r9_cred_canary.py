"""Secrets that are known again wherever they turn up: at hosts, in files, in what is printed.

Each scenario has canaries of its own, and says where they must arrive: one that could leak
nothing because nothing was sent would be a miss. Everywhere else the count of them is zero.
CI plays every second one; which half, the seed says.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.world import write_world
from tests.reliability import (
    canary_files,
    canary_network,
    canary_places,
    canary_redirects,
    canary_texts,
)
from tests.reliability.canary import Scenario, Shared, Stage
from tests.reliability.certificates import Authority
from tests.reliability.program import Forked
from tests.reliability.scoreboard import Figure, Row, Run

from layersmith.stores.layout import Layout

ROW: Final = Row(
    "R9", "cred-canary", "60 scenarios; 0 canaries at another origin, in a file or printed"
)
SCENARIOS: Final = (
    *canary_network.SCENARIOS,
    *canary_redirects.SCENARIOS,
    *canary_places.SCENARIOS,
    *canary_files.SCENARIOS,
    *canary_texts.SCENARIOS,
)
HOSTS: Final = (
    "reg.test", "two.test", "auth.test", "cdn.test", "evil.test", "mirror.test", "none.test",
    "reg.test.evil.test", "evilreg.test", "registry-1.docker.io", "auth.docker.io", "93.184.216.34",
)  # fmt: skip


def _shared(run_: Run) -> Shared:
    authority = Authority(run_.scratch)
    hello = Layout(run_.scratch / "hello")
    hello.tag("t", put_index(hello, [for_platform(Made().put(hello), AMD64)]))
    return Shared(
        Forked(),
        authority,
        authority.serve(*HOSTS),
        run_.scratch / "hello",
        write_world(run_.scratch / "world"),
    )


def measure(run_: Run) -> Figure:
    shared = _shared(run_)
    only = os.environ.get("R9_ONLY", "")  # a pattern of names, for whoever looks for a fault
    everything = [one for one in SCENARIOS if re.search(only, one.name)]
    chosen = everything if run_.full or only else everything[run_.seed % 2 :: 2]

    def played(numbered: tuple[int, Scenario]) -> tuple[list[str], int]:
        number, scenario = numbered
        began = time.monotonic()
        with Stage(shared, run_.scratch / f"stage-{number}") as stage:
            try:
                scenario.play(stage)
            except Exception as error:  # noqa: BLE001 - one scenario's end is not the others'
                stage.misses.append(f"{type(error).__name__}: {error}")
            misses = stage.verdict()
            run_.say(f"{time.monotonic() - began:5.1f} s {scenario.name}: {misses or 'met'}")
            return [f"{scenario.name}: {miss}" for miss in misses], stage.sightings

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(played, enumerate(chosen)))
    misses = [miss for found, _ in results for miss in found]
    bad = sum(1 for found, _ in results if found)
    arrived = sum(count for _, count in results)
    text = f"{len(chosen)} scenarios, {bad} with a leak or without proof"
    return Figure(f"{text}; {arrived} arrivals where they belong", tuple(misses))
