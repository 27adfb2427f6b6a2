"""The directories that DT_RPATH and DT_RUNPATH name, and the tokens in them.

`fillin_rpath` and `_dl_dst_substitute` of elf/dl-load.c: ``$ORIGIN``, ``$LIB`` and
``$PLATFORM``, also in braces. What expands beyond PATH_MAX can name no file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.analysis.effort import Effort
    from layersmith.analysis.glibc import Glibc
    from layersmith.analysis.loader import Library

__all__ = ["SearchPaths"]

MAX_DIRECTORIES: Final = 1024  # of one search path
_MAX_REFUSED: Final = 16  # of one search path, to be named in a message
_PATH_MAX: Final = 4096
_TOKENS: Final = re.compile(
    r"\$(?:\{(ORIGIN|PLATFORM|LIB)\}|(ORIGIN|PLATFORM|LIB)(?![A-Za-z0-9_]))"
)


class _Split(NamedTuple):
    """A search path in its parts: absolute directories, and some of what is refused."""

    directories: tuple[str, ...]
    refused: tuple[str, ...]


class SearchPaths:
    """Search paths as one loader reads them; each is split once, however many have it."""

    def __init__(self, glibc: Glibc, effort: Effort) -> None:
        self.glibc = glibc
        self.effort = effort
        self._known: dict[tuple[str, str], _Split] = {}

    def own(self, requester: Library) -> tuple[str, ...]:
        """Return the directories searched first for a need of `requester`."""
        if requester.elf.runpath is not None:
            return self._split(requester.elf.runpath, requester).directories
        return self.inherited(requester)

    def inherited(self, loader: Library) -> tuple[str, ...]:
        """Return the DT_RPATH directories of `loader` and of those that loaded it, for others."""
        if loader.elf.rpath is None or loader.elf.runpath is not None:
            return loader.inherited
        own = self._split(loader.elf.rpath, loader).directories
        if own == loader.inherited or not loader.inherited:
            return own
        self.effort.spend(len(own) + len(loader.inherited) >> 4, loader.path)
        directories = tuple(dict.fromkeys((*own, *loader.inherited)))
        if len(directories) > MAX_DIRECTORIES:
            raise ElfError(f"DT_RPATH of more than {MAX_DIRECTORIES} directories", path=loader.path)
        return directories

    def refused(self, owner: Library) -> tuple[str, ...]:
        """Return what of the search path of `owner` means the working directory.

        An empty element and a relative one do: whoever may write there chooses the library.
        """
        path = owner.elf.rpath if owner.elf.runpath is None else owner.elf.runpath
        return self._split(path, owner).refused if path else ()

    def expand(self, text: str, owner: Library) -> str | None:
        """Replace the tokens of ld.so(8) in `text`; None where that gives no file name."""
        self.effort.spend(1 + (len(text) >> 4), owner.path)
        return _substitute(text, self._values(owner.origin))

    def _values(self, origin: str) -> Mapping[str, str | None]:
        return {"ORIGIN": origin, "LIB": self.glibc.lib, "PLATFORM": self.glibc.platform}

    def _split(self, path: str, owner: Library) -> _Split:
        key = path, owner.origin if "$" in path else ""
        found = self._known.get(key)
        if found is None:
            self.effort.spend(len(path) >> 3, owner.path)
            found = self._known[key] = _split(path, self._values(key[1]))
            if len(found.directories) > MAX_DIRECTORIES:
                raise ElfError(
                    f"a search path of more than {MAX_DIRECTORIES} directories", path=owner.path
                )
        return found


def _split(path: str, values: Mapping[str, str | None]) -> _Split:
    """Split a search path (`fillin_rpath`); an empty one is as good as none."""
    directories: dict[str, None] = {}
    refused: list[str] = []
    for element in path.split(":") if path else ():
        expanded = _substitute(element, values) if "$" in element else element
        if expanded is None or (element and not expanded):
            continue  # a token without a value: ld.so drops the element
        if expanded.startswith("/"):
            directories[expanded.rstrip("/")] = None
        elif len(refused) < _MAX_REFUSED:
            refused.append(element)
    return _Split(tuple(directories), tuple(refused))


def _substitute(text: str, values: Mapping[str, str | None]) -> str | None:
    found = [values[match[1] or match[2]] for match in _TOKENS.finditer(text)]
    if None in found or len(text) + sum(len(value or "") for value in found) > 2 * _PATH_MAX:
        return None
    expanded = _TOKENS.sub(lambda match: values[match[1] or match[2]] or "", text)
    return expanded if len(expanded) < _PATH_MAX else None
