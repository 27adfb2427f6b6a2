"""Which platforms this host can run: its own, and others by qemu's user mode."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersmith.analysis.elf import read_elf
from layersmith.errors import ElfError
from layersmith.sandbox.task import HOST_ENVIRONMENT

if TYPE_CHECKING:
    from layersmith.oci.documents import Platform

__all__ = ["Way", "way_for"]

# What a machine runs by itself, as uname(2) and Go (image-spec) call the two.
_NATIVE: Final = {
    "x86_64": ("amd64", "386"),
    "aarch64": ("arm64",),
    "armv7l": ("arm",),
    "ppc64le": ("ppc64le",),
    "riscv64": ("riscv64",),
    "s390x": ("s390x",),
    "loongarch64": ("loong64",),
}
_QEMU: Final = {
    "386": "i386",
    "amd64": "x86_64",
    "arm": "arm",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
_REGISTERED: Final = Path("/proc/sys/fs/binfmt_misc")


@dataclass(frozen=True, slots=True)
class Way:
    """How a platform's programs are run: as they are, or by an emulator; or `why_not`.

    An emulator without a `program` is one that the kernel starts by itself.
    """

    emulator: str = ""
    program: Path | None = None
    why_not: str = ""

    @property
    def is_slow(self) -> bool:
        """Tell whether a processor is being emulated."""
        return bool(self.emulator)


def way_for(
    platform: Platform,
    machine: str = "",
    registered: Path = _REGISTERED,
    path: str = HOST_ENVIRONMENT["PATH"],
) -> Way:
    """Return how this host (or another `machine`) runs programs for `platform`."""
    if platform.os != "linux":
        return Way(why_not=f"it is for {platform.os}, and sandboxes are Linux'")
    machine = machine or os.uname().machine
    if platform.architecture in _NATIVE.get(machine, ()):
        return Way()
    name = _QEMU.get(platform.architecture)
    if name is None:
        return Way(why_not=f"no emulator of {platform.architecture} is known")
    if _is_registered(registered / f"qemu-{name}"):
        return Way(f"qemu-{name}, by binfmt_misc")
    for program in (f"qemu-{name}-static", f"qemu-{name}"):
        found = shutil.which(program, path=path)
        if found is not None and _is_static(Path(found).resolve()):
            return Way(program, Path(found).resolve())
    return Way(
        why_not=f"this host is {machine}, and has neither qemu-{name}-static nor a binfmt_misc "
        f"entry qemu-{name} with the flag F"
    )


def _is_registered(entry: Path) -> bool:
    """Tell whether the kernel starts the emulator, which it opened (F) outside of any sandbox."""
    try:
        lines = entry.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags:")), "")
    return "enabled" in lines and "F" in flags


def _is_static(path: Path) -> bool:
    """Tell whether a program needs no library: it will see none of this host's."""
    try:
        found = read_elf(path.read_bytes(), str(path))
    except (OSError, ElfError):
        return False
    return found is not None and found.interpreter is None
