"""What strace saw of a run, call by call."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Call", "calls", "mapped", "ours", "started", "strace"]

_LINE: Final = re.compile(r"(?:\d+\s+)?(?P<name>\w+)\((?P<rest>.*)")
_MAPPED: Final = re.compile(r"PROT_EXEC.*?\d+<(?P<path>[^>]+)>")
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Call:
    """One system call that began; what it gave is in `text`, if it ended on that line."""

    name: str
    text: str

    @property
    def failed(self) -> bool:
        return " = -1 " in self.text

    @property
    def path(self) -> str:
        """The first string among the arguments."""
        found = _STRING.search(self.text)
        return found[1] if found else ""


def strace(trace: Path, *names: str) -> tuple[str, ...]:
    """Return what to put before a command so that these calls are written to `trace`."""
    return (
        "strace", "--follow-forks", "--seccomp-bpf", "--quiet=all", "--string-limit=4096", "--decode-fds=path",
        f"--trace={','.join(names)}", f"--output={trace}",
    )  # fmt: skip


def calls(trace: Path) -> Iterator[Call]:
    """Yield the calls of a trace."""
    for line in trace.read_text(errors="replace").splitlines():
        if match := _LINE.match(line):
            yield Call(match["name"], match["rest"])


def started(trace: Path) -> list[Call]:
    """Return every start of a program but the first, ours: also those that failed."""
    return [call for call in calls(trace) if call.name in ("execve", "execveat")][1:]


def mapped(trace: Path, allowed: tuple[str, ...]) -> list[str]:
    """Return what was mapped to be run and does not belong to our interpreter."""
    found = (_MAPPED.search(call.text) for call in calls(trace) if call.name == "mmap")
    paths = [match["path"] for match in found if match]
    return [path for path in paths if not path.startswith(allowed)]


def ours() -> tuple[str, ...]:
    """Return where our interpreter and its libraries are."""
    installed = {sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)}
    installed |= {os.path.realpath(sys.prefix), str(Path(__file__).parents[2] / "src")}
    return (*(f"{path}/" for path in installed), "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/",
            "/usr/local/lib/")  # fmt: skip
