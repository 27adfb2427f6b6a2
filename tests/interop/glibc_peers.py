"""glibc's own programs, run inside a root that they cannot leave or change."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.interop.peers import need

Listed = tuple[tuple[str, str | None], ...]

_EMULATORS = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}
_LOADERS = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}
_LINE = re.compile(r"\t(.*?)(?: => (.*?))?(?: \(0x[0-9a-f]+\))?$")


def emulator(arch: str) -> str | None:
    """Return the program that runs binaries of `arch` here, if they need one."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
    if machine == arch:
        return None
    return shutil.which(_EMULATORS[arch])


def emulator_line(arch: str) -> list[str]:
    """Return what to put before a static program of `arch`; skips where nothing runs it."""
    native = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
    return [] if native == arch else [need(_EMULATORS[arch])]


def sandbox(root: Path, arch: str, *command: str) -> list[str]:
    """Return the command line that runs `command` in `root`, unprivileged and read-only."""
    line = ["bwrap", "--unshare-all", "--clearenv", "--ro-bind", str(root), "/", "--tmpfs", "/tmp"]
    line += ["--setenv", "LD_TRACE_LOADED_OBJECTS", "1"]
    for qemu in emulator_line(arch):
        line += ["--ro-bind", qemu, "/tmp/qemu", "--", "/tmp/qemu"]
    return [*line, *command]


def listed(root: Path, arch: str, path: str) -> Listed:
    """Return what ldd would say of one object, if it were safe: names and paths.

    The loader itself and the kernel's own object are left out, and so are the builds for
    better CPUs, which our rules do not look at either.
    """
    command = [_LOADERS[arch], "--glibc-hwcaps-mask", "none", f"/{path}"]
    ran = subprocess.run(
        sandbox(root, arch, *command), capture_output=True, text=True, check=False, timeout=60
    )
    result: list[tuple[str, str | None]] = []
    for line in ran.stdout.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[1] == "statically linked":
            continue
        name, target = match[1], match[2] or match[1]
        if (
            name.startswith("linux-vdso")
            or name.rpartition("/")[2] == _LOADERS[arch].rpartition("/")[2]
        ):
            continue
        result.append((name, None if target == "not found" else target))
    if ran.returncode:
        raise RuntimeError(f"{path}: {ran.stderr.strip()}")
    return tuple(result)


def all_listed(root: Path, arch: str, paths: Iterable[str]) -> dict[str, Listed | str]:
    """Ask for every object; an answer that is no list is the loader's message."""

    def ask(path: str) -> Listed | str:
        try:
            return listed(root, arch, path)
        except RuntimeError as error:
            return str(error)

    names = list(paths)
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))
