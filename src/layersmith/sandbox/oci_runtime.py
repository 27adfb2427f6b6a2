"""Sandboxes by runc or crun: a bundle of runtime-spec, run in the foreground.

A runtime prepares the container as its root, so two users are mapped, the image's user and
root. As root on the host any two can be; an ordinary user has to stand for root himself, and
needs a range in /etc/subuid and /etc/subgid for the image's.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.sandbox.task import Launch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.sandbox.task import Ids, Task

__all__ = ["OciRuntime"]

_LOG: Final = "log"
_MEMORY: Final = "size=1g"
_NAMESPACES: Final = ("pid", "ipc", "uts", "mount", "user", "network")
_HIDDEN: Final = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
)  # fmt: skip
_FIXED: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class OciRuntime:
    """A runtime: `user` and `root` stand for the image's, `owner` where these are one.

    `owner` is to whom the files belong; their modes say the same to everybody.
    """

    program: Path
    name: str
    owner: Ids
    user: Ids
    root: Ids
    notes: tuple[str, ...] = ()

    def launch(self, task: Task, folder: Path) -> Launch:
        """Write the bundle, and return the runtime's command line."""
        folder.joinpath("config.json").write_text(json.dumps(self._config(task)))
        words = [str(self.program), "--root", str(folder / "state")]
        words += ["--log", str(folder / _LOG), "--log-format", "json"]
        if self.name == "crun":
            words += ["--cgroup-manager", "disabled"]
        name = f"layersmith-{os.getpid()}-{folder.name}"
        return Launch(
            argv=(*words, "run", "--bundle", str(folder), name),
            stop=(*words, "delete", "--force", name),
        )

    def fault(self, status: int, stderr: bytes, folder: Path) -> str:  # noqa: ARG002 - it has a log
        """Return the runtime's own last error, from its log."""
        try:
            lines = folder.joinpath(_LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        errors = [line for line in lines.splitlines() if '"level":"error"' in line.replace(" ", "")]
        return errors[-1] if status and errors else ""

    def _config(self, task: Task) -> dict[str, Any]:
        shared = {"network"} if task.network else set()
        return {
            "ociVersion": "1.0.2",
            "hostname": "layersmith",
            "root": {"path": str(task.root), "readonly": True},
            "mounts": list(_mounts(task)),
            "process": {
                "terminal": False,
                "user": {"uid": task.ids.uid, "gid": task.ids.gid},
                "args": list(task.argv),
                "env": [f"{name}={value}" for name, value in task.env.items()],
                "cwd": task.workdir,
                "noNewPrivileges": True,
                "capabilities": {},
                "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
            },
            "linux": {
                "namespaces": [{"type": kind} for kind in _NAMESPACES if kind not in shared],
                "uidMappings": self._mapped(task.ids, 0),
                "gidMappings": self._mapped(task.ids, 1),
                "maskedPaths": _HIDDEN,
                "readonlyPaths": _FIXED,
            },
        }

    def _mapped(self, ids: Ids, kind: int) -> list[dict[str, int]]:
        pairs = {0: self.root[kind], ids[kind]: self.user[kind]}
        if not ids[kind]:
            pairs = {0: self.owner[kind]}
        return [{"containerID": one, "hostID": other, "size": 1} for one, other in pairs.items()]


def _mounts(task: Task) -> Iterator[dict[str, Any]]:
    plain = ["nosuid", "nodev"]
    yield _mount("/proc", "proc", ["noexec", *plain])
    yield _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=64k"])
    # Without gid=5, which is nobody in a namespace of two.
    yield _mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666"])
    for place in ("/dev/shm", "/tmp", *task.writable):  # noqa: S108 - inside
        yield _mount(place, "tmpfs", [*plain, "mode=1777", _MEMORY])
    for place, source in task.binds.items():
        yield {
            "destination": place,
            "type": "bind",
            "source": str(source),
            "options": ["rbind", "ro", *plain],
        }


def _mount(place: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": place, "type": kind, "source": kind, "options": options}
