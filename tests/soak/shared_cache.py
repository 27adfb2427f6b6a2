"""R4: many processes on one cache, some of them killed, others pruning and verifying.

    python -m tests.soak.shared_cache --processes 8 --rounds 20 --kill 0.25

Every process that lives must give the right digest, in time, and a blob that another
process has fetched, or is fetching, is not fetched again: only a kill or pruning can make
that needed. Prints one JSON document: what went wrong, and how often blobs were fetched.
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
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tests.build.world import write_world

from layersmith.assemble.assembling import assemble
from layersmith.assemble.workshop import Workshop
from layersmith.errors import LayersmithError
from layersmith.oci.content import NoProgress
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Platform
from layersmith.oci.image import load, select
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.target import Target
from layersmith.stores.cache import Cache
from layersmith.stores.layers import blob_key
from layersmith.stores.layout import Layout
from layersmith.stores.registry import RegistryOptions
from layersmith.stores.upkeep import prune, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

    from layersmith.oci.content import Readable
    from layersmith.oci.documents import Descriptor

PATIENCE = 90.0  # seconds; one process alone takes a third of one
TARGET = Target.parse("3.13-debian13")
_fork = multiprocessing.get_context("fork")


@dataclass
class Found:
    """How a soak went; `needless` counts fetches that nothing had made necessary, by blob."""

    runs: int
    right: int
    killed: int
    failed: int
    stuck: int
    corrupt: list[tuple[str, str]]
    seconds: float
    blobs: int = 0
    fetches: int = 0
    most_of_one: int = 0
    needless: dict[str, int] = field(default_factory=dict)
    errors: str = ""

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        kinds = ("failed", "stuck", "corrupt", "needless", "errors")
        return [f"{kind}: {getattr(self, kind)}" for kind in kinds if getattr(self, kind)]


@dataclass
class Site:
    """Two sets of inputs, one cache, and what each set gives."""

    folder: Path
    expected: dict[int, str] = field(default_factory=dict)
    paths: dict[str, set[str]] = field(default_factory=dict)

    def prepare(self) -> None:
        for number in (0, 1):
            write_world(self.folder / str(number), b"%d" % number * 50_000)
            self.expected[number] = self.assemble(number, self.folder / f"own-{number}")
            for image in ("base", "builder"):
                self._note(Layout(self.folder / str(number) / image))

    def _note(self, inputs: Layout) -> None:
        """Note which files of the cache stand for each blob of the inputs."""
        top = load(inputs, "t")
        image = select(inputs, top, Platform(os="linux", architecture="amd64"))
        for document in (top, image.manifest, image.config):
            digest = document.descriptor.digest.encoded
            self.paths[digest] = {f"blobs/sha256/{digest}"}
        for layer in image.layers:
            digest = layer.descriptor.digest.encoded
            self.paths[digest] = {
                f"blobs/sha256/{digest}",
                f"layers/{layer.diff_id.encoded}/tar",
                f"layers/{layer.diff_id.encoded}/index",
                f"memo/{Digest.of(blob_key(layer).encode()).encoded}",
            }

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
            if faults := corrupt(cache):
                raise AssertionError(f"the cache is corrupt: {faults}")
        else:
            number = rng.randrange(2)
            got = self.assemble(number, cache)
            if got != self.expected[number]:
                raise AssertionError(f"{got}, not {self.expected[number]}")


def corrupt(cache: Path) -> list[tuple[str, str]]:
    """What is wrong in a cache; to remove what the killed left behind is verify's business."""
    found = verify(Cache(cache))
    return [(item.name, fault) for item, fault in found if fault and item.kind != "leftover"]


class Ledger:
    """Who fetched which blob when, and which files of the cache somebody removed."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._log = os.open(site.folder / "log", os.O_RDWR | os.O_APPEND | os.O_CREAT)

    def _note(self, *what: object) -> None:
        # The clock is the same for all processes of a machine, and a short line is not torn.
        words = (time.monotonic(), os.getpid(), *what)
        os.write(self._log, (" ".join(map(str, words)) + "\n").encode())

    def open(self) -> None:
        """Log every blob that is fetched from the inputs, and every file that is dropped."""
        opened, drop = Layout.open, Cache.drop

        @contextmanager
        def logged_open(layout: Layout, descriptor: Descriptor) -> Iterator[Readable]:
            self._note("fetch", descriptor.digest.encoded)
            with opened(layout, descriptor) as stream:
                yield stream

        def logged_drop(cache: Cache, path: Path) -> None:
            self._note("drop", path.relative_to(cache.root))
            drop(cache, path)
            self._note("dropped", path.relative_to(cache.root))

        Layout.open = logged_open  # type: ignore[method-assign, assignment]
        Cache.drop = logged_drop  # type: ignore[method-assign, assignment]

    def add(self, found: Found, killed: set[int]) -> None:
        """Count fetches, and those that neither a kill nor a removal had made necessary."""
        fetches: dict[str, list[tuple[float, int]]] = {}
        drops: dict[str, list[list[float]]] = {}
        with os.fdopen(os.dup(self._log)) as log:
            log.seek(0)
            for line in log:
                moment, pid, kind, name = line.split()
                if kind == "fetch":
                    fetches.setdefault(name, []).append((float(moment), int(pid)))
                elif kind == "drop":
                    drops.setdefault(name, []).append([float(moment), math.inf])
                else:
                    open_ = [each for each in drops[name] if each[1] == math.inf]
                    open_[0][1] = float(moment)
        found.blobs = len(fetches)
        found.fetches = sum(map(len, fetches.values()))
        found.most_of_one = max(map(len, fetches.values()))
        found.needless = Counter(
            name
            for name, of_name in fetches.items()
            for (before, who), (now, _) in pairwise(sorted(of_name))
            if who not in killed
            and not any(
                start < now and end > before
                for path in self._site.paths[name]
                for start, end in drops.get(path, ())
            )
        )


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
    killed: set[int] = field(default_factory=set)
    running: list[tuple[BaseProcess, float, float]] = field(default_factory=list)
    typical: float = 0.15  # seconds that a process lives

    def start(self) -> None:
        process = _fork.Process(target=live, args=(self.site, self.rng.randrange(2**40)))
        process.start()
        now = time.monotonic()
        death = now + self.rng.random() * self.typical
        doomed = self.rng.random() < self.kill
        self.running.append((process, now, death if doomed else math.inf))

    def watch(self) -> None:
        """Kill the doomed, bury the dead, count how they went."""
        now, going = time.monotonic(), []
        for process, birth, death in self.running:
            if process.exitcode is not None:
                process.join()
                self.counts[_ENDS.get(process.exitcode, "failed")] += 1
                if process.exitcode == 0:
                    self.typical += 0.2 * (now - birth - self.typical)
                elif process.pid:
                    self.killed.add(process.pid)
            elif now > birth + PATIENCE:
                process.kill()
                process.join()
                self.counts["stuck"] += 1
            else:
                if now > death:
                    process.kill()
                going.append((process, birth, death))
        self.running = going


_ENDS = {0: "right", -signal.SIGKILL: "killed"}


def run(processes: int, rounds: int, kill: float, seed: int) -> Found:
    """Run `processes` at a time, each replaced `rounds` times, and say how it went."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        site = Site(Path(name))
        site.prepare()
        ledger = Ledger(site)
        ledger.open()
        start = time.monotonic()
        herd = Herd(site, random.Random(seed), kill)
        left = processes * rounds
        while left or herd.running:
            if left and len(herd.running) < processes:
                herd.start()
                left -= 1
            else:
                time.sleep(0.002)
            herd.watch()
        found = Found(
            runs=processes * rounds,
            right=herd.counts["right"],
            killed=herd.counts["killed"],
            failed=herd.counts["failed"],
            stuck=herd.counts["stuck"],
            corrupt=corrupt(site.folder / "cache"),
            seconds=round(time.monotonic() - start, 1),
        )
        ledger.add(found, herd.killed)
        with suppress(FileNotFoundError):
            found.errors = (site.folder / "errors").read_text()[-5000:]
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--kill", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = run(given.processes, given.rounds, given.kill, given.seed)
    sys.stdout.write(json.dumps(asdict(found), indent=2) + "\n")
    sys.stderr.write(found.errors)
    sys.exit(bool(found.faults))


if __name__ == "__main__":
    main()
