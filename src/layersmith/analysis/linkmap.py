"""What one program has in memory once ld.so has loaded it: breadth first, each name once.

The order and the matching are those of elf/dl-deps.c and `_dl_map_object`: a need is
first looked for among the names and DT_SONAMEs of what is already loaded, and only then
searched for; a file met again under another name is the object it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from msgspec import structs

from layersmith.analysis.loader import Library

if TYPE_CHECKING:
    from collections.abc import Hashable

    from layersmith.analysis.loader import Found
    from layersmith.analysis.searchpath import SearchPaths

__all__ = ["LinkMap", "Need", "link_map"]

_NEED: Final = 8  # steps

Finder: TypeAlias = Callable[[str, Library], "Found"]


class Need(NamedTuple):
    """The DT_NEEDED entry `name` of `requester`, its tokens replaced, and what it came to."""

    requester: Library
    name: str
    found: Found


@dataclass(frozen=True, slots=True)
class LinkMap:
    """The objects in the order of loading, the program first, and all their needs."""

    objects: tuple[Library, ...]
    needs: tuple[Need, ...]


def link_map(
    program: Library, interpreter: Library | None, find: Finder, paths: SearchPaths
) -> LinkMap:
    """Load `program` with its interpreter, asking `find` for what is not loaded yet.

    Raises :class:`ElfError` where that takes too much effort.
    """
    objects = [program]
    needs: list[Need] = []
    names: dict[str, Library] = {}
    inodes: dict[Hashable, Library] = {}
    # The program is known by its DT_SONAME only: ld.so has neither its name nor its inode.
    if program.elf.soname:
        names[program.elf.soname] = program
    if interpreter is not None:
        inodes[interpreter.inode] = interpreter
        for alias in (interpreter.elf.soname, interpreter.name, program.elf.interpreter):
            if alias:
                names.setdefault(alias, interpreter)
    waiting = {interpreter.inode} if interpreter is not None else set()
    for requester in objects:  # grows while it is walked: a queue
        inherited: tuple[str, ...] | None = None
        wants = requester.elf.needed
        paths.effort.spend(_NEED * len(wants) + (sum(map(len, wants)) >> 5), requester.path)
        for wanted in wants:
            name = (paths.expand(wanted, requester) or wanted) if "$" in wanted else wanted
            found: Found = names.get(name)
            if found is None:
                found = find(name, requester)
                if isinstance(found, Library):
                    known = inodes.get(found.inode)
                    if known is None:
                        if inherited is None:
                            inherited = paths.inherited(requester)
                        known = structs.replace(found, inherited=inherited) if inherited else found
                        waiting.add(found.inode)
                        inodes[found.inode] = known
                    found = known
                    for alias in (name, found.elf.soname or name, found.name):
                        names.setdefault(alias, found)
            if isinstance(found, Library) and found.inode in waiting:
                waiting.remove(found.inode)
                objects.append(found)
            needs.append(Need(requester, name, found))
    return LinkMap(tuple(objects), tuple(needs))
