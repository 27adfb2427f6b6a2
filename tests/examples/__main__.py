"""``python -m tests.examples [--full] [NAME …]``: builds the examples, moves and tests them."""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial

from fixtures import registry
from fixtures.apt import host_architecture
from fixtures.build import build
from fixtures.places import PROJECT
from tests.examples import startup
from tests.examples.building import Bench, ExampleError, NoSandboxError, names
from tests.examples.compiling import interpreter
from tests.examples.judging import (
    code_of_others,
    faults_of_user,
    foreign_files,
    traced,
    verdicts,
)

PLACE = PROJECT / "build" / "examples"
_OTHER = {"amd64": "arm64", "arm64": "amd64"}


def main() -> int:
    """Do what was asked; the exit code is 0 where nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    parser.add_argument(
        "--full", action="store_true", help="each from an empty cache too, and emulated"
    )
    parser.add_argument("--startup", type=int, metavar="TIMES", help="measure how they start")
    arguments = parser.parse_args()
    wanted = arguments.names or names()
    if unknown := sorted({*wanted} - {*names()}):
        parser.error(f"no such example: {', '.join(unknown)}; there are {', '.join(names())}")
    images = build()
    with registry.serve() as running:
        running.seed(images.repositories())
        bench = Bench(running, PLACE)
        if arguments.startup:
            startup.measure(bench, images, wanted, arguments.startup)
            return 0
        works = [_tried(partial(_example, bench, name), name) for name in wanted]
        # One of them, or each, once more with nothing from earlier: the same digest.
        again = wanted if arguments.full else wanted[-1:]
        works += [_tried(partial(_cold, bench, name), name) for name in again]
        if arguments.full:
            program = str(interpreter(images.builder, PLACE / "python"))
            works += [_tried(partial(_emulated, bench, n, program), n) for n in wanted]
    return 0 if all(works) else 1


def _tried(do: Callable[[], list[str]], name: str) -> bool:
    started = time.monotonic()
    try:
        faults = do()
    except (ExampleError, RuntimeError) as error:
        faults = [str(error)]
    for fault in faults:
        print(f"{name}: WRONG: {fault}", flush=True)
    print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
    return not faults


def _example(bench: Bench, name: str) -> list[str]:
    """Build it twice, push, pull, and test it here: by bubblewrap, and where it can be by runc."""
    digest = bench.build(name)["digest"]
    if bench.build(name)["digest"] != digest:
        return ["built twice, it has two digests"]
    print(f"{name}: {digest}, built twice for both platforms", flush=True)
    faults, objects = foreign_files(bench.pull(name, digest))
    print(f"{name}: {objects} programs and libraries, each on its own platform", flush=True)
    faults += _tested(bench, name, host_architecture(), "bubblewrap")
    try:
        return faults + _tested(bench, name, host_architecture(), "runc")
    except NoSandboxError as error:
        # Where all has to be there, nothing may be left out.
        if os.environ.get("CI"):
            raise
        print(f"{name}: not in runc: {error}", flush=True)
        return faults


def _tested(bench: Bench, name: str, architecture: str, runner: str) -> list[str]:
    options = ("--runner", runner)
    faults, seconds = verdicts(bench.test(name, architecture, *options))
    print(f"{name}: {architecture} in {runner}, {seconds:.1f} s", flush=True)
    faults += faults_of_user(bench, name, architecture, *options)
    return [f"{architecture} in {runner}: {fault}" for fault in faults]


def _cold(bench: Bench, name: str) -> list[str]:
    """Build it with an empty cache, and look whether any code ran that is not ours."""
    first = bench.build(name)["digest"]
    shutil.rmtree(bench.place / "cold", ignore_errors=True)
    trace = bench.place / "trace"
    prefix = traced(trace) if shutil.which("strace") or os.environ.get("CI") else ()
    again = bench.build(name, cache="cold", prefix=prefix)["digest"]
    shutil.rmtree(bench.place / "cold")
    print(f"{name}: {again}, with an empty cache", flush=True)
    faults = [] if first == again else ["with an empty cache it has another digest"]
    if not prefix:
        print(f"{name}: whether code of a wheel ran is not known: there is no strace", flush=True)
        return faults
    faults += code_of_others(trace)
    trace.unlink()
    return faults


def _emulated(bench: Bench, name: str, program: str) -> list[str]:
    """Test it on the other platform, with bytecode: to compile all of it would take minutes."""
    bench.pull(name, bench.build(name, "--bytecode", "--python", program)["digest"])
    return _tested(bench, name, _OTHER[host_architecture()], "bubblewrap")


if __name__ == "__main__":
    sys.exit(main())
