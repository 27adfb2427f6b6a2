"""One try of one job on a disk of its own, and what must be true after it."""

import atexit
import contextlib
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.reliability.disk_jobs import WARM, Job
from tests.reliability.entered import entered
from tests.reliability.syscalls import Call, Ended, Verdict, watched

from layersmith.errors import LayersmithError
from layersmith.oci.graph import walk
from layersmith.stores.archive import OciArchive
from layersmith.stores.cache import Cache
from layersmith.stores.docker_archive import DockerArchive
from layersmith.stores.layout import Layout
from layersmith.stores.upkeep import prune, verify

if TYPE_CHECKING:
    from tests.reliability.disk_site import Site

__all__ = ["Cell", "Outcome", "broken_rules"]

PATIENCE: Final = 60.0


@dataclass
class Outcome:
    """What a command said and how it ended."""

    ended: Ended
    out: str
    err: str

    @property
    def status(self) -> int:
        return self.ended.status

    @property
    def digest(self) -> str:
        with contextlib.suppress(ValueError):
            return str(json.loads(self.out)["digest"])
        return ""


@dataclass
class Cell:
    """One try of one job."""

    site: "Site"
    job: Job
    folder: Path

    def kind(self, call: Call) -> str:
        return call.kind.replace(self.folder.name, "CELL")

    def words(self) -> list[str]:
        return self.job.words.format(cell=self.folder, inputs=self.site.inputs).split()

    def run(self, decide: Any = None, *, death: float = float("inf")) -> Outcome:
        """Run the job; `decide` on each of its calls."""
        out, err = (Path(f"{self.site.root}.{name}") for name in ("out", "err"))

        def child() -> int:
            os.environ.update(HOME=str(self.folder), TMPDIR=str(self.folder / "tmp"))
            # Known already, or tempfile would try the directory out, with a file of a moment.
            tempfile.tempdir = str(self.folder / "tmp")
            for path, number in ((out, 1), (err, 2)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            return _as_program(self.words())

        def let(_call: Call) -> Verdict:
            return None

        ended = watched(child, self.site.root, decide or let, patience=PATIENCE, death=death)
        return Outcome(ended, out.read_text(), err.read_text())

    def made(self) -> str:
        """What stands at the output: a digest that all is there for, or an archive's bytes."""
        kind, _, name = self.job.output.partition(":")
        if kind == "oci":
            return _whole(Layout(self.folder / "out"), name.partition(":")[2])
        path = self.folder / name
        archive = OciArchive(path) if kind == "tar" else DockerArchive(path)
        _whole(archive, "t")
        return path.read_bytes().hex()

    def faults_of_output(self, *, may_be_new: bool) -> Iterator[str]:
        """Say what is wrong with the output after a run that did not end well."""
        if not self.job.makes_image:
            return
        try:
            kind, _, name = self.job.output.partition(":")
            if kind == "oci":
                if _whole(Layout(self.folder / "out"), "keep") != self.site.kept:
                    yield "another tag was moved"
                old = self.site.replaced
            else:
                old = (self.site.root / "start" / name).read_bytes().hex()
            if kind != "oci" and (self.folder / name).read_bytes().hex() == old:
                return
            now = self.made()
        except (LayersmithError, OSError, AssertionError) as error:
            yield f"the old output is damaged: {error}"
            return
        allowed = {old, self.site.expected[self.job.name]} if may_be_new else {old}
        if now not in allowed:
            yield "the tag was moved"

    def faults_of_cache(self) -> Iterator[str]:
        """Say what is damaged in the cache."""
        for item, fault in verify(Cache(self.folder / "cache")):
            if fault and item.kind != "leftover" and self.job.cache != "damaged":
                yield f"the cache has a damaged {item.kind}: {fault}"

    def faults_of_rerun(self) -> Iterator[str]:
        """Say what is wrong after the job is run again, with nothing in its way."""
        again = self.run()
        if again.status not in self.job.good_ends:
            yield f"the rerun ended with {again.status}: {again.err.strip()}"
            return
        try:
            if self.job.makes_image and self.made() != self.site.expected[self.job.name]:
                yield "the rerun made something else"
            if not self.job.makes_image:
                yield from self._faults_of_use()
        except (LayersmithError, OSError, AssertionError) as error:
            yield f"the rerun's output is damaged: {error}"
        prune(Cache(self.folder / "cache"), 1 << 50)
        yield from (f"left behind: {path}" for path in self.leftovers())

    def leftovers(self) -> list[str]:
        """Name what is there that nobody wants."""
        found = [
            path for path in self.folder.rglob("*")
            if ".new-" in str(path) or path.parent.name in ("tmp", "turns")
        ]  # fmt: skip
        halves = [p for p in self.folder.glob("cache/v1/layers/*") if len(list(p.iterdir())) != 2]
        return sorted(str(path.relative_to(self.folder)) for path in {*found, *halves})

    def _faults_of_use(self) -> Iterator[str]:
        """Say what is wrong with an assemble that uses this cache."""
        using = Cell(self.site, WARM, self.folder)
        done = using.run()
        if done.status:
            yield f"the cache cannot be used: {done.err.strip()}"
        elif using.made() != self.site.expected[WARM.name]:
            yield "the cache gives another image"

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def broken_rules(
    cell: Cell, done: Outcome, *, may_leave: bool = False, rotten: bool = False
) -> Iterator[str]:
    """Say how a run on a disk that failed broke rule P, and how the next one does.

    In a cache that was `rotten` before, what the run had no need of may still be.
    """
    if done.status in cell.job.good_ends:
        if cell.job.makes_image and cell.made() != cell.site.expected[cell.job.name]:
            yield "it ended well with something else"
    else:
        yield from _calm(done)
        yield from cell.faults_of_output(may_be_new=False)
        if not may_leave and cell.job.cache != "damaged":
            yield from (f"left behind: {path}" for path in cell.leftovers() if _is_new(path))
    damaged = list(cell.faults_of_cache())  # and they are removed
    yield from () if rotten else damaged
    yield from cell.faults_of_rerun()
    yield from cell.faults_of_cache()


def _is_new(path: str) -> bool:
    return ".new-" in path or path.startswith("tmp/")


def _calm(outcome: Outcome) -> Iterator[str]:
    """Say what is wrong with how a failure was told: one line that says what to whom."""
    lines = outcome.err.splitlines()
    complaints = [line for line in lines if line.startswith("layersmith: error: ")]
    others = [
        line for line in lines
        if not line.startswith(("layersmith: error: ", "layersmith: warning: ", "  hint: "))
    ]  # fmt: skip
    if outcome.ended.stuck:
        yield "stuck"
    elif not 2 <= outcome.status <= 9:
        yield f"exit code {outcome.status}: {' '.join(lines)[-300:]}"
    if len(complaints) != 1 or others or "the system says" in outcome.err:
        yield f"not one clear line: {' / '.join(lines)[-300:]}"


def _whole(place: Any, tag: str) -> str:
    """Return the digest of a tag below which all is there and intact."""
    top = place.resolve(tag)
    for node in walk(place, top).nodes():
        for blob in node.blobs:
            with place.open(blob) as stream:
                while stream.read(1 << 20):
                    pass
    return str(top.digest)


def _as_program(words: list[str]) -> int:
    """Be the program, from its entry to what runs at its end, in a forked process."""
    try:
        code = entered(*words)
    except BaseException:  # noqa: BLE001 - a traceback is what the row looks for
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code
