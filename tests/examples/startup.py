"""How long examples take to start, without bytecode and with it: the table of docs/examples.md."""

import json
import subprocess
import time
from collections.abc import Sequence

from fixtures import sandbox
from fixtures.apt import host_architecture
from fixtures.build import Fixtures
from tests.examples.building import EXAMPLES, Bench
from tests.examples.compiling import interpreter
from tests.examples.trials import trials_of


def measure(bench: Bench, images: Fixtures, wanted: Sequence[str], times: int) -> None:
    """Print a row for each example: the least of so many starts."""
    program = interpreter(images.builder, bench.place / "python")
    print("| example | without | with | image without | image with |\n|---|---|---|---|---|")
    for name in wanted:
        cells, sizes = [], []
        for options in ((), ("--bytecode", "--python", str(program))):
            document = bench.build(name, *options)
            bench.pull(name, document["digest"])
            bundle = bench.unpack(name, host_architecture())
            cells.append(min(_start(name, bundle) for _ in range(times)))
            (size,) = [
                each["size"]
                for each in document["platforms"]
                if each["platform"].startswith(f"linux/{host_architecture()}")
            ]
            sizes.append(size)
        row = [name, *(f"{cell:.2f} s" for cell in cells), *(f"{s / 1e6:.1f} MB" for s in sizes)]
        print("| " + " | ".join(row) + " |", flush=True)


def _start(name: str, bundle: sandbox.Bundle) -> float:
    """Return the seconds until a server's first answer, or until a program has ended."""
    trial = trials_of(EXAMPLES / name)[0]
    started = time.monotonic()
    done: subprocess.CompletedProcess[str] = sandbox.run(bundle, trial.words(bundle.config, None))
    took = time.monotonic() - started
    if faults := trial.faults(done):
        raise RuntimeError(f"{name}: {faults[0]}")
    return float(json.loads(done.stdout)["seconds"]) if trial.http else took
