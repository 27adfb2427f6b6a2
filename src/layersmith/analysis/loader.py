"""Where glibc's dynamic loader finds what an object needs, inside a tree.

The rules are those of ld.so(8) as elf/dl-load.c has them (`_dl_map_object`), for a
process without LD_LIBRARY_PATH, LD_PRELOAD and set-user-ID:

1. a name with a slash is a path;
2. DT_RPATH of the object, of the one that loaded it, and so on up to the program; not
   if the object has DT_RUNPATH, and never that of an object that has DT_RUNPATH itself;
3. DT_RUNPATH of the object, for its own needs only;
4. the cache, by DT_SONAME; 5. the loader's default directories, by file name.

A file of another class or machine is passed over; anything else that is no loadable
object ends the search, as it would end the program. glibc-hwcaps directories are not
searched: what an image holds must run on the baseline CPU, and a variant is only ever an
addition (`variants`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from layersmith.analysis.effort import Effort
from layersmith.analysis.ldindex import HWCAPS
from layersmith.analysis.objects import find_directory
from layersmith.analysis.searchpath import SearchPaths

if TYPE_CHECKING:
    from layersmith.analysis.elf import ElfFile
    from layersmith.analysis.glibc import Glibc
    from layersmith.analysis.ldindex import Index
    from layersmith.analysis.objects import Objects, Opened
    from layersmith.rootfs.tree import Root

__all__ = [
    "Broken",
    "Found",
    "How",
    "Library",
    "Loader",
    "Opener",
    "as_library",
]

_TRY = 4  # steps of looking for one file


class How(Enum):
    """Which rule found a library."""

    PROGRAM = "the program itself"
    LOADER = "the dynamic loader"
    PATH = "a path in DT_NEEDED"
    SEARCH = "DT_RPATH or DT_RUNPATH"
    CACHE = "ld.so.cache"
    DEFAULT = "a default directory"


class Library(msgspec.Struct, frozen=True, eq=False):
    """An object in memory: `name` is how ld.so calls it, `path` where it really is.

    `inherited` are the DT_RPATH directories of the objects that brought it in; `builder`
    tells the two trees of a closure apart.
    """

    name: str
    path: str
    links: tuple[str, ...]
    inode: Hashable
    elf: ElfFile
    how: How
    inherited: tuple[str, ...] = ()
    builder: bool = False

    @property
    def origin(self) -> str:
        """What ``$ORIGIN`` is: the directory of the name it was opened by (elf/dl-object.c).

        Links on the way are not resolved, except for the program itself, which the
        kernel names by its real path.
        """
        return self.name.rpartition("/")[0] or "/"


class Broken(NamedTuple):
    """The search ended at `name`, which is no object that can be loaded."""

    name: str
    cause: str


Found: TypeAlias = Library | Broken | None
Opener: TypeAlias = Callable[[str], "Opened | None"]
_Search: TypeAlias = tuple[tuple[str, ...], bool]  # directories, and whether these are all


class Loader:
    """The loader of one root; `opener` is how it opens a file, for trees that overlap.

    All it does is counted by `effort`, which the loaders of one closure share.
    """

    def __init__(
        self,
        root: Root,
        glibc: Glibc,
        index: Index,
        objects: Objects,
        opener: Opener | None = None,
        effort: Effort | None = None,
    ) -> None:
        self.root, self.glibc, self.index = root, glibc, index
        self.effort = effort or Effort()
        self.paths = SearchPaths(glibc, self.effort)
        self._open: Opener = opener or (lambda name: objects.open(root, name))
        self._defaults = tuple(f"{directory}/" for directory in glibc.system)
        self._known: dict[_Search, dict[str, Found]] = {}
        self._requester: Library | None = None
        self._search: _Search = (), False
        self._found: dict[str, Found] = {}

    def find(self, name: str, requester: Library) -> Found:
        """Return what `requester` gets for its DT_NEEDED entry `name`, tokens replaced."""
        if "/" in name:
            return self._try(name, How.PATH)
        if requester is not self._requester:
            self._turn_to(requester)
        if name not in self._found:
            self._found[name] = self._look(name, *self._search)
        return self._found[name]

    def _turn_to(self, requester: Library) -> None:
        """Find out where is searched for `requester`, once for all its needs."""
        search = self.paths.own(requester), requester.elf.ignores_default_directories
        if search not in self._known:
            self.effort.spend(len(search[0]) >> 2, requester.path)
            self._known[search] = {}
        self._requester, self._search, self._found = requester, search, self._known[search]

    def _look(self, name: str, directories: tuple[str, ...], no_defaults: bool) -> Found:
        for directory in directories:
            found = self._try(f"{directory}/{name}", How.SEARCH)
            if found is not None:
                return found
        cached = self.index.lookup(name)
        if cached is not None and not (no_defaults and cached.startswith(self._defaults)):
            found = self._try(cached, How.CACHE)
            if found is not None:
                return found
        for directory in () if no_defaults else self._defaults:
            found = self._try(directory + name, How.DEFAULT)
            if found is not None:
                return found
        return None

    def _try(self, name: str, how: How) -> Found:
        """Open `name` as `open_verify` does; a relative name is nowhere in a tree."""
        self.effort.spend(_TRY, name)
        opened = self._open(name) if name.startswith("/") else None
        if opened is None:
            return None
        if opened.elf is None:
            return Broken(name, opened.cause)
        if opened.elf.abi != self.glibc.abi:
            return None
        return as_library(name, opened, how)

    def variants(self, library: Library) -> list[Library]:
        """Return the builds of `library` for better CPUs, which ld.so would prefer there."""
        directory, _, name = library.name.rpartition("/")
        place = find_directory(self.root, f"{directory}/{HWCAPS}")
        levels = sorted(place[1].children) if place else []
        found = [self._try(f"{directory}/{HWCAPS}/{x}/{name}", library.how) for x in levels]
        return [variant for variant in found if isinstance(variant, Library)]

    def interpreter(self) -> Library | None:
        """Return the loader itself, which is in every process before anything else."""
        found = self._try(self.glibc.interpreter, How.LOADER)
        return found if isinstance(found, Library) else None


def as_library(name: str, opened: Opened, how: How) -> Library:
    """Return an opened object as one to load under `name`."""
    assert opened.elf is not None
    return Library(name, opened.path, opened.links, opened.inode, opened.elf, how)
