"""One run of a command: wall time, CPU time, and the memory of all its processes together."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Measured", "measure", "watch"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SESSION, _RSS = 5, 23  # fields of /proc/PID/stat, from 0, proc(5)


@dataclass(frozen=True)
class Measured:
    """Seconds of wall and of CPU time, of the command and all it started."""

    wall: float
    cpu: float


def measure(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Measured:
    """Run `command` to its end; a failure ends the benchmark."""
    start = time.monotonic()
    process = _start(command, cwd, env)
    return _ended(process, command, cwd, start)


def watch(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> int:
    """Run `command` and return the most bytes that its processes had resident together.

    Looking takes time, so such a run is no run to time.
    """
    start = time.monotonic()
    process = _start(command, cwd, env)
    done = threading.Event()
    most = 0

    def look() -> None:
        nonlocal most
        while not done.wait(0.01):
            most = max(most, _resident(process.pid))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        _ended(process, command, cwd, start)
    finally:
        done.set()
        watcher.join()
    return most


def _start(
    command: Sequence[str], cwd: Path, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **(env or {})}
    # As a user has it: Python keeps what it compiled of us, and of what we import.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with (cwd / "output").open("wb") as output:
        return subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=environment, start_new_session=True,
        )  # fmt: skip


def _ended(
    process: subprocess.Popen[bytes], command: Sequence[str], cwd: Path, start: float
) -> Measured:
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (cwd / "output").read_text(errors="replace")
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{said}")
    return Measured(wall, usage.ru_utime + usage.ru_stime)


def _resident(session: int) -> int:
    """Add up what the processes of a session have resident; shared pages count for each."""
    pages = 0
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit():
                # The name may hold blanks and parentheses: fields are counted from its end.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[_SESSION - 2]) == session:
                    pages += int(fields[_RSS - 2])
    return pages * _PAGE
