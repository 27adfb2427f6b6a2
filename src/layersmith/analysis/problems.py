"""What can be wrong with the needs of a set of objects; each says it in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from layersmith.analysis.linkmap import highest_version, unmet_versions
from layersmith.analysis.loader import Broken, Library, own_directories, refused_elements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.analysis.glibc import Glibc
    from layersmith.analysis.linkmap import LinkMap

__all__ = [
    "AbiMismatch",
    "BrokenObject",
    "MissingInterpreter",
    "MissingLibrary",
    "Problem",
    "UnsafeSearchPath",
    "problems_of",
]


class MissingLibrary(NamedTuple):
    """No rule of the loader finds `soname`; `searched` are the directories looked in."""

    soname: str
    wanted_by: str
    searched: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name the library, who wants it and where it was looked for."""
        return f"{self.soname}, needed by {self.wanted_by}, is not in {', '.join(self.searched)}"


class AbiMismatch(NamedTuple):
    """The `provider` of `soname` lacks versions; `highest` is the best of its kind there."""

    soname: str
    versions: tuple[str, ...]
    wanted_by: str
    provider: str
    highest: str | None = None

    def __str__(self) -> str:
        """Name the versions, who wants them and who lacks them."""
        has = f" has {self.highest} at most" if self.highest else " does not define it"
        wanted = f"{self.wanted_by} wants {', '.join(self.versions)} of {self.soname}"
        return f"{wanted}, but {self.provider}{has}"


class MissingInterpreter(NamedTuple):
    """There is no dynamic loader where a program says it is."""

    interpreter: str
    wanted_by: str

    def __str__(self) -> str:
        """Name the loader and the program."""
        return f"{self.interpreter}, the dynamic loader of {self.wanted_by}, is not in the base"


class BrokenObject(NamedTuple):
    """The search ends at a file that cannot be loaded, which would end the program."""

    path: str
    cause: str
    wanted_by: str

    def __str__(self) -> str:
        """Name the file and what is wrong with it."""
        return f"{self.path}, needed by {self.wanted_by}, cannot be loaded: {self.cause}"


class UnsafeSearchPath(NamedTuple):
    """A DT_RPATH or DT_RUNPATH has an element that means the working directory."""

    owner: str
    element: str

    def __str__(self) -> str:
        """Name the object and the element."""
        return f"{self.owner} searches the working directory for libraries ({self.element!r})"


Problem: TypeAlias = (
    MissingLibrary | AbiMismatch | MissingInterpreter | BrokenObject | UnsafeSearchPath
)


def problems_of(loaded: LinkMap, glibc: Glibc) -> Iterator[Problem]:
    """Yield what is wrong in one process, in the order of loading."""
    for library in loaded.objects:
        for element in refused_elements(library, glibc):
            yield UnsafeSearchPath(library.path, element)
    for requester, name, found in loaded.needs:
        if found is None:
            yield MissingLibrary(name, requester.path, searched(requester, glibc))
        elif isinstance(found, Broken):
            yield BrokenObject(found.name, found.cause, requester.path)
        else:
            unmet = unmet_versions(requester.elf, name, found.elf)
            if unmet:
                yield mismatch(requester, name, found, unmet)


def mismatch(requester: Library, name: str, provider: Library, unmet: list[str]) -> AbiMismatch:
    """Say which versions are `unmet`, and what the provider has instead."""
    highest = highest_version(provider.elf, unmet[-1])
    return AbiMismatch(name, tuple(sorted(unmet)), requester.path, provider.path, highest)


def searched(requester: Library, glibc: Glibc) -> tuple[str, ...]:
    """Return where a need of `requester` is looked for."""
    defaults = () if requester.elf.ignores_default_directories else glibc.system
    return (*own_directories(requester, glibc), "ld.so.cache", *defaults)
