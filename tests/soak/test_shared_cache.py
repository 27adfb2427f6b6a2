"""R4 in small: the whole of it is `make soak`."""

from __future__ import annotations

import json
import subprocess
import sys


def test_processes_share_a_cache_some_killed_others_pruning() -> None:
    # A process of its own: it forks, which nothing with threads should.
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.shared_cache", "--processes", "8", "--rounds", "8"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["right"] + found["killed"] == found["runs"] == 64
    assert found["killed"] > 0
    assert (found["failed"], found["stuck"], found["corrupt"]) == (0, 0, [])
    assert found["needless"] == {}
