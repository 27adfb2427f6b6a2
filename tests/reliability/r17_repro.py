"""R17: the same inputs give the same bytes, whatever else is different."""

import hashlib
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fixtures import build, sandbox, tools
from fixtures.apt import AptError, host_architecture
from tests.reliability.repro_pythons import CORE, Box, Interpreter, interpreters
from tests.reliability.repro_ways import Choice, Way, circumstances, ways
from tests.reliability.scoreboard import Figure, Row, Run

ROW: Final = Row(
    "R17",
    "the same bytes in any circumstances",
    "1 diff_id and 1 blob digest a platform and compressor",
)
TARGET: Final = "3.13-debian13"
INPUTS: Final = {"base": "latest", "builder": "3.13-slim-trixie"}
PATIENCE: Final = 1800.0
GZIP: Final = "gzip:6"


@dataclass(frozen=True)
class Site:
    """Where builds take place: folders with the inputs and a warm cache in each, by name."""

    folders: Mapping[str, Path]
    pythons: Mapping[str, Interpreter]


class Tally:
    """What came out, and how often: it should be one of a kind."""

    def __init__(self) -> None:
        self.diff_ids: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.blobs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.indexes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.misses: list[str] = []
        self.builds = 0

    def add(self, document: Mapping[str, Any], compressor: str, how: str) -> None:
        """Count one build; a digest that is not the first of its kind is a miss."""
        self.builds += 1
        self._count(self.indexes[compressor], document["digest"], f"index, {compressor}", how)
        for platform in document["platforms"]:
            name, layer = platform["platform"], platform["layer"]
            self._count(self.diff_ids[name], layer["diff_id"], f"diff_id of {name}", how)
            kind = f"{name}, {compressor}"
            self._count(self.blobs[kind], layer["digest"], f"blob of {kind}", how)

    def _count(self, counter: Counter[str], digest: str, what: str, how: str) -> None:
        counter[digest] += 1
        if digest != next(iter(counter)):
            self.misses.append(f"{what}: {digest[:19]}, not {next(iter(counter))[:19]}: {how}")

    def __str__(self) -> str:
        def most(counters: Mapping[str, Counter[str]]) -> int:
            return max(map(len, counters.values()), default=0)

        return (
            f"{self.builds} builds of {len(self.diff_ids)} platforms: {most(self.diff_ids)} diff_id"
            f" a platform, {most(self.blobs)} blob digest and {most(self.indexes)} index for each"
            f" of {len(self.indexes)} compressors"
        )


def measure(run: Run) -> Figure:
    """Build in many ways; then pack, and in full build too, on other machines."""
    tally = Tally()
    with ExitStack() as stack:
        dimensions, absent = circumstances()
        folders, places = _folders(run, stack, absent)
        pythons = {one.version: one for one in interpreters(obtain=run.full)}
        site = Site(places, pythons)
        dimensions["folder"] = folders
        dimensions["Python"] = [Choice(v, env=one.env) for v, one in pythons.items()]
        dimensions["cache"] = [Choice("cold"), Choice("warm")]
        texts = run.pick((GZIP, GZIP, "zstd:9", "none"), (GZIP,) * 4 + ("gzip:1", "zstd:9", "none"))
        dimensions["compressor"] = [Choice(text) for text in texts]
        dealt = list(itertools.islice(ways(dimensions, random.Random(run.seed)), run.pick(16, 200)))
        _build(run, site, dealt[0], 0, tally, keep=True)
        if tally.misses:
            return Figure("the first build failed", tuple(tally.misses))
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(lambda n: _build(run, site, dealt[n], n, tally), range(1, len(dealt))))
        machines = _machines(run, places["plain"], tally, absent)
    varied = [f"{name} {len({c.value for c in d})}" for name, d in dimensions.items()]
    text = f"{tally}; varied: {', '.join(varied)}; {machines}"
    return Figure(
        text + (f"; not varied: {'; '.join(absent)}" if absent else ""), tuple(tally.misses)
    )


# Whole builds


def _folders(run: Run, stack: ExitStack, absent: list[str]) -> tuple[list[Choice], dict[str, Path]]:
    """Folders that hold the same inputs: near and far, and on a file system without order."""
    images = build.build()
    first = run.scratch / "plain"
    for name, source in (("base", images.base), ("builder", images.builder)):
        shutil.copytree(source, first / name)
    other = run.scratch / ("with spaces, ünd " + "x" * 120)
    shutil.copytree(first, other, copy_function=os.link)
    places = {"plain": first, "a long name": other}
    for name, option in (
        ("reversed", "--reverse-dirents=yes"),
        ("shuffled", "--shuffle-dirents=yes"),
    ):
        try:
            places[name] = stack.enter_context(_disordered(first, run.scratch / name, option))
        except (OSError, AptError, subprocess.SubprocessError) as error:
            absent.append(f"order of directories: {error}")
            break
    choices = [Choice(name, ("env", "-C", str(path))) for name, path in places.items()]
    return choices, places


@contextmanager
def _disordered(source: Path, mount: Path, option: str) -> Iterator[Path]:
    """A view of `source` whose directories are listed in another order."""
    mount.mkdir()
    disorderfs = tools.find("disorderfs", "disorderfs")
    # It unmounts when it ends, and even where we are killed it does not outlive us.
    command = ["setpriv", "--pdeathsig", "TERM", str(disorderfs.path), "-f", "-q", option]
    process = subprocess.Popen(
        [*command, str(source), str(mount)],
        env=disorderfs.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not mount.is_mount():
            if process.poll() is not None:
                raise OSError(process.communicate()[1].strip() or "disorderfs ended at once")
            time.sleep(0.02)
        yield mount
    finally:
        process.terminate()
        process.communicate()


def _build(
    run: Run, site: Site, way: Way, number: int, tally: Tally, *, keep: bool = False
) -> None:
    """Assemble once, in these circumstances, and count what came out."""
    chosen = {name: choice.value for name, choice in way.chosen.items()}
    folder = site.folders[chosen["folder"]]
    cache = "cache" if chosen["cache"] == "warm" else f"cache-{number}"
    place = "out" if keep else f"out-{number}"
    program = [site.pythons[chosen["Python"]].path, "-m", "layersmith", "assemble", TARGET]
    program += [f"--{name}=oci:{name}:{tag}" for name, tag in INPUTS.items()]
    program += ["--output", f"oci:{place}", "--cache-dir", cache, "--quiet", "--json"]
    program += ["--compression", chosen["compressor"]]
    plain = {"PATH": os.environ["PATH"], "HOME": str(run.scratch)}
    done = subprocess.run(
        way.command(program), env=plain, capture_output=True, check=False, timeout=PATIENCE
    )
    if done.returncode:
        error = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        tally.misses.append(f"exit {done.returncode}: {error}: {way}")
        run.say(f"R17 {number}: {tally.misses[-1]}")
        return
    document = json.loads(done.stdout)
    run.say(f"R17 {number}: {document['digest'][:19]} {chosen['compressor']}")
    tally.add(document, chosen["compressor"], str(way))
    for platform in document["platforms"]:
        _check_blob(folder / place, platform["layer"]["digest"], tally, str(way))
    if not keep:
        shutil.rmtree(folder / place)
    if chosen["cache"] == "cold":
        shutil.rmtree(folder / cache)


def _check_blob(layout: Path, digest: str, tally: Tally, how: str) -> None:
    blob = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
    if f"sha256:{hashlib.sha256(blob).hexdigest()}" != digest:
        tally.misses.append(f"{digest} is not what the layout has under this name: {how}")


# Other machines


def _machines(run: Run, folder: Path, tally: Tally, absent: list[str]) -> str:
    """Pack and compress in our own images, native and emulated; in full assemble there too."""
    if reason := sandbox.why_not():
        absent.append(f"machines: {reason}")
        return "no other machine"
    here = _core(subprocess.run(
        [sys.executable, "-m", "tests.reliability.repro_core"],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    ), "here", tally)  # fmt: skip
    names = []
    for architecture in sorted({"amd64", "arm64"}, key=lambda a: a != host_architecture()):
        box = Box(folder / "out", TARGET, architecture, run.scratch / architecture)
        box.furnish("3.13", run.pick(CORE, ()))
        there = _core(
            box.python("-m", "tests.reliability.repro_core", timeout=PATIENCE), box.name, tally
        )
        if there != here:
            tally.misses.append(f"packing and compressing: {box.name} {there}, here {here}")
        if run.full:
            _assemble_in(box, folder, tally)
        names.append(f"{box.name}{' and in whole' if run.full else ''}")
    return f"the tar and {len(here.get('digests', ()))} compressors also on {' and '.join(names)}"


def _core(done: subprocess.CompletedProcess[str], where: str, tally: Tally) -> dict[str, Any]:
    if done.returncode:
        tally.misses.append(f"packing {where}: exit {done.returncode}: {done.stderr[-300:]}")
        return {}
    found: dict[str, Any] = json.loads(done.stdout)["found"]
    return found


def _assemble_in(box: Box, folder: Path, tally: Tally) -> None:
    """Assemble both platforms on another machine: cold, then from its cache."""
    for name in INPUTS:
        shutil.copytree(folder / name, box.shared / name, copy_function=os.link)
    for compressor in (GZIP, "zstd:9", "none"):
        inside = "/tmp/shared"
        words = [f"--{name}=oci:{inside}/{name}:{tag}" for name, tag in INPUTS.items()]
        words += ["--output", "oci:/tmp/out", "--cache-dir", f"{inside}/cache", "--quiet"]
        words += ["--json", "--compression", compressor]
        done = box.python("-m", "layersmith", "assemble", TARGET, *words, timeout=2 * PATIENCE)
        if done.returncode:
            tally.misses.append(f"{box.name}: exit {done.returncode}: {done.stderr[-300:]}")
        else:
            tally.add(json.loads(done.stdout), compressor, box.name)
