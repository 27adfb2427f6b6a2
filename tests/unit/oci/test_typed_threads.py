"""Threads that meet a type at the same time: msgspec alone would crash the interpreter."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
from layersmith.oci.documents import Manifest
from layersmith.oci.strictjson import typed

sys.setswitchinterval(1e-6)
digest = "sha256:" + "0" * 64
manifest = {
    "schemaVersion": 2,
    "config": {"mediaType": "a/b", "digest": digest, "size": 1},
    "layers": [{"mediaType": "a/b", "digest": digest, "size": 1}],
}
seen = []
together = threading.Barrier(8)

def read():
    together.wait()
    seen.append(typed(manifest, Manifest, "m").config.digest == digest)

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert seen == [True] * 8
"""


def test_threads_that_meet_a_type_at_once_all_get_it() -> None:
    # Without the lock two of three runs end in a segmentation fault.
    for _ in range(8):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
