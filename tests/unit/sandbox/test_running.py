"""Sandboxes are bounded: in time, in what they say; and they end before we go on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from layersmith.sandbox import running
from layersmith.sandbox.running import MAX_OUTPUT, run
from layersmith.sandbox.task import HOST_ENVIRONMENT, Launch

if TYPE_CHECKING:
    from pathlib import Path


def shell(script: str, *stop: str) -> Launch:
    return Launch(argv=("/bin/sh", "-c", script), stop=stop)


def test_a_program_ends_with_what_it_said() -> None:
    ended = run(shell("cat; echo e >&2; exit 3"), stdin=b"in\0put", timeout=30)
    assert (ended.status, ended.stdout, ended.stderr) == (3, b"in\0put", b"e\n")
    assert not ended.timed_out
    assert not ended.cut
    assert ended.error == "e"


def test_it_is_told_nothing_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSMITH_PASSWORD", "secret")
    ended = run(Launch(argv=("/usr/bin/env",)), timeout=30)
    assert ended.stdout.decode().splitlines() == [f"PATH={HOST_ENVIRONMENT['PATH']}"]
    assert run(shell("pwd"), timeout=30).stdout == b"/\n"
    assert run(shell("ls /proc/self/fd | wc -l"), timeout=30).stdout.strip() == b"4"


def test_no_more_is_kept_than_there_may_be() -> None:
    ended = run(shell("head -c 5000000 /dev/zero"), timeout=30)
    assert len(ended.stdout) == MAX_OUTPUT
    assert ended.cut
    assert ended.status == 0


@pytest.mark.parametrize("script", ["sleep 60", "exec >&- 2>&-; sleep 60", "yes"])
def test_time_is_up(script: str) -> None:
    started = time.monotonic()
    ended = run(shell(script), timeout=0.5)
    assert ended.timed_out
    assert time.monotonic() - started < 20


def test_what_had_to_be_killed_is_stopped_too(tmp_path: Path) -> None:
    mark = tmp_path / "stopped"
    run(shell("true", "/usr/bin/touch", str(mark)), timeout=30)
    assert not mark.exists()
    run(shell("sleep 60", "/usr/bin/touch", str(mark)), timeout=0.2)
    assert mark.exists()


def test_an_interrupt_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = tmp_path / "pid"

    def interrupted(process: object, until: float, most: int) -> None:
        while not (found.exists() and found.read_text().strip()):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_listen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(shell(f"echo $$ > {found}; sleep 60"), timeout=30)
    with pytest.raises(ProcessLookupError):
        os.kill(int(found.read_text()), 0)


def test_what_cannot_be_started_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run(Launch(argv=("/no/such/program",)), timeout=1)
