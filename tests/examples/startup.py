"""How long examples take to start, without bytecode and with it: the table of docs/examples.md."""

from collections.abc import Sequence

from fixtures.apt import host_architecture
from fixtures.build import Fixtures
from tests.examples.building import Bench
from tests.examples.compiling import interpreter
from tests.examples.judging import verdicts


def measure(bench: Bench, images: Fixtures, wanted: Sequence[str], times: int) -> None:
    """Print a row for each example: the least of so many starts."""
    program = interpreter(images.builder, bench.place / "python")
    platform = f"linux/{host_architecture()}"
    print("| example | without | with | image without | image with |\n|---|---|---|---|---|")
    for name in wanted:
        seconds, sizes = [], []
        for options in ((), ("--bytecode", "--python", str(program))):
            document = bench.build(name, *options)
            bench.pull(name, document["digest"])
            seconds.append(min(_start(bench, name) for _ in range(times)))
            sizes += [
                each["size"]
                for each in document["platforms"]
                if each["platform"].startswith(platform)
            ]
        row = [name, *(f"{each:.2f} s" for each in seconds), *(f"{s / 1e6:.1f} MB" for s in sizes)]
        print("| " + " | ".join(row) + " |", flush=True)


def _start(bench: Bench, name: str) -> float:
    """Return the seconds of its first test: until a server answers, or a program has ended."""
    document = bench.test(name, host_architecture())
    faults, _ = verdicts(document)
    if faults:
        raise RuntimeError(f"{name}: {faults[0]}")
    return float(document["platforms"][0]["tests"][0]["seconds"])
