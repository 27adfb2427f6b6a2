"""``make bench``: cold and warm, beside the floor and the peers, on one registry.

Reads the fixtures, or with ``BENCH_IMAGES=DIR`` two OCI archives or layouts in DIR named
``distroless-cc-debian13*`` and ``python-3.13-slim-trixie*``. Never part of a test: it
prints figures and ratios, and judges nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from fixtures import build, registry

from bench.contenders import Contender, contenders
from bench.measure import Measured, best, measure

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


def main() -> int:
    """Run every contender and print the table."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, registry.serve() as running:
        work = Path(name)
        running.seed(_images(work))
        rows = [_row(one, running, work) for one in contenders(running.host, work)]
    _print(rows)
    return 0


def _images(work: Path) -> dict[str, Path]:
    chosen = os.environ.get("BENCH_IMAGES")
    if not chosen:
        return build.build().repositories()
    found = {}
    for folder, repository in build.REPOSITORIES.items():
        source = next(Path(chosen).glob(f"{folder}*"))
        if source.is_file():
            with tarfile.open(source) as archive:
                archive.extractall(work / folder, filter="data")
            source = work / folder
        found[repository] = source
    return found


def _row(contender: Contender, running: registry.Registry, work: Path) -> tuple[str, Measured]:
    runs = []
    for number in range(ROUNDS):
        contender.prepare()
        before = len(running.log)
        taken = measure(contender.command(number), work)
        runs.append(taken.with_moved(running.log[before:]))
    return contender.name, best(runs)


def _print(rows: list[tuple[str, Measured]]) -> None:
    ours = next(taken for name, taken in rows if name.startswith("layersmith, cold"))
    print(f"\nbest of {ROUNDS} runs, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    print(f"{'':<44}{'wall s':>8}{'cpu s':>8}{'RSS MB':>8}{'moved MB':>10}{'x cold':>8}")
    for name, taken in rows:
        print(
            f"{name:<44}{taken.wall:>8.2f}{taken.cpu:>8.2f}{taken.rss / 1000:>8.0f}"
            f"{taken.moved / 1e6:>10.1f}{taken.wall / ours.wall:>8.2f}"
        )
    if path := os.environ.get("BENCH_JSON"):
        document = {name: taken.as_json() for name, taken in rows}
        Path(path).write_text(json.dumps(document, indent=1))
    if missing := [tool for tool in ("skopeo", "umoci") if shutil.which(tool) is None]:
        print(f"not measured, for want of {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(main())
