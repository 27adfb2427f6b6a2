"""Inputs and beginnings of the cells, and every call that each job makes.

Each cell begins with fresh copies: outputs of an earlier run, with an older image under the
same tag and one under another; a cache that is empty, full, or full and damaged.
"""

import contextlib
import gc
import gzip
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.build.world import write_world
from tests.reliability.disk_cells import Cell
from tests.reliability.disk_jobs import ASSEMBLE, JOBS, Job
from tests.reliability.entered import entered
from tests.reliability.syscalls import Call, Verdict

from layersmith.stores.layout import Layout

__all__ = ["Point", "Site", "stratified"]


@dataclass(frozen=True)
class Point:
    """The `count`th call of its kind that a job makes; which thread makes it may vary."""

    job: Job
    kind: str
    count: int
    call: Call

    def __str__(self) -> str:
        return f"{self.job.name}: {self.kind} #{self.count}"

    def when_reached(self, cell: Cell, verdict: Callable[[], Verdict]) -> Callable[[Call], Verdict]:
        """Ask `verdict` when the cell comes here; let everything else through."""
        seen = 0

        def decide(call: Call) -> Verdict:
            nonlocal seen
            seen += cell.kind(call) == self.kind
            return verdict() if seen == self.count and cell.kind(call) == self.kind else None

        return decide


def stratified(points: list[Point], count: int, rng: random.Random) -> list[Point]:
    """Choose `count` points, or more: at least one of each kind of call."""
    order = rng.sample(points, len(points))
    chosen = list({point.kind: point for point in order}.values())
    rest = [point for point in order if point not in chosen]
    return chosen + rest[: max(0, count - len(chosen))]


@dataclass
class Site:
    """Inputs, and what cells begin with; `root` is all that is watched."""

    root: Path
    text: bytes = b"text" * 500
    expected: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    points: list["Point"] = field(default_factory=list)
    kept: str = ""
    replaced: str = ""

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    def prepare(self) -> None:
        """Make the inputs and the beginnings, by the commands themselves."""
        for state in ("start", "full"):
            (self.root / state).mkdir(parents=True)
        older = self.root / "older"
        write_world(self.inputs, self.text)
        write_world(older, b"older")
        start, full = self.root / "start", self.root / "full"
        self._assemble(older, start, f"oci:{start}/out:t", "--env", "A=1")
        self._assemble(older, start, f"oci:{start}/out:keep")
        self._assemble(older, start, f"oci-archive:{start}/out.tar:t")
        shutil.copy(start / "out.tar", start / "docker.tar")
        shutil.rmtree(start / "cache")
        shutil.rmtree(older)
        self._assemble(self.inputs, full, f"oci:{self.inputs}/image:t")
        archive = self.inputs / "image.tar"
        self._run(f"copy oci:{self.inputs}/image:t oci-archive:{archive}:t --quiet".split())
        (self.inputs / "image.tar.gz").write_bytes(gzip.compress(archive.read_bytes(), mtime=0))
        layout = Layout(start / "out")
        self.kept, self.replaced = layout.resolve("keep").digest, layout.resolve("t").digest

        gc.freeze()  # what is loaded now need not be copied for each cell

    def learn(self, jobs: Iterable[Job] = JOBS) -> None:
        """Let each job run with nothing in its way: what it gives, its calls, its time."""
        for job in jobs:
            cell = self.cell(job)
            done = cell.run()
            if done.status not in job.good_ends:
                raise AssertionError(f"{job.name}: {done.err}")
            self.expected[job.name] = cell.made() if job.makes_image else ""
            self.seconds[job.name] = done.ended.seconds
            counts: Counter[str] = Counter()
            for call in done.ended.calls:
                counts[cell.kind(call)] += 1
                self.points.append(Point(job, cell.kind(call), counts[cell.kind(call)], call))
            cell.remove()

    def cell(self, job: Job, disk: Path | None = None) -> Cell:
        """Return a fresh beginning for `job`, below the root or on another disk there."""
        folder = Path(tempfile.mkdtemp(prefix="cell-", dir=disk or self.root))
        shutil.copytree(self.root / "start", folder, dirs_exist_ok=True)
        (folder / "tmp").mkdir()
        if job.cache != "empty":
            shutil.copytree(self.root / "full" / "cache", folder / "cache")
        if job.cache == "damaged":
            _damage(folder / "cache" / "v1")
        return Cell(self, job, folder)

    def _assemble(self, inputs: Path, cell: Path, place: str, *more: str) -> None:
        words = (ASSEMBLE + place).format(inputs=inputs, cell=cell).split()
        self._run([*words, *more])

    def _run(self, words: list[str]) -> None:
        # In this process: what is loaded on the way is there for every cell.
        code, err = _main(words)
        if code:
            raise AssertionError(err)


def _damage(root: Path) -> None:
    """Let a blob, a tar, an index and a memo rot, and things be left behind."""
    rotten = [
        min((root / "blobs/sha256").iterdir()), min(root.glob("layers/*/tar")),
        sorted(root.glob("layers/*/index"))[1], min((root / "memo").iterdir()),
    ]  # fmt: skip
    for path in rotten:
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    (root / "blobs/sha256/.new-abcdefgh").write_bytes(b"half")
    (root / "turns").mkdir(exist_ok=True)
    (root / "turns" / "blob-of-the-dead").write_bytes(b"")
    sorted(root.glob("layers/*/index"))[2].unlink()


def _main(words: list[str]) -> tuple[int, str]:
    text = tempfile.TemporaryFile("w+")  # noqa: SIM115
    with text, contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = entered(*words)
        text.seek(0)
        return code, text.read()
