"""A bench to try bombs on: places to put them, and the program run as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.build.stack import Blob, write_layout
from tests.build.world import base_layers, builder_layers

from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.fakes.registry import FakeRegistry

__all__ = ["Bench", "Outcome", "descriptor", "explode"]

_ADDRESS_SPACE: Final = 6 << 30  # a bomb that works must not take this machine with it
_PATIENCE: Final = 300
_SUFFIX: Final = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}


def descriptor(media_type: str, digest: str, size: int, **more: object) -> dict[str, Any]:
    """Return a descriptor as JSON."""
    return {"mediaType": media_type, "digest": digest, "size": size, **more}


class Bench:
    """A directory for one bomb, a registry to serve from, and how large bombs are to be."""

    def __init__(self, folder: Path, registry: FakeRegistry, *, full: bool) -> None:
        folder.mkdir()
        self.folder = folder
        self.registry = registry
        self.full = full

    @property
    def output(self) -> Path:
        """Where a run would deliver, if it came so far."""
        return self.folder / "output"

    def assemble(self, layer: Iterable[bytes], compression: str = "gzip") -> list[str]:
        """Return an assemble whose base has one layer more: these pieces of a blob."""
        place = self.folder / "base"
        blobs = [Blob.of(tar, "gzip") for tar in base_layers()]
        write_layout(place, {"t": blobs})
        media_type = f"{OCI_LAYER}{_SUFFIX[compression]}"
        bomb = descriptor(media_type, *self.blob(place, layer))
        layers = [*(self._described(each) for each in blobs), bomb]
        diff_ids = [each.layer.diff_id for each in blobs] + [f"sha256:{'0' * 64}"]
        return self.assemble_on(self.image(place, layers, diff_ids))

    def assemble_on(self, base: str, builder: str = "") -> list[str]:
        """Return an assemble of a base, and of a plain builder if there is no other."""
        return [
            "assemble", "3.13-debian13", "--base", base, "--builder", builder or self.builder(),
            "--platform", "linux/amd64", "--output", f"oci:{self.output}", "-q",
        ]  # fmt: skip

    def builder(self, *more: bytes) -> str:
        """Write a builder, with layers of these tars on top; return its place."""
        write_layout(
            self.folder / "builder",
            {"t": [Blob.of(tar, "gzip") for tar in (*builder_layers(), *more)]},
            env=["PYTHON_VERSION=3.13.5"],
        )
        return f"oci:{self.folder}/builder:t"

    def base(self, *more: bytes) -> str:
        """Write a base, with layers of these tars on top; return its place."""
        tars = (*base_layers(), *more)
        write_layout(self.folder / "base", {"t": [Blob.of(tar, "gzip") for tar in tars]})
        return f"oci:{self.folder}/base:t"

    def image(self, place: Path, layers: Sequence[object], diff_ids: Sequence[str]) -> str:
        """Write config, manifest and index of a layout; return the place."""
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.document(place, config, OCI_CONFIG),
            "layers": list(layers),
        }
        return self.top(place, self.document(place, manifest, OCI_MANIFEST))

    def top(self, place: Path, described: dict[str, Any]) -> str:
        """Let a layout's index name one document; return the place."""
        place.mkdir(exist_ok=True)
        named = {**described, "annotations": {"org.opencontainers.image.ref.name": "t"}}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]}
        (place / "index.json").write_text(json.dumps(index))
        (place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        return f"oci:{place}:t"

    def document(self, place: Path, value: object, media_type: str) -> dict[str, Any]:
        """Write a JSON document (or raw bytes for one), and describe it."""
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return descriptor(media_type, *self.blob(place, [raw]))

    def blob(self, place: Path, pieces: Iterable[bytes]) -> tuple[str, int]:
        """Write a blob of a layout piece by piece; return its digest and size."""
        folder = place / "blobs/sha256"
        folder.mkdir(parents=True, exist_ok=True)
        hasher, size, waiting = hashlib.sha256(), 0, folder / "waiting"
        with waiting.open("wb") as file:
            for piece in pieces:
                hasher.update(piece)
                size += file.write(piece)
        waiting.rename(folder / hasher.hexdigest())
        return f"sha256:{hasher.hexdigest()}", size

    def _described(self, blob: Blob) -> dict[str, Any]:
        found = blob.layer.descriptor
        return descriptor(found.media_type, found.digest, found.size)


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what it took."""

    code: int
    said: str
    wall: float
    work: float  # seconds of processor
    memory: int  # bytes, at most at once
    left: tuple[str, ...]

    def faults(self, says: str, codes: frozenset[int]) -> list[str]:
        """Return every way in which it breaks the rule P."""
        found = []
        lines = self.said.splitlines()
        if self.code not in codes:
            found.append(f"exit code {self.code}")
        if "Traceback" in self.said or not all(line.isprintable() for line in lines):
            found.append("a traceback, or control characters")
        if self.code and (len(lines) > 2 or not lines[:1] or "layersmith: error: " not in lines[0]):
            found.append(f"{len(lines)} lines on stderr")
        if self.code and re.search(says, self.said) is None:
            found.append("another reason")
        if self.left:
            found.append(f"left behind: {', '.join(self.left[:3])}")
        return [f"{fault}: {self.said.strip()[-300:]!r}" for fault in found]


def explode(bench: Bench, arguments: Sequence[str]) -> Outcome:
    """Run the program in a process of its own and watch what it takes."""
    cache = bench.folder / "cache"
    environment = {
        **os.environ,
        "LAYERSMITH_CACHE": str(cache),
        "HOME": str(bench.folder),
        "TMPDIR": str(bench.folder),
        "NO_PROXY": "*",
    }
    spoken = bench.folder / "stderr"
    program = [sys.executable, "-m", "layersmith", *arguments]
    started = time.monotonic()
    with spoken.open("wb") as stderr:
        run = subprocess.Popen(
            [sys.executable, "-SEc", _WATCHER, str(_ADDRESS_SPACE), *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
        patience = threading.Timer(_PATIENCE, os.killpg, (run.pid, signal.SIGKILL))
        patience.start()
        told, _ = run.communicate()
        patience.cancel()
    code, work, memory = json.loads(told) if told else (-signal.SIGKILL, 0.0, 0)
    left = [str(path) for path in cache.rglob(".new-*")]
    left += [str(bench.output)] if code and bench.output.exists() else []
    return Outcome(
        code=code,
        said=spoken.read_text(errors="replace"),
        wall=time.monotonic() - started,
        work=work,
        memory=memory,
        left=tuple(left),
    )


# A process inherits the peak of the one that started it: so a small one does, and watches.
_WATCHER: Final = """
import json, os, resource, subprocess, sys
most = int(sys.argv[1])
run = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL)
resource.prlimit(run.pid, resource.RLIMIT_AS, (most, most))
_, status, usage = os.wait4(run.pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps([code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]))
"""


def cleared(bench: Bench) -> None:
    """Remove what the bomb and the run left."""
    shutil.rmtree(bench.folder, ignore_errors=True)
