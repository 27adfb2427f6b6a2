"""``python -m tests.examples [--full] [NAME …]``: builds the examples, moves and runs them."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fixtures import registry, sandbox, tools
from fixtures.apt import host_architecture
from fixtures.build import build
from fixtures.places import PROJECT
from tests.examples import startup
from tests.examples.building import (
    EXAMPLES,
    Bench,
    ExampleError,
    names,
    run_in_runc,
    unpack_as_root,
)
from tests.examples.compiling import interpreter
from tests.examples.trials import try_all

PLACE = PROJECT / "build" / "examples"
_EMULATED = ("arm64", "qemu-aarch64-static", "qemu-user-static")


def main() -> int:
    """Do what was asked; the exit code is 0 where nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.examples", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default all")
    parser.add_argument("--full", action="store_true", help="arm64 too, under an emulator")
    parser.add_argument("--startup", type=int, metavar="TIMES", help="measure how they start")
    arguments = parser.parse_args()
    wanted = arguments.names or names()
    if unknown := sorted({*wanted} - {*names()}):
        parser.error(f"no such example: {', '.join(unknown)}; there are {', '.join(names())}")
    if reason := sandbox.why_not():
        print(f"examples: this host allows no sandbox ({reason})", file=sys.stderr)
        return 1
    images = build()
    with registry.serve() as running:
        running.seed(images.repositories())
        bench = Bench(running, PLACE)
        if arguments.startup:
            startup.measure(bench, images, wanted, arguments.startup)
            return 0
        works = [_tried(partial(_example, bench, name), name) for name in wanted]
        # One of them once more, with nothing from earlier: the same digest.
        works.append(_tried(partial(_cold, bench, wanted[0]), wanted[0]))
        if arguments.full:
            program = interpreter(images.builder, PLACE / "python")
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
    """Build it twice, push, pull, and run it here: in bubblewrap, and as root in runc."""
    digest = bench.build(name)["digest"]
    if bench.build(name)["digest"] != digest:
        return ["built twice, it has two digests"]
    print(f"{name}: {digest}, built twice for both platforms", flush=True)
    layout = bench.pull(name, digest)
    folder = EXAMPLES / name
    if host_architecture() != "amd64":
        return []  # arm64 hosts run it with --full
    bundle = bench.unpack(name, "amd64")
    faults, seconds = try_all(folder, bundle.config, partial(_in_bubblewrap, bundle, None))
    print(f"{name}: amd64 in bubblewrap, {seconds:.1f} s", flush=True)
    if os.geteuid() == 0:  # runc without root is another matter
        whole = unpack_as_root(layout, name, bench.place / name / "runc")
        more, seconds = try_all(folder, bundle.config, partial(run_in_runc, whole))
        print(f"{name}: amd64 in runc, {seconds:.1f} s", flush=True)
        faults += [f"in runc: {fault}" for fault in more]
    return faults


def _cold(bench: Bench, name: str) -> list[str]:
    """Build it with an empty cache."""
    first = bench.build(name)["digest"]
    shutil.rmtree(bench.place / "cold", ignore_errors=True)
    again = bench.build(name, cache="cold")["digest"]
    shutil.rmtree(bench.place / "cold")
    print(f"{name}: {again}, with an empty cache", flush=True)
    return [] if first == again else ["with an empty cache it has another digest"]


def _emulated(bench: Bench, name: str, program: Path) -> list[str]:
    """Run it on arm64, with bytecode: to compile all that is imported would take minutes."""
    architecture, emulator, package = _EMULATED
    bench.pull(name, bench.build(name, "--bytecode", "--python", str(program))["digest"])
    bundle = bench.unpack(name, architecture)
    path = None if host_architecture() == architecture else str(tools.find(emulator, package).path)
    run = partial(_in_bubblewrap, bundle, path)
    faults, seconds = try_all(EXAMPLES / name, bundle.config, run, path)
    print(f"{name}: {architecture} in bubblewrap, {seconds:.1f} s", flush=True)
    return faults


def _in_bubblewrap(
    bundle: sandbox.Bundle, emulator: str | None, words: list[str], timeout: float
) -> subprocess.CompletedProcess[str]:
    return sandbox.run(bundle, words, emulator=emulator, timeout=timeout)


if __name__ == "__main__":
    sys.exit(main())
