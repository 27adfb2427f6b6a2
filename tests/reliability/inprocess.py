"""The program run in this process as a user would run it, and what it owes its user."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from unittest.mock import patch

from tests.reliability.entered import entered
from typer.main import get_command

from layersmith.cli import app as program

_COMMAND = get_command(program.app)  # made once; typer would make it anew for each run
CODES = frozenset({0, 2, 3, 4, 5, 6, 7, 8, 9, 11})
_ERROR = re.compile(r"layersmith: error: [^\n]+\n(?:  hint: [^\n]+\n)?")


@dataclass(frozen=True)
class Ran:
    """The exit code, and both outputs as text."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def faults(self) -> Iterator[str]:
        """Yield what a user should never see."""
        name = " ".join(self.command[:2])
        if self.code not in CODES:
            yield f"{name}: exit code {self.code}: {self.err[:200]!r}"
        elif self.code and not _ERROR.fullmatch(self.err):
            yield f"{name}: not one line: {self.err[:200]!r}"
        elif self.code and self.out:
            yield f"{name}: output beside an error: {self.out[:80]!r}"
        if "Traceback" in self.err:
            yield f"{name}: a traceback"
        for text in (self.out, self.err):
            if odd := {c for c in text if not c.isprintable() and c != "\n"}:
                yield f"{name}: {sorted(odd)} on the terminal"
        if not self.code and "--json" in self.command:
            json.loads(self.out)


def run(*arguments: str) -> Ran:
    """Run one command."""
    out, err = _captured(), _captured()
    with (
        patch.multiple(sys, stdout=out, stderr=err),
        patch.object(program, "app", _COMMAND),
    ):
        code = entered(*arguments)
    return Ran(arguments, code, _text(out), _text(err))


def _captured() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode("utf-8")
