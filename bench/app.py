"""``python -m bench app``: a file of an application has changed, and its image is pushed again.

The application is the Flask example. Ours builds both platforms from its recipe; the peers are
given an image that has the dependencies already, as the cache of a Dockerfile would, and put the
source on it. What a run may keep for the next, everyone keeps. Every round changes the file for
each of them anew; the best round counts, and one more goes through a relay that counts.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fixtures import registry
from fixtures.places import PROJECT

from bench import inputs
from bench.contenders import HERE, PROGRAM
from bench.measure import measure
from bench.peers import MISSING, NEEDS, found, search_path
from bench.proxy import relay
from bench.race import ROUNDS
from bench.rows import Row, observe, print_heading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["main"]

EXAMPLE = PROJECT / "examples" / "flask"
WARM = "layersmith, one file changed"
_REPOSITORY = "apps/shop"


@dataclass(frozen=True)
class Contender:
    """A name, the command by the registry's host, and whether the source changes before it."""

    name: str
    command: Callable[[str], list[str]]
    changes: bool = True


class Shop:
    """A copy of the example, whose source can be changed."""

    def __init__(self, work: Path, host: str) -> None:
        self.folder, self.cache, self.host = work / "shop", work / "cache", host
        shutil.copytree(EXAMPLE, self.folder)
        # What the peers begin with: the same recipe, but for the source.
        recipe = (self.folder / "layersmith.toml").read_text()
        (self.folder / "base.toml").write_text(recipe.replace('source = "src"\n', ""))
        self._file = self.folder / "src" / "shop.py"
        self._text, self._changes = self._file.read_text(), 0

    def change(self) -> None:
        """Let it differ from all that were before."""
        self._changes += 1
        self._file.write_text(f"{self._text}\nCHANGES = {self._changes}\n")

    def build(self, *pushes: str, recipe: str = "layersmith.toml") -> list[str]:
        """Return the command that builds both platforms and pushes them."""
        command = [*PROGRAM, "app", "build", "--quiet", f"--file={self.folder / recipe}"]
        command += [f"--cache-dir={self.cache}"]
        command += [f"--mirror={name}={self.host}" for name in ("docker.io", "gcr.io")]
        return [*command, *(f"--push={place}" for place in pushes)]


def main() -> int:
    """Run everyone and print the table."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as name, registry.serve() as running:
        work = Path(name)
        running.seed(inputs.images(work))
        rows = _raced(running, work, Shop(work, running.host))
    _print(rows, before)
    if path := os.environ.get("BENCH_JSON"):
        Path(path).write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


def _contenders(work: Path, shop: Shop) -> Iterator[Contender]:
    def ours(host: str) -> list[str]:
        return shop.build(f"{host}/{_REPOSITORY}:1")

    yield Contender(WARM, ours)
    yield Contender("layersmith, nothing changed", ours, changes=False)
    for name, peer, script in (
        ("crane append, both platforms", "crane", "app_crane.sh"),
        ("umoci insert + skopeo, ONE platform", "skopeo + umoci + tar", "app_umoci.sh"),
        ("buildah, ONE platform", "buildah", "app_buildah.sh"),
    ):
        if all(map(found, NEEDS[peer])):
            yield Contender(name, _script(script, work, shop))


def _script(name: str, work: Path, shop: Shop) -> Callable[[str], list[str]]:
    place, source = work / Path(name).stem, shop.folder / "src"
    words = ["bash", str(HERE / name)]
    return lambda host: [*words, host, str(place), _repository(name), str(source)]


def _repository(script: str) -> str:
    return f"apps/{Path(script).stem.replace('_', '-')}"


def _raced(running: registry.Registry, work: Path, shop: Shop) -> list[Row]:
    env = {"PATH": search_path()}
    everyone = list(_contenders(work, shop))
    rows = [Row(one.name) for one in everyone]
    bases = [f"{running.host}/{_repository(path.name)}:base" for path in HERE.glob("app_*.sh")]
    measure(shop.build(*bases, recipe="base.toml"), work, env)
    for one in everyone:  # what is kept for the next run is made
        measure(one.command(running.host), work, env)
    for _ in range(ROUNDS):
        for one, row in zip(everyone, rows, strict=True):
            if one.changes:
                shop.change()
            row.runs.append(measure(one.command(running.host), work, env))
    with relay(running.host) as counted:
        for one, row in zip(everyone, rows, strict=True):
            if one.changes:
                shop.change()
            observe(row, one.command(counted.host), running, counted, work, env)
    return rows


def _print(rows: list[Row], before: float) -> None:
    ours = next(row for row in rows if row.name == WARM).best.wall
    print_heading("the Flask example", ROUNDS, before)
    print("| | wall s | x ours | cpu s | kB moved | blobs moved | requests | of manifests |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.name} | {row.best.wall:.2f} | {row.best.wall / ours:.2f} "
            f"| {row.best.cpu:.2f} | {row.moved / 1e3:.0f} | {row.blobs} | {row.requests} "
            f"| {row.manifests} |"
        )
    for program in [program for program in MISSING if not found(program)]:
        print(f"\nnot measured, for want of {program}: {MISSING[program]}")
