"""Is the image what it says it is, and can it start? Asked of the finished tree.

A config may lie about its architecture, an extension module may be cut short: the
closure passes over what is no object of the image's machine, so it is asked here.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from layersmith.analysis.elf import Machine
from layersmith.analysis.glibc import find_glibc
from layersmith.analysis.objects import NOT_ELF
from layersmith.errors import ClosureError, RecipeError
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.analysis.glibc import Glibc
    from layersmith.analysis.objects import Objects
    from layersmith.oci.documents import Platform
    from layersmith.recipe.target import Target
    from layersmith.rootfs.tree import Root

__all__ = ["check_image", "check_start", "check_target"]

_MACHINES: Final = {
    "386": (32, Machine.I386),
    "amd64": (64, Machine.X86_64),
    "arm": (32, Machine.ARM),
    "arm64": (64, Machine.AARCH64),
    "ppc64le": (64, Machine.PPC64),
    "riscv64": (64, Machine.RISCV),
    "s390x": (64, Machine.S390),
}
_VERSION_ID = re.compile(r'^VERSION_ID="?([0-9]+)"?\s*$', re.MULTILINE | re.ASCII)


def check_target(base: Root, target: Target, python: str) -> None:
    """Refuse inputs that are not what the target names; raises :class:`RecipeError`."""
    if not target.accepts(python):
        fitting = replace(target, python=".".join(python.split(".")[:2]))
        raise RecipeError(
            f"the builder has Python {python}, the target says {target.python}",
            hint=f"the target for it is {fitting}",
        )
    release = (base.read("etc/os-release") or b"").decode("utf-8", "replace")
    found = _VERSION_ID.search(release)
    if found and int(found[1]) != target.debian:
        raise RecipeError(
            f"the base is of Debian {found[1]}, the target says debian{target.debian}",
            hint="choose the target of the base's release, or another "
            f"{'--builder' if target.is_builder else '--base'}",
        )


def check_image(
    final: Root, platform: Platform, python: str, shipped: Iterable[str], objects: Objects
) -> None:
    """Refuse an image of another machine, a damaged object, a Python without its library.

    Raises :class:`ClosureError` with all that is wrong.
    """
    glibc = find_glibc(final, objects)
    if glibc is None:
        raise ClosureError("the base has no dynamic loader of glibc")
    problems = [*_wrong_machine(glibc, platform), *_no_library(final, python)]
    for path in sorted(shipped):
        problems += _bad_object(final, path, glibc, objects)
    if problems:
        raise ClosureError("the image would not work", problems=tuple(problems))


def check_start(final: Root, start: str, objects: Objects, *, is_python: bool) -> None:
    """Refuse an entrypoint that nobody could execute; raises :class:`RecipeError`."""
    if not start.startswith("/"):
        return
    found = final.tree.lookup(posixpath.normpath(start))
    hint = "does an --exclude or another builder leave it out?"
    if not isinstance(found, File):
        raise RecipeError(f"the image has no file {start!r} to start", hint=hint)
    if found.meta.mode & 0o001 == 0:
        raise RecipeError(f"{start!r} is not executable for the image's user", hint=hint)
    glibc = find_glibc(final, objects)
    elf = objects.read(final, found, start)
    if is_python and (isinstance(elf, str) or glibc is None or elf.abi != glibc.abi):
        raise RecipeError(f"{start!r} is no program of the image's machine", hint=hint)


def _wrong_machine(glibc: Glibc, platform: Platform) -> Iterator[str]:
    expected = _MACHINES.get(platform.architecture)
    if expected is not None and (glibc.bits, glibc.machine) != expected:
        yield f"the base's C library is for machine {glibc.machine}, the config says {platform}"


def _no_library(final: Root, python: str) -> Iterator[str]:
    home = f"usr/local/lib/python{'.'.join(python.split('.')[:2])}"
    if not isinstance(final.tree.lookup(f"{home}/os.py"), File):
        yield f"there is no standard library of Python {python} in /{home}"


def _bad_object(final: Root, path: str, glibc: Glibc, objects: Objects) -> Iterator[str]:
    opened = objects.open(final, path)
    if opened is None:
        return
    is_pythons_own = "/lib-dynload/" in path or path.startswith("usr/local/lib/libpython")
    if opened.elf is None:
        if opened.cause != NOT_ELF or (is_pythons_own and ".so" in path):
            yield f"{path} is damaged: {opened.cause.removeprefix(f'{path}: ')}"
    elif is_pythons_own and opened.elf.abi != glibc.abi:
        yield f"{path} is for machine {opened.elf.machine}, the C library for {glibc.machine}"
