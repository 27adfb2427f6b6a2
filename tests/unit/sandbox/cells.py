"""A cell whose runner is no sandbox: it runs a shell of this host, and nothing of an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from tests.build.tree import root

from layersmith.oci.documents import ImageConfig
from layersmith.rootfs.entries import File, Meta
from layersmith.sandbox.cell import Cell
from layersmith.sandbox.emulation import Way
from layersmith.sandbox.task import Ids, Launch

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.sandbox.task import Task

PROGRAM = File(Meta(0o755), b"\x7fELF")


@dataclass
class Canned:
    """Ends as `script` does, whatever it is asked to run, and keeps what that was."""

    script: str = ""
    faults: str = ""
    name: str = "canned"
    notes: tuple[str, ...] = ()
    tasks: list[Task] = field(default_factory=list)

    def launch(self, task: Task, folder: Path) -> Launch:
        self.tasks.append(task)
        return Launch(argv=("/bin/sh", "-c", self.script, *task.argv))

    def fault(self, status: int, stderr: bytes, folder: Path) -> str:
        return self.faults


def cell(folder: Path, runner: Canned, way: Way | None = None, **config: Any) -> Cell:
    """Return a cell of an image that has a Python, and a server."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": []},
        "config": {"Entrypoint": ["/usr/bin/python3"], "Cmd": ["-q"], **config},
    }
    return Cell(
        root=root(
            {
                "usr/bin/python3": PROGRAM,
                "usr/bin/serve": PROGRAM,
                "work/": None,
                "etc/passwd": b"me:x:5:6:me:/home/me:\n",
            }
        ),
        folder=folder,
        config=msgspec.convert(document, ImageConfig),
        ids=Ids(5, 6),
        network=False,
        way=way or Way(),
        runner=runner,
    )
