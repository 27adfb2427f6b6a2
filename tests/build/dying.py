"""A process that is killed in the middle of something."""

import subprocess
import sys

_CODE = """
import signal, sys
from pathlib import Path
from layersmith.oci.content import NoProgress
from layersmith.stores.archive import OciArchive
from layersmith.stores.files import appearing
from layersmith.stores.layout import Layout
from layersmith.stores.locks import scratch
from layersmith.stores.turns import Turns
folder = Path(sys.argv[1])
with {context}:
    print(flush=True)
    signal.pause()
"""


def killed_while(context: str, folder: object) -> None:
    """Let a process be killed inside a ``with`` of `context`, which may name ``folder``."""
    command = [sys.executable, "-c", _CODE.format(context=context), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        process.kill()
