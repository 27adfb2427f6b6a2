"""``python -m tests.reliability [--full] [R1 R8 …]``: measures rows and prints the table."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.reliability.scoreboard import Figure, Measure, Row, Run, rows

TABLE = Path("build/reliability.md")


@dataclass(frozen=True)
class Result:
    """A row with its figure and the seconds that it took."""

    row: Row
    figure: Figure
    seconds: float

    def line(self) -> str:
        verdict = "met" if self.figure.met else "**missed**"
        cells = (self.row.id, self.row.test, self.figure.text, self.row.target, verdict)
        return (
            "| "
            + " | ".join(each.replace("|", "\\|") for each in cells)
            + (f" | {self.seconds:.0f} |")
        )


def measured_here(measure: Measure, *, full: bool, seed: int) -> Result:
    """Measures one row in this process; whatever escapes is a miss."""
    scratch = Path(tempfile.mkdtemp(prefix=f"{measure.row.id.lower()}-"))
    started = time.monotonic()
    try:
        figure = measure.measure(Run(full=full, scratch=scratch, seed=seed))
    except Exception as error:  # noqa: BLE001 - a row that breaks is a row that is missed
        traceback.print_exc()
        figure = Figure("not measured", (f"{type(error).__name__}: {error}",))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Result(measure.row, figure, time.monotonic() - started)


def measured_apart(measure: Measure, *, full: bool, seed: int) -> Result:
    """Measures one row in a process of its own."""
    command = [sys.executable, "-m", "tests.reliability", "--one", measure.row.id]
    command += ["--seed", str(seed), *(["--full"] if full else [])]
    print(f"{measure.row.id} {measure.row.test}: begins", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        value = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        figure = Figure("not measured", (f"the process ended with status {done.returncode}",))
        return Result(measure.row, figure, 0.0)
    figure = Figure(value["figure"]["text"], tuple(value["figure"]["misses"]))
    result = Result(measure.row, figure, value["seconds"])
    print(result.line(), file=sys.stderr, flush=True)
    return result


def report(results: list[Result], *, full: bool) -> str:
    """The table in Markdown, the misses under it, and a closing line."""
    size = "the whole" if full else "CI's part"
    lines = [f"Scoreboard ({size}; {os.cpu_count()} processors)", ""]
    lines += ["| row | test | measured | target | verdict | s |", "|---|---|---|---|---|---|"]
    lines += [each.line() for each in results]
    missed = [each for each in results if not each.figure.met]
    for each in missed:
        lines += ["", f"{each.row.id} {each.row.test}:"]
        lines += [f"  {miss}" for miss in each.figure.misses[:20]]
        lines += [f"  … and {len(each.figure.misses) - 20} more"] * (len(each.figure.misses) > 20)
    return "\n".join([*lines, "", f"{len(results) - len(missed)} passed, {len(missed)} failed"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability")
    parser.add_argument("only", nargs="*", metavar="ROW", help="such as R8; all when left out")
    parser.add_argument("--full", action="store_true", help="the whole of it, not CI's part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    known = rows()
    chosen = [each for each in known if not options.only or each.row.id in options.only]
    if unknown := set(options.only) - {each.row.id for each in known}:
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    if options.one:
        result = measured_here(chosen[0], full=options.full, seed=options.seed)
        print(json.dumps(asdict(result)))
        return 0
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(
            pool.map(
                lambda each: measured_apart(each, full=options.full, seed=options.seed), chosen
            )
        )
    text = report(results, full=options.full)
    print(text)
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(text + "\n")
    return 0 if all(each.figure.met for each in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
