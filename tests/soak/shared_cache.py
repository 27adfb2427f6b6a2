"""R4: many processes on one cache, some of them killed, others pruning and verifying.

    python -m tests.soak.shared_cache --processes 8 --rounds 20 --kill 0.25

Every process that lives must give the right digest, in time. Prints one JSON document:
what went wrong, and how often each blob was fetched.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.build.world import write_world

from layersmith.assemble.assembling import assemble
from layersmith.assemble.workshop import Workshop
from layersmith.errors import LayersmithError
from layersmith.oci.content import NoProgress
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.target import Target
from layersmith.stores.cache import Cache
from layersmith.stores.layout import Layout
from layersmith.stores.registry import RegistryOptions
from layersmith.stores.upkeep import prune, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

    from layersmith.oci.content import Readable
    from layersmith.oci.documents import Descriptor

PATIENCE = 30.0
TARGET = Target.parse("3.13-debian13")
_fork = multiprocessing.get_context("fork")


@dataclass
class Site:
    """Two sets of inputs, one cache, and what each set gives."""

    folder: Path
    expected: dict[int, str] = field(default_factory=dict)

    def prepare(self) -> None:
        for number in (0, 1):
            write_world(self.folder / str(number), b"%d" % number * 50_000)
            self.expected[number] = self.assemble(number, self.folder / f"own-{number}")

    def assemble(self, number: int, cache: Path) -> str:
        inputs = self.folder / str(number)
        out = self.folder / "out" / f"{os.getpid()}-{time.monotonic_ns()}"
        recipe = Recipe(
            target=str(TARGET), base=f"oci:{inputs}/base:t", builder=f"oci:{inputs}/builder:t",
            platforms=("linux/amd64",), output=f"oci-archive:{out}.tar:t",
        ).check()  # fmt: skip
        with Workshop(cache, RegistryOptions(), NoProgress()) as workshop:
            digest = assemble(workshop, TARGET, recipe).outcome.index.descriptor.digest
        Path(f"{out}.tar").unlink()
        return str(digest)

    def work(self, seed: int) -> None:
        """Do one thing of a process's life, and exit with 0 if it was right."""
        rng = random.Random(seed)
        cache = self.folder / "cache"
        kind = rng.random()
        if kind < 0.1:
            prune(Cache(cache), rng.choice([0, 100_000, 10_000_000]))
        elif kind < 0.2:
            faults = [(item.name, fault) for item, fault in verify(Cache(cache)) if fault]
            if faults:
                raise AssertionError(f"the cache is corrupt: {faults}")
        else:
            number = rng.randrange(2)
            got = self.assemble(number, cache)
            if got != self.expected[number]:
                raise AssertionError(f"{got}, not {self.expected[number]}")


def counted(site: Site) -> None:
    """Log every blob that is fetched from the inputs, from whatever process."""
    honest = Layout.open
    log = os.open(site.folder / "fetched", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @contextmanager
    def opened(self: Layout, descriptor: Descriptor) -> Iterator[Readable]:
        os.write(log, f"{descriptor.digest}\n".encode())
        with honest(self, descriptor) as stream:
            yield stream

    Layout.open = opened  # type: ignore[method-assign]


def live(site: Site, seed: int) -> None:
    """Be a process: say what went wrong, and nothing else."""
    status = 1
    try:
        site.work(seed)
        status = 0
    except (AssertionError, LayersmithError, OSError):
        with (site.folder / "errors").open("a") as file:
            file.write(f"--- seed {seed}\n{traceback.format_exc()}")
    finally:
        os._exit(status)


@dataclass
class Herd:
    """Processes that live side by side; some are doomed to be killed."""

    site: Site
    rng: random.Random
    kill: float
    counts: Counter[str] = field(default_factory=Counter)
    running: list[tuple[BaseProcess, float]] = field(default_factory=list)

    def start(self) -> None:
        process = _fork.Process(target=live, args=(self.site, self.rng.randrange(2**40)))
        process.start()
        soon = time.monotonic() + self.rng.random() * 0.15
        doomed = self.rng.random() < self.kill
        self.running.append((process, soon if doomed else math.inf))

    def watch(self, deadline: float) -> None:
        """Kill the doomed, bury the dead, count how they went."""
        now, going = time.monotonic(), []
        for process, death in self.running:
            if process.exitcode is not None:
                process.join()
                self.counts[_ENDS.get(process.exitcode, "failed")] += 1
            elif now > deadline:
                process.kill()
                process.join()
                self.counts["stuck"] += 1
            else:
                if now > death:
                    process.kill()
                going.append((process, death))
        self.running = going


_ENDS = {0: "right", -signal.SIGKILL: "killed"}


def run(processes: int, rounds: int, kill: float, seed: int) -> dict[str, object]:
    """Run `processes` at a time, each replaced `rounds` times, and say how it went."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        site = Site(Path(name))
        site.prepare()
        counted(site)
        start = time.monotonic()
        herd = Herd(site, random.Random(seed), kill)
        left = processes * rounds
        while left or herd.running:
            if left and len(herd.running) < processes:
                herd.start()
                left -= 1
            else:
                time.sleep(0.002)
            herd.watch(start + PATIENCE + 0.5 * processes * rounds)
        faults = [fault for _, fault in verify(Cache(site.folder / "cache")) if fault]
        fetched = Counter((site.folder / "fetched").read_text().split())
        errors = site.folder / "errors"
        return {
            "runs": processes * rounds,
            **{end: herd.counts[end] for end in ("right", "killed", "failed", "stuck")},
            "corrupt": faults,
            "most fetches of a blob": max(fetched.values(), default=0),
            "seconds": round(time.monotonic() - start, 1),
            "errors": errors.read_text()[-5000:] if errors.exists() else "",
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--kill", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = run(given.processes, given.rounds, given.kill, given.seed)
    errors = str(found.pop("errors"))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    sys.stderr.write(errors)
    sys.exit(bool(found["failed"] or found["stuck"] or found["corrupt"]))


if __name__ == "__main__":
    main()
