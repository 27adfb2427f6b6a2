"""Trials of ELF files and of trees of them, each in a process that has nothing else in it.

What a hostile case costs is what a program would pay for it: the process imports what reads
ELF files and the case itself, so that all it ever had in memory is the case's doing.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import islice
from multiprocessing import get_context
from random import Random
from typing import TYPE_CHECKING, Final

from tests.build import hostile_elf, hostile_roots
from tests.reliability.trial import Tally, peak_mib
from tests.unit.analysis.worlds import world

from layersmith.analysis.closure import closure, verify
from layersmith.analysis.elf import read_elf
from layersmith.analysis.ldcache import write_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.build.elfmutants import Specimen
    from tests.build.tree import Literal

    from layersmith.rootfs.tree import Root

SECONDS: Final = 2.0
IN_A_TREE: Final = 40  # one mutant of so many is also met by a loader


def processes(tasks: int | None = None) -> ProcessPoolExecutor:
    """Return a pool of processes that have imported this module only, new after `tasks` each."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(os.cpu_count(), mp_context=context, max_tasks_per_child=tasks)


def hand_made() -> tuple[Tally, float, str]:
    """Try every case; return also the most memory that a process had, and for which case."""
    tally, largest = Tally(SECONDS), (0.0, "")
    with processes(tasks=1) as pool:
        count = sum(1 for _ in hostile_roots.cases())
        done = [pool.submit(_objects), *(pool.submit(_root, n) for n in range(count))]
        for part, memory, name in (each.result() for each in done):
            tally.add(part)
            largest = max(largest, (memory, name))
    return tally, *largest


def mutants(specimens: Sequence[Specimen], seed: int, count: int) -> tuple[Tally, float]:
    """Try `count` mutants, a share in each of some processes; return also their largest."""
    workers = os.cpu_count() or 1
    tally, peak = Tally(SECONDS), 0.0
    with processes() as pool:
        seeds = [seed * 1000 + number for number in range(workers)]
        work = pool.map(_work, [specimens] * workers, seeds, [count // workers] * workers)
        for part, memory in work:
            tally.add(part)
            peak = max(peak, memory)
    return tally, peak


# In the processes


@cache
def _base() -> Root:
    return world({})


def _objects() -> tuple[Tally, float, str]:
    tally = Tally(SECONDS)
    for case in hostile_elf.cases():
        _try_object(tally, case)
    return tally, peak_mib(), "single objects"


def _root(number: int) -> tuple[Tally, float, str]:
    tally = Tally(SECONDS)
    case = next(islice(hostile_roots.cases(), number, None))
    _try_root(tally, case, case.files(), _base())
    return tally, peak_mib(), case.name


def _try_object(tally: Tally, case: hostile_elf.Case) -> None:
    facts: dict[str, object] = {}

    def read() -> None:
        found = read_elf(case.data, "x")
        facts.update({name: getattr(found, name) for name, _ in case.facts})

    said = tally.attempt(case.name, read)
    if case.error and not (said and re.search(case.error, said)):
        tally.misses.append(f"{case.name}: {said or 'accepted'}, not {case.error!r}")
    elif not case.error and (said or facts != dict(case.facts)):
        tally.misses.append(f"{case.name}: {said or facts}, not {dict(case.facts)}")


def _try_root(tally: Tally, case: hostile_roots.Case, files: Literal, base: Root) -> None:
    """Ask all questions about one root, each of which may take its time; what is said is right."""
    here = world(files)
    said: list[str] = []
    shipped: list[str] = []

    def closed() -> None:
        found = closure(here, base, case.roots)
        shipped.extend(each.path for each in found.shipped)
        found.check()

    def verified() -> None:
        said.extend(str(problem) for problem in verify(here, case.roots)[:50])

    for name, question in (("", closed), (" (verified)", verified), (" (cache)", _cached(here))):
        message = tally.attempt(case.name + name, question)
        said += [message] if message else []
    words = "; ".join(said) or "fine"
    if not re.search(case.said, words):
        tally.misses.append(f"{case.name}: {words[:200]!r}, not {case.said!r}")
    if case.shipped is not None and tuple(shipped) != case.shipped:
        tally.misses.append(f"{case.name}: ships {shipped}, not {case.shipped}")


def _cached(here: Root) -> Callable[[], object]:
    return lambda: write_cache(here)


def _work(specimens: list[Specimen], seed: int, count: int) -> tuple[Tally, float]:
    """Try `count` mutants in a process of its own."""
    tally, rng, base = Tally(SECONDS), Random(seed), _base()
    started = time.monotonic()
    for number in range(count):
        specimen = rng.choice(specimens)
        data = specimen.mutant(rng)
        name = f"mutant {number} of seed {seed}, {specimen.name}"
        tally.attempt(name, lambda raw=data: _looked_at(raw))  # type: ignore[misc]
        if not number % IN_A_TREE:
            files: Literal = {"app/main": data, "usr/lib/libx.so": data}
            tally.attempt(f"{name} (in a tree)", lambda at=files: _loaded(at, base))  # type: ignore[misc]
        if not number % 50_000 and number:
            print(f"  {number} of {count} mutants, {time.monotonic() - started:.0f} s")
    return tally, peak_mib()


def _looked_at(data: bytes) -> None:
    found = read_elf(data, "x")
    assert found is None or all(isinstance(name, str) for name in found.needed)


def _loaded(files: Literal, base: Root) -> None:
    here = world(files)
    closure(here, base, ["app/main", "usr/lib/libx.so"])
    write_cache(here)
