"""Disks of 64 KiB to 64 MiB: a tmpfs in a mount namespace of its own, else a limit on files.

A tmpfs takes root, or user namespaces; where there is neither, RLIMIT_FSIZE bounds the size of
each file (not of all together), and the figure says so.
"""

import ctypes
import itertools
import json
import os
import resource
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.reliability.disk_cells import broken_rules
from tests.reliability.disk_jobs import JOBS, Job
from tests.reliability.disk_site import Site
from tests.reliability.scoreboard import Figure, Run

__all__ = ["small_disks"]

SIZES: Final = tuple(64 << (10 + power) for power in range(11))
_NEW_NAMESPACE, _NEW_USER = 0x20000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_REMOUNT, _PRIVATE_ALL = 1 << 5, 1 << 18 | 1 << 14  # MS_REMOUNT, MS_PRIVATE | MS_REC
_libc: Final = ctypes.CDLL(None, use_errno=True)


def small_disks(run: Run, site: Site) -> Figure:
    """Run jobs with only so much space left: all of them, or one of them for each size."""
    jobs = [job for job in JOBS if job.makes_image]
    cases = list(
        itertools.product(jobs, SIZES) if run.full else zip(itertools.cycle(jobs[:2]), SIZES)
    )
    ends: Counter[str] = Counter()
    misses, how = [], ""
    for job, size in cases:
        found = _apart(lambda job=job, size=size: _tried(site, job, size))  # type: ignore[misc]
        how = found["how"]
        ends[found["end"]] += 1
        misses += [f"{job.name} with {size >> 10} KiB: {each}" for each in found["misses"]]
    text = (
        f"{len(cases)} small disks ({how}): {ends['well']} ended well, {ends['told']} said why not"
    )
    return Figure(text, tuple(misses))


def _apart(task: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do it in a process of its own, whose mounts go with it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        found: dict[str, Any] = {"how": "?", "end": "?", "misses": ["it broke"]}
        try:
            os.close(reading)
            found = task()
        except BaseException:  # noqa: BLE001 - whatever it is, it is a miss
            traceback.print_exc()
        finally:
            os.write(writing, json.dumps(found).encode()[:60_000])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        answer = file.read()
    os.waitpid(pid, 0)
    return dict(json.loads(answer))


def _tried(site: Site, job: Job, size: int) -> dict[str, Any]:
    disk = site.root / "disk"
    disk.mkdir(exist_ok=True)
    limited, freed, how = _limits(disk, size)
    cell = site.cell(job, disk)
    limited()
    done = cell.run()
    freed()
    misses = list(broken_rules(cell, done))
    cell.remove()
    end = "well" if done.status in job.good_ends else "told"
    return {"how": how, "end": end, "misses": misses}


def _limits(disk: Path, size: int) -> tuple[Callable[[], None], Callable[[], None], str]:
    """Return what leaves only `size` bytes free, and what ends that, and its name."""
    if _has_own_mounts() and _mount(disk, 0, "1g"):

        def limited() -> None:
            state = os.statvfs(disk)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            assert _mount(disk, _REMOUNT, str(used + size))

        def freed() -> None:
            assert _mount(disk, _REMOUNT, "1g")

        return limited, freed, "tmpfs"
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    return (
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard)),
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)),
        "RLIMIT_FSIZE",
    )


def _has_own_mounts() -> bool:
    """Leave the mounts of this machine: as root, or as root of a new user namespace."""
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_NEW_NAMESPACE):
        if _libc.unshare(_NEW_NAMESPACE | _NEW_USER):
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    return bool(_libc.mount(b"none", b"/", None, _PRIVATE_ALL, None) == 0)


def _mount(disk: Path, flags: int, size: str) -> bool:
    about = f"size={size},mode=0777".encode()
    return bool(_libc.mount(b"layersmith", os.fsencode(disk), b"tmpfs", flags, about) == 0)
