"""A row of a table: the timed runs of one contender, and what was seen of another."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import inputs
from bench.measure import Measured, watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fixtures.registry import Registry

    from bench.proxy import Relay

__all__ = ["Row", "observe", "print_heading"]

_FIELD = re.compile(r"http\.(?P<name>request\.uri|request\.method|response\.status)=\"?([^\s\"]+)")


@dataclass
class Row:
    """Everything about one contender."""

    name: str
    runs: list[Measured] = field(default_factory=list)
    memory: int = 0
    moved: int = 0
    requests: int = 0
    manifests: int = 0
    blobs: int = 0

    @property
    def best(self) -> Measured:
        """The fastest run: what the machine's other work disturbed least."""
        return min(self.runs, key=lambda run: run.wall)


def observe(
    row: Row, command: Sequence[str], running: Registry, counted: Relay, work: Path,
    env: Mapping[str, str],
) -> None:  # fmt: skip
    """Run a command that speaks to the registry through the relay, and note what it moves."""
    counted.reset()
    before = len(running.log)
    row.memory = watch(command, work, env)
    answers = [line for line in running.log[before:].splitlines() if "response completed" in line]
    asked = [dict(_FIELD.findall(line)) for line in answers]
    uris = [each["request.uri"] for each in asked if "request.uri" in each]
    row.requests = len(uris)
    row.manifests = sum("/manifests/" in uri for uri in uris)
    row.blobs = sum(map(_moves_a_blob, asked))
    row.moved = counted.moved


def _moves_a_blob(asked: Mapping[str, str]) -> bool:
    """Tell whether a request was the one that brought a blob, or the last of an upload."""
    uri, status = asked.get("request.uri", ""), asked.get("response.status")
    if asked.get("request.method") == "GET":
        return "/blobs/sha256:" in uri and status in ("200", "206")
    return "/blobs/uploads/" in uri and status == "201" and "mount=" not in uri


def print_heading(what: str, rounds: int, before: float) -> None:
    """Say what was measured, where and when, and how busy the machine was."""
    today = dt.datetime.now(dt.UTC).date()
    print(f"\n{what} from {inputs.named()}, {today}: best of up to {rounds} rounds,")
    print(f"{_processor()}, {os.cpu_count()} processors, Python {sys.version.split()[0]},")
    print(f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after\n")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return os.uname().machine
