"""R13: JSON documents as a stranger would write them, through the program itself.

Each is met by every command that reads it. It is accepted with its one meaning, which then
skopeo accepts too, or refused: an exit code, one line, nothing that drives a terminal.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias

from tests.build import hostile_json as made
from tests.build.hostile_json import Case, described
from tests.build.tar import archive, file
from tests.build.world import write_world
from tests.fakes.registry import FakeRegistry, Reply
from tests.reliability.inprocess import Ran, run
from tests.reliability.scoreboard import Figure, Row, Run
from tests.reliability.trial import Tally, forget_peak, peak_mib

from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

ROW: Final = Row(
    "R13",
    "hostile-json",
    ">= 250 documents: accepted with the one meaning that skopeo accepts too, or refused in "
    "one line; none takes > 2 s or 128 MiB more",
)
SECONDS: Final = 2.0
MEMORY: Final = 128  # MiB, over what the program has before
PEERS: Final = ("index", "manifest", "config", "names")
JSON: Final = {"Content-Type": "application/json"}
Commands: TypeAlias = tuple[list[tuple[str, ...]], list[tuple[str, ...]]]


def measure(size: Run) -> Figure:
    """Try every document; then ask skopeo about those that were accepted."""
    os.environ |= {"DOCKER_CONFIG": str(size.scratch / "none"), "COLUMNS": "200"}
    os.environ["LAYERSMITH_CACHE"] = str(size.scratch / "cache")
    tally = Tally(SECONDS)
    verdicts: Counter[bool | None] = Counter()
    accepted: list[tuple[Case, Path]] = []
    forget_peak()
    before = peak_mib()
    with FakeRegistry() as plain, FakeRegistry(tokens=True) as guarded:
        bench = _Bench(size.scratch, plain, guarded)
        for number, case in enumerate(made.cases()):
            place = size.scratch / str(number)
            place.mkdir()
            verdict = bench.judge(case, place, tally)
            verdicts[verdict] += 1
            if verdict and case.peer and case.role in PEERS:
                accepted.append((case, place))
            else:
                shutil.rmtree(place)
            for left in size.scratch.glob(f"{number}-*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    peer = _peers(accepted, tally) if shutil.which("skopeo") else 0
    memory = peak_mib() - before
    if memory > MEMORY:
        tally.misses.append(f"{memory:.0f} MiB more than before")
    documents = sum(verdicts.values())
    if documents < 250:
        tally.misses.append(f"only {documents} documents")
    text = (
        f"{documents} documents, {tally.count} commands: {verdicts[True]} accepted, "
        f"{peer} of {len(accepted)} by skopeo too, {verdicts[False]} refused; "
        f"slowest {tally.slowest[0]:.1f} s, +{memory:.0f} MiB"
    )
    return Figure(text, tuple(tally.misses))


class _Bench:
    """Where documents are put, and the commands that then read them."""

    def __init__(self, scratch: Path, plain: FakeRegistry, guarded: FakeRegistry) -> None:
        self.scratch = scratch
        self.plain, self.guarded = plain, guarded
        self.builder = write_world(scratch / "world")[1]
        for registry in (plain, guarded):
            for blob in (made.RAW_CONFIG, *made.LAYERS):
                registry.add_blob("x", blob)
            registry.add_manifest("x", made.RAW_MANIFEST, OCI_MANIFEST, "t")
        guarded.granted["abc"] = {("x", "pull")}

    def judge(self, case: Case, place: Path, tally: Tally) -> bool | None:
        """Run the commands of a case; return whether it is accepted, None if that is wrong.

        Accepted is what every deciding command accepts, refused what one of them refuses.
        """
        name = f"{case.role}: {case.name}"
        reading, others = getattr(self, f"_{case.role}", self._laid_out)(case, place)
        outcomes: list[Ran] = []
        for command in (*reading, *others):
            tally.attempt(name, lambda words=command: outcomes.append(run(*words)))  # type: ignore[misc]
        self.plain.forgive()
        self.guarded.forgive()
        for outcome in outcomes:
            tally.misses += [f"{name}: {fault}" for fault in outcome.faults()]
        refusals = [each.err for each in outcomes[: len(reading)] if each.code]
        if not case.said and refusals:
            tally.misses.append(f"{name}: refused: {refusals[0][:300]!r}")
        elif case.said and not refusals:
            tally.misses.append(f"{name}: accepted, not {case.said!r}")
        elif case.said and not any(re.search(case.said, text) for text in refusals):
            tally.misses.append(f"{name}: {refusals[0][:300]!r}, not {case.said!r}")
        else:
            return not refusals
        return None

    def _laid_out(self, case: Case, place: Path) -> Commands:
        write_layout(place, case)
        ref, platform = f"oci:{place}:t", ("--platform", "linux/amd64")
        reading: list[tuple[str, ...]] = [("inspect", ref), ("inspect", ref, "--json")]
        others: list[tuple[str, ...]] = [
            ("copy", ref, f"docker-archive:{place}-copy.tar", "-q", *platform)
        ]
        copy = ("copy", ref, f"oci:{place}-copy:t", "-q")
        # Who inspects an image does not read its layers.
        (reading if case.name.startswith("layers.0.size") else others).append(copy)
        if case.role in ("manifest", "config") and case.said:
            reading.append(("digest", ref, *platform))
        else:
            others.append(("digest", ref, *platform))
        if case.role == "config":
            inputs = ("--base", ref, "--builder", self.builder, *platform)
            others.append(
                ("assemble", "3.13-debian13", *inputs, "-q", "--output", f"oci:{place}-out")
            )
        return reading, others

    def _archive(self, case: Case, place: Path) -> Commands:
        members = [file(f"{n}.tar", tar) for n, tar in enumerate(made.TARS)]
        members += [file("c.json", made.RAW_CONFIG), file("manifest.json", case.raw)]
        (place / "a.tar").write_bytes(archive(*members))
        ref = f"docker-archive:{place}/a.tar"
        return [("inspect", ref), ("copy", ref, f"oci:{place}-copy:t", "-q")], [("tags", ref)]

    def _token(self, case: Case, _place: Path) -> Commands:
        self.guarded.always("GET", "/token", Reply(200, JSON, case.raw))
        return [("inspect", f"{self.guarded.host}/x:t")], []

    def _tags(self, case: Case, _place: Path) -> Commands:
        self.plain.always("GET", "/tags/list", Reply(200, JSON, case.raw))
        return [("tags", f"{self.plain.host}/x")], [("tags", f"{self.plain.host}/x", "--json")]

    def _referrers(self, case: Case, place: Path) -> Commands:
        self.plain.always("GET", "/referrers/", Reply(200, {"Content-Type": OCI_INDEX}, case.raw))
        target = f"oci:{place}-copy:t"
        return [("copy", f"{self.plain.host}/x:t", target, "--referrers", "-q")], []

    def _error(self, case: Case, _place: Path) -> Commands:
        self.plain.always("GET", "/manifests/", Reply(400, JSON, case.raw))
        return [("inspect", f"{self.plain.host}/x:t")], []

    def _auth(self, case: Case, _place: Path) -> Commands:
        folder = Path(os.environ["DOCKER_CONFIG"])
        folder.mkdir(exist_ok=True)
        config = case.raw.replace(b'"@"', json.dumps(self.guarded.host).encode())
        (folder / "config.json").write_bytes(config)
        return [("inspect", f"{self.guarded.host}/x:t")], []


def write_layout(place: Path, case: Case) -> None:
    """Write a layout in which a document stands where its role says, and all is consistent."""
    blobs = [made.RAW_CONFIG, *made.LAYERS, made.RAW_MANIFEST, *made.NESTED, case.raw]
    names, raw, kind = made.NAMES, case.raw, case.role
    if kind == "config":
        raw = json.dumps({**made.MANIFEST, "config": described(raw, OCI_CONFIG)}).encode()
        blobs.append(raw)
    if kind in ("config", "manifest"):
        child = described(raw, case.media_type or OCI_MANIFEST, platform=made.PLATFORM)
        raw = json.dumps({**made.INDEX, "manifests": [child]}).encode()
        blobs.append(raw)
    if kind != "names":
        media_type = OCI_INDEX if kind != "index" else case.media_type or OCI_INDEX
        names = {**names, "manifests": [described(raw, media_type, annotations=made.REF)]}
    (place / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (place / "index.json").write_bytes(case.raw if kind == "names" else json.dumps(names).encode())
    folder = place / "blobs" / "sha256"
    folder.mkdir(parents=True)
    for blob in blobs:
        (folder / Digest.of(blob).encoded).write_bytes(blob)


def _peers(accepted: list[tuple[Case, Path]], tally: Tally) -> int:
    """Return how many of the layouts that we accepted skopeo copies and inspects too."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda pair: _peer(*pair), accepted))
    for (case, _), answer in zip(accepted, answers, strict=True):
        if answer:
            tally.misses.append(f"{case.role}: {case.name}: skopeo: {answer[:300]!r}")
    return answers.count("")


def _peer(case: Case, place: Path) -> str:
    """Return why skopeo refuses a layout, nothing if it does not."""
    source = f"oci:{place}:t"
    command = ["skopeo", "--override-os", "linux", "--override-arch", "amd64", "inspect", source]
    if case.role != "config":
        command = ["skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests", source]
        command.append(f"dir:{place}-peer")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    shutil.rmtree(f"{place}-peer", ignore_errors=True)
    return done.stderr.strip() or "no word" if done.returncode else ""
