"""R12: ELF files, trees of them and ld.so.conf as a stranger would make them.

Three figures: hand-made cases, each with what is right; mutants of real files; and the
closure of every real binary held against the one that glibc's own loader computes.
"""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random
from typing import TYPE_CHECKING, Final

from fixtures import build, sandbox
from tests.build import hostile_elf, hostile_roots
from tests.build.disk import disk_root
from tests.build.elfmutants import Specimen
from tests.interop.conftest import TARGET, layersmith
from tests.interop.glibc_peers import all_listed
from tests.interop.test_loader_peer import as_listed, loader_of, objects_in, without_repeats
from tests.reliability.scoreboard import Figure, Row
from tests.reliability.trial import Tally, forget_peak, peak_mib
from tests.unit.analysis.worlds import world

from layersmith.analysis.closure import closure, load, verify
from layersmith.analysis.elf import read_elf
from layersmith.analysis.ldcache import write_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.build.tree import Literal
    from tests.reliability.scoreboard import Run

    from layersmith.rootfs.tree import Root

ROW: Final = Row(
    "R12",
    "hostile-elf",
    ">= 300 hand-made cases and 10^6 mutants: none takes > 2 s, nothing but our own errors, "
    "RSS <= 128 MiB; closure equal to glibc's own on >= 2,000 real binaries",
)
SECONDS: Final = 2.0
MEMORY: Final = 128  # MiB
MUTANTS: Final = (15_000, 1_000_000)
REAL: Final = (300, 2_000)
SPECIMENS: Final = 40
IN_A_TREE: Final = 40  # one mutant of so many is also met by a loader


def measure(run: Run) -> Figure:
    """Judge the cases, then mutants, then real binaries."""
    base = world({})
    tally = Tally(SECONDS)
    memory = _hand_made(tally, base)
    text = [f"{tally.count} cases, slowest {tally.slowest[0]:.1f} s"]
    misses = list(tally.misses)
    if tally.count < 300:
        misses.append(f"only {tally.count} cases")
    roots = _real_roots(run)
    mutants, peak = _mutants(run, roots)
    misses += mutants.misses
    text.append(
        f"{mutants.count} mutants, {mutants.refused} refused, slowest {mutants.slowest[0]:.2f} s"
    )
    memory = max(memory, peak)
    text.append(f"RSS <= {memory:.0f} MiB")
    if memory > MEMORY:
        misses.append(f"{memory:.0f} MiB of memory, {MEMORY} are allowed")
    equal, different = _closures(run, roots)
    text.append(f"closure equal on {equal} of {equal + len(different)} binaries")
    if equal < run.pick(*REAL):
        misses.append(f"only {equal} closures were equal")
    return Figure("; ".join(text), (*misses, *different))


def _hand_made(tally: Tally, base: Root) -> float:
    """Try every case; return the most memory that one took over what we had before."""
    for case in hostile_elf.cases():
        _try_object(tally, case)
    largest = 0.0
    for root in hostile_roots.cases():
        files = root.files()  # a large case is not to blame for its own size
        forget_peak()
        _try_root(tally, root, files, base)
        largest = max(largest, peak_mib())
    return largest


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


# Mutants


def _real_roots(run: Run) -> dict[tuple[str, str], Path]:
    """Unpack the fixtures' images by umoci; in full also what layersmith makes of them."""
    images = build.build()
    layouts = {"base": (images.base, "latest"), "builder": (images.builder, "3.13-slim-trixie")}
    if run.full:
        layout = run.scratch / "result"
        done = layersmith(
            "assemble", TARGET, "--base", f"oci:{images.base}", "--output", f"oci:{layout}",
            "--builder", f"oci:{images.builder}", "--cache-dir", str(run.scratch / "cache"),
        )  # fmt: skip
        assert done.code == 0, done.err
        layouts["result"] = (layout, TARGET)
    roots = {}
    for arch in run.pick(("amd64",), ("amd64", "arm64")):
        for kind, (layout, tag) in layouts.items():
            where = run.scratch / f"{kind}-{arch}"
            roots[kind, arch] = sandbox.unpack(layout, tag, arch, where).rootfs
    return roots


def _specimens(roots: dict[tuple[str, str], Path]) -> list[Specimen]:
    """Return small and large files, programs and libraries, of every root."""
    found = []
    for root in roots.values():
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    if file.read(6) == b"\x7fELF\2\1":
                        found.append(path)
    chosen = Random(1).sample(found, min(len(found), SPECIMENS))
    return [Specimen.of(path.name, path.read_bytes()) for path in chosen]


def _mutants(run: Run, roots: dict[tuple[str, str], Path]) -> tuple[Tally, float]:
    specimens = _specimens(roots)
    workers = os.cpu_count() or 1
    share = run.pick(*MUTANTS) // workers
    tally, peak = Tally(SECONDS), 0.0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        seeds = [run.seed * 1000 + number for number in range(workers)]
        for part, memory in pool.map(_work, [specimens] * workers, seeds, [share] * workers):
            tally.add(part)
            peak = max(peak, memory)
    return tally, peak


def _work(specimens: list[Specimen], seed: int, count: int) -> tuple[Tally, float]:
    """Try `count` mutants in a process of its own."""
    tally, rng, base = Tally(SECONDS), Random(seed), world({})
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


# Real binaries


def _closures(run: Run, roots: dict[tuple[str, str], Path]) -> tuple[int, list[str]]:
    """Return how many link maps are the loader's own, and which are not."""
    equal, different = 0, []
    for (kind, arch), path in roots.items():
        run.say(f"  {kind} {arch}: asking glibc")
        root = disk_root(path)
        objects = objects_in(root)
        if not run.full:
            names = sorted(objects)
            objects = {name: objects[name] for name in Random(run.seed).sample(names, 160)}
        theirs = all_listed(path, arch, objects)
        loader = loader_of(root)
        for name, opened in objects.items():
            ours = as_listed(load(loader, opened))
            if ours == without_repeats(theirs[name]):
                equal += 1
            else:
                different.append(f"{kind} {arch} {name}: {ours}, glibc: {theirs[name]}")
    return equal, different
