"""What strace saw of a run, call by call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Call", "calls", "strace"]

_LINE: Final = re.compile(r"(?:\d+\s+)?(?P<name>\w+)\((?P<rest>.*)")
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
