"""The Python of the image: which wheels it takes, and what markers say of it.

Everything is the target's, nothing the host's: tags by the platform compatibility
specification (PyPA, "Platform compatibility tags", PEP 600), markers by "Dependency
specifiers" (PEP 508).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.analysis.glibc import find_glibc
from layersmith.errors import RecipeError, one_line
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from layersmith.analysis.objects import Objects
    from layersmith.oci.documents import Platform
    from layersmith.rootfs.tree import Root

__all__ = ["Interpreter", "find_interpreter"]

_HOME: Final = "usr/local"
# How wheels and uname(2) call the machine.
_MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64", "ppc64le": "ppc64le", "s390x": "s390x"}
# The oldest glibc with a policy, and the older names of some (PEP 600, "Legacy").
_OLDEST: Final = {"x86_64": 5}
_OLDEST_OF_OTHERS: Final = 17
_LEGACY: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_VERSION: Final = re.compile(r"3\.(\d{1,2})\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython of the image: its full `version`, its machine, and the C library's version."""

    version: str
    machine: str
    glibc: tuple[int, int]

    @property
    def minor(self) -> int:
        """The second number of the version."""
        return int(self.version.split(".")[1])

    @property
    def short(self) -> str:
        """``3.13``."""
        return f"3.{self.minor}"

    @property
    def program(self) -> str:
        """Where the program is, absolute."""
        return f"/{_HOME}/bin/python{self.short}"

    @property
    def library(self) -> str:
        """Where the standard library is, a path of the image's tree."""
        return f"{_HOME}/lib/python{self.short}"

    def tags(self) -> tuple[Tag, ...]:
        """Return the tags of the wheels that it takes, the best first."""
        from packaging import tags  # noqa: PLC0415 - a recalled layer needs none

        cp, platforms = f"cp3{self.minor}", list(self.platforms())
        version = (3, self.minor)
        return (
            *tags.cpython_tags(version, [cp], platforms),
            *tags.compatible_tags(version, cp, platforms),
        )

    def platforms(self) -> Iterator[str]:
        """Yield the platform tags: every glibc up to the image's, the newest first."""
        major, newest = self.glibc
        oldest = _OLDEST.get(self.machine, _OLDEST_OF_OTHERS)
        for minor in range(newest, oldest - 1, -1) if major == 2 else ():
            yield f"manylinux_2_{minor}_{self.machine}"
            if minor in _LEGACY and (minor == 17 or self.machine == "x86_64"):
                yield f"{_LEGACY[minor]}_{self.machine}"
        yield f"linux_{self.machine}"

    def environment(self) -> dict[str, str]:
        """Return all variables of markers, so that none is taken from the host."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.version,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.version,
            "python_version": self.short,
            "sys_platform": "linux",
            "extra": "",
        }


def find_interpreter(root: Root, platform: Platform, said: str, objects: Objects) -> Interpreter:
    """Return the Python in `root`; `said` is its full version, as the image says.

    Raises :class:`RecipeError` where there is none, or another.
    """
    match = _VERSION.fullmatch(said)
    if match is None:
        raise RecipeError(
            f"the image does not say which Python it has: {one_line(said, 60)!r}",
            hint="use an image that layersmith assemble made",
        )
    glibc = find_glibc(root, objects)
    machine = _MACHINES.get(platform.architecture)
    found = Interpreter(said, machine or "", (0, 0))
    where = f"{found.library}/os.py"
    program = root.tree.lookup(found.program)
    if not (isinstance(program, File) and isinstance(root.tree.lookup(where), File)):
        raise RecipeError(f"the image has no Python {found.short} in /{_HOME}")
    if glibc is None or len(glibc.version) < 2 or machine is None:
        raise RecipeError(f"the image for {platform} has no glibc that wheels are made for")
    return Interpreter(said, machine, (glibc.version[0], glibc.version[1]))
