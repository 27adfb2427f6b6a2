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

import re
from collections.abc import Callable, Hashable
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from layersmith.analysis.ldindex import HWCAPS
from layersmith.analysis.objects import find_directory
from layersmith.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "expand",
    "inherited_from",
    "own_directories",
    "refused_elements",
]

MAX_DIRECTORIES: Final = 1024  # of one search path
MAX_TRIES: Final = 500_000  # of one loader, for all programs; each is remembered


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


class Loader:
    """The loader of one root; `opener` is how it opens a file, for trees that overlap."""

    def __init__(
        self, root: Root, glibc: Glibc, index: Index, objects: Objects, opener: Opener | None = None
    ) -> None:
        self.root, self.glibc, self.index = root, glibc, index
        self._open: Opener = opener or (lambda name: objects.open(root, name))
        self._tries = 0
        self._known: dict[tuple[str, tuple[str, ...], bool], Found] = {}
        self._defaults = tuple(f"{directory}/" for directory in glibc.system)

    def find(self, name: str, requester: Library) -> Found:
        """Return what `requester` gets for its DT_NEEDED entry `name`, tokens replaced."""
        if "/" in name:
            return self._try(name, How.PATH)
        directories = own_directories(requester, self.glibc)
        no_defaults = requester.elf.ignores_default_directories
        key = name, directories, no_defaults
        if key not in self._known:
            self._known[key] = self._look(name, directories, no_defaults=no_defaults)
        return self._known[key]

    def _look(self, name: str, directories: tuple[str, ...], *, no_defaults: bool) -> Found:
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
        self._tries += 1
        if self._tries > MAX_TRIES:
            raise ElfError(f"more than {MAX_TRIES} files were looked for", path=name)
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


def own_directories(requester: Library, glibc: Glibc) -> tuple[str, ...]:
    """Return the directories searched first for a need of `requester`."""
    if requester.elf.runpath is not None:
        return _directories(requester.elf.runpath, requester, glibc)[0]
    return inherited_from(requester, glibc)


def inherited_from(loader: Library, glibc: Glibc) -> tuple[str, ...]:
    """Return the DT_RPATH directories of `loader` and of those that loaded it, for others."""
    if loader.elf.rpath is None or loader.elf.runpath is not None:
        return loader.inherited
    own = _directories(loader.elf.rpath, loader, glibc)[0]
    if own == loader.inherited or not loader.inherited:
        return own
    directories = tuple(dict.fromkeys((*own, *loader.inherited)))
    if len(directories) > MAX_DIRECTORIES:
        raise ElfError(f"DT_RPATH of more than {MAX_DIRECTORIES} directories", path=loader.path)
    return directories


def refused_elements(owner: Library, glibc: Glibc) -> tuple[str, ...]:
    """Return what of the search path of `owner` means the working directory.

    An empty element and a relative one do: whoever may write there chooses the library.
    """
    path = owner.elf.rpath if owner.elf.runpath is None else owner.elf.runpath
    return _directories(path, owner, glibc)[1] if path else ()


def _directories(
    path: str, owner: Library, glibc: Glibc
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a search path of `owner` into the directories and what is refused of it."""
    origin, lib, platform = (owner.origin, glibc.lib, glibc.platform) if "$" in path else ("",) * 3
    found = _split(path, origin, lib, platform)
    if len(found[0]) > MAX_DIRECTORIES:
        raise ElfError(f"a search path of more than {MAX_DIRECTORIES} directories", path=owner.path)
    return found


@lru_cache(maxsize=256)  # the same few are split again for each program
def _split(
    path: str, origin: str, lib: str, platform: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a search path (`fillin_rpath`); an empty one is as good as none."""
    values = {"ORIGIN": origin, "LIB": lib, "PLATFORM": platform}
    directories: dict[str, None] = {}
    refused: list[str] = []
    for element in path.split(":") if path else ():
        expanded = _substitute(element, values) if "$" in element else element
        if expanded is None or (element and not expanded):
            continue  # a token without a value: ld.so drops the element
        if expanded.startswith("/"):
            directories[expanded.rstrip("/")] = None
        else:
            refused.append(element)
    return tuple(directories), tuple(refused)


_TOKENS: Final = re.compile(
    r"\$(?:\{(ORIGIN|PLATFORM|LIB)\}|(ORIGIN|PLATFORM|LIB)(?![A-Za-z0-9_]))"
)


def expand(text: str, owner: Library, glibc: Glibc) -> str | None:
    """Replace the tokens of ld.so(8) in `text`; None where one has no value."""
    return _substitute(text, {"ORIGIN": owner.origin, "LIB": glibc.lib, "PLATFORM": glibc.platform})


def _substitute(text: str, values: Mapping[str, str | None]) -> str | None:
    names = [match[1] or match[2] for match in _TOKENS.finditer(text)]
    if any(values[name] is None for name in names):
        return None
    return _TOKENS.sub(lambda match: values[match[1] or match[2]] or "", text)
