"""What can be wrong with the needs of a set of objects; each says it in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from layersmith.analysis.loader import Broken
from layersmith.analysis.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.analysis.linkmap import LinkMap
    from layersmith.analysis.loader import Library
    from layersmith.analysis.searchpath import SearchPaths

__all__ = [
    "AbiMismatch",
    "BrokenObject",
    "MissingInterpreter",
    "MissingLibrary",
    "Problem",
    "Problems",
    "UnsafeSearchPath",
]

_MOST_SHOWN: Final = 12  # directories


class MissingLibrary(NamedTuple):
    """No rule of the loader finds `soname`; `searched` are the directories looked in."""

    soname: str
    wanted_by: str
    searched: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name the library, who wants it and where it was looked for."""
        more = len(self.searched) - _MOST_SHOWN
        places = [*self.searched[:_MOST_SHOWN], *([f"{more} more"] if more > 0 else [])]
        return f"{self.soname}, needed by {self.wanted_by}, is not in {', '.join(places)}"


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


class Problems:
    """What is wrong in processes, asked about one after another: equal questions once."""

    def __init__(self, paths: SearchPaths) -> None:
        self._paths = paths
        self._versions = Versions(paths.effort)

    def of(self, loaded: LinkMap) -> Iterator[Problem]:
        """Yield what is wrong in one process, in the order of loading."""
        for library in loaded.objects:
            for element in self._paths.refused(library):
                yield UnsafeSearchPath(library.path, element)
        searched: tuple[Library | None, tuple[str, ...]] = (None, ())
        for requester, name, found in loaded.needs:
            if found is None:
                if searched[0] is not requester:
                    searched = requester, self._searched(requester)
                self._paths.effort.spend(1 + (len(searched[1]) >> 6), requester.path)
                yield MissingLibrary(name, requester.path, searched[1])
            elif isinstance(found, Broken):
                yield BrokenObject(found.name, found.cause, requester.path)
            else:
                versions, highest = self._versions.unmet(requester, name, found)
                if versions:
                    yield AbiMismatch(name, versions, requester.path, found.path, highest)

    def _searched(self, requester: Library) -> tuple[str, ...]:
        """Return where a need of `requester` is looked for."""
        defaults = () if requester.elf.ignores_default_directories else self._paths.glibc.system
        return (*self._paths.own(requester), "ld.so.cache", *defaults)
