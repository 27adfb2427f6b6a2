"""The program as a user runs it, with nothing of this machine's settings around it.

:func:`run` starts a new interpreter; its seconds are what a user waits. :class:`Forked` starts
the same command in a copy of a process that has everything imported already: the way for rows
that need hundreds of runs. Both see only the environment of their :class:`Home`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Done", "Forked", "Home", "run"]

COMMAND: Final = (sys.executable, "-m", "layersmith")
_PATIENCE: Final = 300.0
_PRELOADED: Final = (
    "layersmith.cli.app", "layersmith.assemble.pipeline", "layersmith.assemble.copying",
    "layersmith.stores.registry_repository", "layersmith.stores.registry_mirrors",
    "layersmith.stores.registries_conf", "layersmith.stores.login", "layersmith.cli.progress",
    "layersmith.stores.registry_tags", "layersmith.cli.tree", "rich.console", "subprocess",
    "tests.reliability.warmed",
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What one run gave."""

    code: int
    out: str
    err: str
    seconds: float
    queued: float = 0.0  # of these, how long it waited for a processor

    @property
    def own(self) -> float:
        """Seconds on a machine that had nothing else to do."""
        return self.seconds - self.queued

    @property
    def complaint(self) -> str:
        """The line that says what went wrong; empty unless there is just one."""
        lines = [one for one in self.err.splitlines() if one.startswith("layersmith: error: ")]
        return lines[0] if len(lines) == 1 and "Traceback" not in self.err else ""

    @property
    def hint(self) -> str:
        """What it says to try."""
        mark = "  hint: "
        found = [one for one in self.err.splitlines() if one.startswith(mark)]
        return found[0].removeprefix(mark) if found else ""


@dataclass
class Home:
    """A user's own directory, and an environment that has only that."""

    path: Path
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("home", "cwd", "cache", "bin", "out"):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        home = self.path / "home"
        return {
            "HOME": str(home),
            "PATH": f"{self.path / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "LAYERSMITH_CACHE": str(self.path / "cache"),
            "CONTAINERS_REGISTRIES_CONF": str(home / "registries.conf"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.more,
        }


def run(
    home: Home,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    command: Sequence[str] = COMMAND,
    stdin: str = "",
    patience: float = _PATIENCE,
) -> Done:
    """Run the program in a new interpreter."""
    with contextlib.ExitStack() as opened:
        out, err = (opened.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2))
        given = opened.enter_context(tempfile.TemporaryFile("w+"))
        given.write(stdin)
        given.seek(0)
        began = time.monotonic()
        process = subprocess.Popen(
            [*prefix, *command, *arguments], stdin=given, stdout=out, stderr=err,
            cwd=home.path / "cwd", env={**home.environment, **(env or {})},
        )  # fmt: skip
        timer = threading.Timer(patience, process.kill)
        timer.start()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        seconds, queued = time.monotonic() - began, _queued(process.pid)
        timer.cancel()
        code = process.wait()
        for file in (out, err):
            file.seek(0)
        return Done(code, out.read(), err.read(), seconds, queued)


def _queued(pid: int) -> float:
    """Return for how long the process was ready and had no processor (its main thread)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Forked:
    """Runs the program in forks of a process that has imported it."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, *_PRELOADED])

    def run(
        self,
        home: Home,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        patience: float = 60.0,
        logged: bool = False,
    ) -> Done:
        """Run the program; `logged`: as part of one that logs everything."""
        place = home.path / f"run-{time.monotonic_ns()}"
        place.mkdir()
        (place / "in").write_text(stdin)
        environment = {**home.environment, **(env or {})}
        began = time.monotonic()
        process = self._context.Process(
            target=_main, args=(list(arguments), environment, str(home.path / "cwd"), str(place), logged)
        )  # fmt: skip
        process.start()
        process.join(patience)
        if process.is_alive():
            process.kill()
            process.join()
        seconds = time.monotonic() - began
        out, err = ((place / name).read_text(errors="replace") for name in ("out", "err"))
        code = _code(place / "code", process.exitcode)
        for each in place.iterdir():
            each.unlink()
        place.rmdir()
        return Done(code, out, err, seconds)


def _code(file: Path, exitcode: int | None) -> int:
    """Return the exit status: what the process has written, else what became of it.

    Not its exit code alone: starting one process looks after all others, so that two
    threads may ask for one status, and the second finds none (and makes it 255).
    """
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return exitcode or -1  # an end without a word is none that the program has


def _main(
    arguments: list[str], environment: dict[str, str], cwd: str, place: str, logged: bool
) -> None:
    """Be the program (in a process of its own)."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for descriptor, (name, flags) in enumerate(
        (("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT), ("err", os.O_WRONLY | os.O_CREAT))
    ):
        opened = os.open(os.path.join(place, name), flags, 0o600)  # noqa: PTH118
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), line_buffering=True) for fd in (1, 2)
    )
    if logged:
        logging.basicConfig(level=logging.DEBUG)
    if bug := environment.get("PLANTED_BUG"):
        _plant(bug)
    from tests.reliability.entered import entered

    code = 1
    try:
        code = entered(*arguments)
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        Path(place, "code").write_text(str(code))
    sys.exit(code)


def _plant(bug: str) -> None:
    """Let a method, ``module:Class.method``, raise what is no error of ours."""
    module, _, path = bug.partition(":")
    owner, _, name = path.rpartition(".")

    def broken(*given: object, **named: object) -> None:
        raise ZeroDivisionError("planted")

    setattr(getattr(importlib.import_module(module), owner), name, broken)
