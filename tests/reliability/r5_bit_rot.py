"""R5: every file of the cache rots in turn, and two change places.

Online the next run heals it and gives the same digest; where nothing can be fetched it gives
the same digest, if that file was not needed, or one clear error; and `cache verify` finds it.
"""

import contextlib
import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.reliability.disk_cells import Cell, broken_rules
from tests.reliability.disk_jobs import WARM
from tests.reliability.disk_site import Site
from tests.reliability.scoreboard import Figure, Row, Run

from layersmith.stores.cache import Cache
from layersmith.stores.upkeep import verify

ROW: Final = Row("R5", "bit-rot", "found, and healed or a clear error offline: 100 %")


def _flip(path: Path, at: float = 0.5) -> None:
    raw = bytearray(path.read_bytes())
    if raw:
        raw[min(int(len(raw) * at), len(raw) - 1)] ^= 1
    path.write_bytes(raw)


def _replace(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES: Final[dict[str, Callable[[Path], object]]] = {
    "one bit": _flip,
    "cut": _cut,
    "replaced": _replace,
    "its first bit": lambda path: _flip(path, 0),
    "its last bit": lambda path: _flip(path, 1),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
}
_QUICK: Final = 3


@dataclass(frozen=True)
class Rot:
    """What happens to which files; `forget`: the cache has no memos, all is made anew."""

    damage: str
    paths: tuple[Path, ...]
    forget: bool

    def __str__(self) -> str:
        where = " and ".join(str(path) for path in self.paths)
        return f"{self.damage}: {where}{' (no memos)' if self.forget else ''}"

    def strike(self, cache: Path) -> bool:
        """Damage a cache; false where that changes nothing."""
        if self.forget:
            shutil.rmtree(cache / "v1" / "memo")
        if not all((cache / path).exists() for path in self.paths):
            return False
        before = [(cache / path).read_bytes() for path in self.paths]
        if len(self.paths) == 2:
            for path, raw in zip(self.paths, before[::-1], strict=True):
                (cache / path).write_bytes(raw)
        else:
            DAMAGES[self.damage](cache / self.paths[0])
        return before != [(cache / path).read_bytes() for path in self.paths]


def measure(run: Run) -> Figure:
    site = Site(run.scratch / "site")
    site.prepare()
    site.learn([WARM])
    offline = site.root / "offline"
    shutil.copytree(site.inputs, offline)
    for blobs in offline.glob("*/blobs"):
        shutil.rmtree(blobs)
    rots = list(_rots(site.root / "full" / "cache", random.Random(run.seed), full=run.full))
    counts: Counter[str] = Counter()
    misses: list[str] = []
    for number, rot in enumerate(rots):
        if run.full and number % 50 == 0:
            run.say(f"R5: {number} of {len(rots)}, {len(misses)} misses")
        for end, fault in _tried(site, rot, counts, both=run.full, offline=bool(number % 2)):
            misses.append(f"{rot}: {end}: {fault}")
    text = (
        f"{counts['struck']} damages of {len({path for rot in rots for path in rot.paths})} files: "
        f"{counts['found']} found by cache verify; online {counts['healed']} of "
        f"{counts['online']} healed; offline {counts['not needed']} not needed and "
        f"{counts['told']} a clear error, of {counts['offline']}"
    )
    return Figure(text, tuple(misses))


def _rots(cache: Path, rng: random.Random, *, full: bool) -> Iterator[Rot]:
    files = sorted(path.relative_to(cache) for path in cache.rglob("*") if path.is_file())
    kinds = list(DAMAGES) if full else list(DAMAGES)[:_QUICK]
    for number, path in enumerate(files):
        for forget in (False, True):
            if forget and "memo" in path.parts:
                continue
            for damage in kinds if full else [kinds[(number + forget) % len(kinds)]]:
                yield Rot(damage, (path,), forget)
    rooms = [
        [path for path in files if path.parts[1] == room] for room in ("blobs", "layers", "memo")
    ]
    pairs = [pair for room in rooms for pair in itertools.combinations(room, 2)]
    for pair in pairs if full else rng.sample(pairs, 12):
        yield Rot("swapped", pair, forget=rng.random() < 0.5)


def _tried(
    site: Site, rot: Rot, counts: Counter[str], *, both: bool, offline: bool
) -> Iterator[tuple[str, str]]:
    """Let it be found, healed, and endured; yield what went wrong."""
    cell = site.cell(WARM)
    try:
        if not rot.strike(cell.folder / "cache"):
            return
        counts["struck"] += 1
        faults = [fault for _, fault in verify(Cache(cell.folder / "cache")) if fault]
        counts["found"] += bool(faults)
        if not faults:
            yield "verify", "not found"
    finally:
        cell.remove()
    for end in ("online", "offline") if both else ("offline" if offline else "online",):
        counts[end] += 1
        cell = site.cell(WARM)
        try:
            rot.strike(cell.folder / "cache")
            yield from ((end, fault) for fault in _endured(cell, end, counts))
        finally:
            cell.remove()


def _endured(cell: Cell, end: str, counts: Counter[str]) -> Iterator[str]:
    if end == "online":
        done = cell.run()
        faults = list(broken_rules(cell, done, rotten=True))
        if done.status:
            faults.append(f"not healed: {done.err.strip()}")
        counts["healed"] += not faults
    else:
        with _offline(cell.site):
            done = cell.run()
        faults = list(broken_rules(cell, done, rotten=True))
        counts["told" if done.status else "not needed"] += not faults
    yield from faults


@contextlib.contextmanager
def _offline(site: Site) -> Iterator[None]:
    """Let inputs name images, and have no bytes of them."""
    aside = site.root / "online"
    site.inputs.rename(aside)
    (site.root / "offline").rename(site.inputs)
    try:
        yield
    finally:
        site.inputs.rename(site.root / "offline")
        aside.rename(site.inputs)
