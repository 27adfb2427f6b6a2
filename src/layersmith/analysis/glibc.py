"""What a tree's own C library says of itself: nothing about it is assumed.

The directories that the loader was built to search stand in the loader as one string
(`system_dirs` of elf/dl-load.c), and ldconfig's name in the caches it writes is made of
the same words as the C library's banner (csu/version.c). So Debian's multiarch, Red
Hat's /lib64 and what comes next are all read, not listed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.analysis.elf import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layersmith.analysis.objects import Objects
    from layersmith.rootfs.tree import Root

__all__ = ["INTERPRETERS", "Glibc", "find_glibc"]


# The name that programs have in PT_INTERP, by class and machine (glibc's shlib-versions).
INTERPRETERS: Final = {
    (64, Machine.X86_64): "/lib64/ld-linux-x86-64.so.2",
    (64, Machine.AARCH64): "/lib/ld-linux-aarch64.so.1",
    (64, Machine.PPC64): "/lib64/ld64.so.2",
    (64, Machine.S390): "/lib/ld64.so.1",
    (64, Machine.RISCV): "/lib/ld-linux-riscv64-lp64d.so.1",
    (64, Machine.LOONGARCH): "/lib64/ld-linux-loongarch-lp64d.so.1",
    (32, Machine.ARM): "/lib/ld-linux-armhf.so.3",
    (32, Machine.I386): "/lib/ld-linux.so.2",
}

# What the kernel passes as AT_PLATFORM, which ld.so puts in the place of $PLATFORM. On x86
# it says "haswell" or "xeon_phi" instead where the CPU is one; this is the baseline's.
_PLATFORMS: Final = {
    Machine.X86_64: "x86_64",
    Machine.AARCH64: "aarch64",
    Machine.I386: "i686",
    Machine.ARM: "v7l",
}
# Neither may look at a byte more often than a few times: the text is a stranger's.
_SYSTEM_DIRECTORIES: Final = re.compile(rb"\0((?:/(?=[!-~]*?lib)[!-~]*/\0){2,16})")
_BANNER: Final = re.compile(
    rb"GNU C Library (\([^()\0-\x1f]{1,99}\) [ -~]{0,99}?release version [0-9.]{0,19}[0-9])\.\n"
)


@dataclass(frozen=True, slots=True)
class Glibc:
    """The C library of a tree.

    `system` are the default directories in the order of the search, `words` the part of
    the banner that ldconfig signs with (empty where there is no libc.so.6).
    """

    bits: int
    machine: int
    little_endian: bool
    interpreter: str
    system: tuple[str, ...]
    words: str = ""

    @property
    def abi(self) -> tuple[int, int, bool]:
        """Class, machine and byte order of what this loader loads."""
        return (self.bits, self.machine, self.little_endian)

    @property
    def lib(self) -> str:
        """What ld.so puts in the place of $LIB: the C library's own directory.

        Debian keeps both parts of a multiarch directory, others the last (elf/Makefile).
        """
        first = self.system[0].lstrip("/")
        return first if first.startswith("lib/") else first.rpartition("/")[2]

    @property
    def platform(self) -> str | None:
        """What ld.so puts in the place of $PLATFORM; None: such a path is dropped."""
        return _PLATFORMS.get(Machine(self.machine)) if self.machine in _PLATFORMS else None

    @property
    def version(self) -> tuple[int, ...]:
        """The version as numbers, such as ``(2, 41)``; empty where it is unknown."""
        return tuple(int(number) for number in self.words.rpartition(" ")[2].split(".") if number)


def find_glibc(root: Root, objects: Objects) -> Glibc | None:
    """Return the C library of `root`, found by its loader; None if there is none."""
    for (bits, machine), name in INTERPRETERS.items():
        opened = objects.open(root, name)
        if opened is None or opened.elf is None or opened.elf.abi[:2] != (bits, machine):
            continue
        system = objects.fact("system directories", root, opened.path, _directories).split()
        if not system:
            continue  # not glibc's loader: musl has a file of its own instead
        return Glibc(*opened.elf.abi, name, tuple(system), _words(root, system, objects))
    return None


def _words(root: Root, system: Iterable[str], objects: Objects) -> str:
    named = (objects.fact("banner", root, f"{place}/libc.so.6", _banner) for place in system)
    return next(filter(None, named), "")


def _directories(data: bytes) -> str:
    """Return the loader's default directories, separated by spaces (they have none)."""
    found = _SYSTEM_DIRECTORIES.search(data)
    parts = found[1].split(b"\0") if found else ()
    return " ".join(part.decode().rstrip("/") for part in parts if part)


def _banner(data: bytes) -> str:
    found = _BANNER.search(data)
    return found[1].decode() if found else ""
