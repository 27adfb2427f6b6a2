"""One run of a command: wall time, CPU time, peak memory, bytes that the registry sent."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WRITTEN = re.compile(r"http\.response\.written=(\d+)")


@dataclass(frozen=True)
class Measured:
    """Seconds of wall and CPU time, peak resident kilobytes, bytes from the registry."""

    wall: float
    cpu: float
    rss: int
    moved: int = 0

    def with_moved(self, log: str) -> Measured:
        """Add up what a part of the registry's log says was sent."""
        return replace(self, moved=sum(int(size) for size in _WRITTEN.findall(log)))

    def as_json(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


def measure(command: Sequence[str], cwd: Path) -> Measured:
    """Run `command` to its end; a failure ends the benchmark."""
    start = time.monotonic()
    with (cwd / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed:\n{(cwd / 'output').read_text()}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def best(runs: Sequence[Measured]) -> Measured:
    """Return the fastest run: what the machine's other work disturbed least."""
    return min(runs, key=lambda run: run.wall)
