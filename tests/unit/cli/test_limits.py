"""What the system allows the program: files, memory and threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

_RUN = """
import resource
from layersmith.cli import app

{before}
try:
    app.main()
finally:
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def ran(before: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own, after `before`."""
    command = [sys.executable, "-c", _RUN.format(before=before), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("allowed", "expected"), [((64, 100), (100, 100)), ((100, 5000), (4096, 5000))]
)
def test_as_many_files_are_opened_as_are_allowed(
    allowed: tuple[int, int], expected: tuple[int, int]
) -> None:
    done = ran(f"resource.setrlimit(resource.RLIMIT_NOFILE, {allowed})", "--version")
    assert done.stdout.splitlines()[-1] == "{} {}".format(*expected)


@pytest.mark.parametrize("error", ["MemoryError()", 'RuntimeError("can\'t start new thread")'])
def test_too_little_memory_is_no_bug(error: str) -> None:
    fails = f"def fails(**_):\n    raise {error}\napp.app = fails"
    done = ran(fails)
    assert done.returncode == 9
    assert done.stderr.startswith("layersmith: error: the system has no memory left")
    assert "Traceback" not in done.stderr
