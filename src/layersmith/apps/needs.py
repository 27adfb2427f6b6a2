"""What wheels need of the image: libraries that are nowhere, with the package to add.

A wheel for manylinux may need only a few libraries of the system (PEP 600); those that were
built elsewhere may need any. Each object is loaded as ld.so would load it.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from layersmith.analysis.closure import verify
from layersmith.analysis.glibc import find_glibc
from layersmith.analysis.problems import MissingLibrary
from layersmith.errors import ClosureError, one_line
from layersmith.rootfs.entries import File, as_utf8
from layersmith.rootfs.layer import overlay, put
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.analysis.objects import Objects
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents, Tree

__all__ = ["Missing", "check_needs", "debian_package", "laid_over", "objects_in"]

# An extension module says in its name what it is for (PEP 3149); others may be for anybody.
_EXTENSION: Final = re.compile(r"\.cpython-3[0-9]+t?-[a-z0-9_]+-linux-gnu\.so$|\.abi3\.so$")

Missing = tuple[str, tuple[str, ...]]


def laid_over(base: Tree, entries: Mapping[str, Entry], contents: Contents) -> Root:
    """Return the file system with a layer on it."""
    puts = [put(path, entries[path]) for path in sorted(entries)]
    return Root(overlay([puts], base), contents)


def objects_in(entries: Mapping[str, Entry]) -> list[str]:
    """Return the paths that may be of ELF files: executable, or named like one."""
    return [
        path
        for path, entry in entries.items()
        if isinstance(entry, File) and (".so" in path or _may_run(entry))
    ]


def _may_run(file: File) -> bool:
    if isinstance(file.content, bytes) and not file.content.startswith(b"\x7fELF"):
        return False  # a script that was written here
    return bool(file.meta.mode & 0o111)


def check_needs(
    final: Root,
    paths: Sequence[str],
    allowed: Sequence[str],
    objects: Objects,
    who: str = "the wheels need",
) -> list[Missing]:
    """Return the libraries that are missing as `allowed`, with who wants them.

    Raises :class:`ClosureError` with every other one and every version that the image's
    libraries do not define, and for an extension module of another machine.
    """
    problems = [*_foreign(final, paths, objects)]
    missing: dict[str, list[str]] = {}
    for problem in verify(final, paths, objects=objects):
        if not isinstance(problem, MissingLibrary):
            problems.append(str(problem))
        elif any(fnmatchcase(problem.soname, glob) for glob in allowed):
            missing.setdefault(problem.soname, []).append(problem.wanted_by)
        else:
            hint = debian_package(problem.soname)
            package = f" (Debian's package {hint}?)" if hint else ""
            problems.append(f"{problem.wanted_by} needs {problem.soname}{package}")
    if problems:
        raise ClosureError(
            f"{who} what the image does not have",
            problems=tuple(one_line(text) for text in sorted(set(problems))),
            hint="add Debian's packages: --debian-package NAME; or take a wheel that brings its "
            "libraries; if it is right that one is absent: --allow-unresolved SONAME",
        )
    return [
        (as_utf8(soname), tuple(map(as_utf8, sorted(set(missing[soname])))))
        for soname in sorted(missing)
    ]


def debian_package(soname: str) -> str:
    """Return how Debian would name the package of a library (Debian Policy, 8.1)."""
    match = re.fullmatch(r"(lib[\w+.-]*?)\.so\.([\w.]+)", soname, re.ASCII)
    if match is None:
        return ""
    stem, version = match[1].lower().replace("_", "-"), match[2]
    return f"{stem}-{version}" if stem[-1].isdigit() else f"{stem}{version}"


def _foreign(final: Root, paths: Sequence[str], objects: Objects) -> Iterator[str]:
    glibc = find_glibc(final, objects)
    if glibc is None:
        return
    for path in paths:
        opened = objects.open(final, path) if _EXTENSION.search(path) else None
        if opened is not None and opened.elf is not None and opened.elf.abi != glibc.abi:
            yield f"{path} is for another machine"
