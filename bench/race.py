"""``python -m bench race``: ours, the floor and the peers, on one registry in one run.

Every round runs everyone once, so that what else the machine does hits all alike; the
best round counts. One more round, not timed, goes through a relay that counts the bytes and
watches memory. It prints figures and ratios, and judges nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

from fixtures import registry

from bench import inputs
from bench.contenders import COLD, PROGRAM, TARGET, assembling, contenders
from bench.measure import measure
from bench.peers import MISSING, found, search_path
from bench.proxy import relay
from bench.rows import Row, observe, print_heading

__all__ = ["main"]

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
ARCHITECTURES = ("amd64", "arm64")


def main() -> int:
    """Run everyone and print the table."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as name, registry.serve() as running:
        work = Path(name)
        running.seed(inputs.images(work))
        rows = _raced(running, work, *_prepared(running.host, work))
    _print(rows, before)
    if path := os.environ.get("BENCH_JSON"):
        Path(path).write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


def _prepared(host: str, work: Path) -> tuple[list[str], Path]:
    """Make what others need of us: the new layers' tars, and the files that are in them."""
    cache, layout, lists = work / "prepared", work / "tars", work / "lists"
    words = (f"--output=oci:{layout}", "--compression=none", "--json")
    made = json.loads(_output(assembling(host, cache, *words)))
    digests = [platform["layer"]["diff_id"] for platform in made["platforms"]]
    plan = [word for word in assembling(host, cache, "--json") if word != "--quiet"]
    plan[len(PROGRAM)] = "plan"
    lists.mkdir()
    for platform in json.loads(_output(plan))["platforms"]:
        # What is not below usr/ is made by us: the user, the loader's cache, the records.
        paths = [one["path"][1:] for one in platform["files"] if one["path"].startswith("/usr/")]
        name = platform["platform"].partition("/")[2]
        (lists / name).write_text("".join(f"{path}\n" for path in sorted(paths)))
    return [str(layout / "blobs" / digest.replace(":", "/")) for digest in digests], lists


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def _raced(running: registry.Registry, work: Path, tars: list[str], lists: Path) -> list[Row]:
    field_ = list(contenders(work, tars, lists))
    rows = [Row(one.name) for one in field_]
    env = {"PATH": search_path()}
    for number in range(ROUNDS):
        for one, row in zip(field_, rows, strict=True):
            if number < one.rounds:
                one.prepare()
                row.runs.append(measure(one.command(running.host, number), work, env))
    with relay(running.host) as counted:
        for one, row in zip(field_, rows, strict=True):
            one.prepare()
            observe(row, one.command(counted.host, ROUNDS), running, counted, work, env)
    return rows


def _print(rows: list[Row], before: float) -> None:
    ours = next(row for row in rows if row.name == COLD).best.wall
    print_heading(TARGET, ROUNDS, before)
    print("| | wall s | x cold | cpu s | MB resident | MB moved | requests | of manifests |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.name} | {row.best.wall:.2f} | {row.best.wall / ours:.2f} "
            f"| {row.best.cpu:.2f} | {row.memory / 1e6:.0f} | {row.moved / 1e6:.1f} "
            f"| {row.requests} | {row.manifests} |"
        )
    for program in [program for program in MISSING if not found(program)]:
        print(f"\nnot measured, for want of {program}: {MISSING[program]}")
