"""R12: ELF files, trees of them and ld.so.conf as a stranger would make them.

Three figures: hand-made cases, each with what is right; mutants of real files; and the
closure of every real binary held against the one that glibc's own loader computes.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from fixtures import build, sandbox
from tests.build.disk import disk_root
from tests.build.elfmutants import Specimen
from tests.interop.conftest import TARGET, layersmith
from tests.interop.glibc_peers import all_listed
from tests.interop.test_loader_peer import as_listed, loader_of, objects_in, without_repeats
from tests.reliability import elf_trials
from tests.reliability.scoreboard import Figure, Row

from layersmith.analysis.closure import load

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reliability.scoreboard import Run


ROW: Final = Row(
    "R12",
    "hostile-elf",
    ">= 300 hand-made cases and 10^6 mutants: none takes > 2 s, nothing but our own errors, "
    "RSS <= 128 MiB; closure equal to glibc's own on >= 2,000 real binaries",
)
MEMORY: Final = 128  # MiB
MUTANTS: Final = (15_000, 1_000_000)
REAL: Final = (300, 2_000)
SPECIMENS: Final = 40


def measure(run: Run) -> Figure:
    """Judge the cases, then mutants, then real binaries."""
    tally, memory, largest = elf_trials.hand_made()
    text = [f"{tally.count} cases, slowest {tally.slowest[0]:.1f} s"]
    misses = list(tally.misses)
    if tally.count < 300:
        misses.append(f"only {tally.count} cases")
    roots = _real_roots(run)
    mutants, peak = elf_trials.mutants(_specimens(roots), run.seed, run.pick(*MUTANTS))
    misses += mutants.misses
    text.append(
        f"{mutants.count} mutants, {mutants.refused} refused, slowest {mutants.slowest[0]:.2f} s"
    )
    memory, largest = max((memory, largest), (peak, "mutants"))
    text.append(f"RSS <= {memory:.0f} MiB")
    if memory > MEMORY:
        misses.append(f"{memory:.0f} MiB of memory, {MEMORY} are allowed: {largest}")
    equal, different = _closures(run, roots)
    text.append(f"closure equal on {equal} of {equal + len(different)} binaries")
    if equal < run.pick(*REAL):
        misses.append(f"only {equal} closures were equal")
    return Figure("; ".join(text), (*misses, *different))


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
