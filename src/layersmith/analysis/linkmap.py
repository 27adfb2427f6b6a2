"""What one program has in memory once ld.so has loaded it: breadth first, each name once.

The order and the matching are those of elf/dl-deps.c and `_dl_map_object`: a need is
first looked for among the names and DT_SONAMEs of what is already loaded, and only then
searched for; a file met again under another name is the object it was. The versions are
checked as in elf/dl-version.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import structs

from layersmith.analysis.loader import Library, expand, inherited_from

if TYPE_CHECKING:
    from collections.abc import Hashable

    from layersmith.analysis.elf import ElfFile
    from layersmith.analysis.glibc import Glibc
    from layersmith.analysis.loader import Found

__all__ = ["LinkMap", "Need", "highest_version", "link_map", "unmet_versions"]

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


def link_map(program: Library, interpreter: Library | None, find: Finder, glibc: Glibc) -> LinkMap:
    """Load `program` with its interpreter, asking `find` for what is not loaded yet."""
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
        for wanted in requester.elf.needed:
            name = (expand(wanted, requester, glibc) or wanted) if "$" in wanted else wanted
            found: Found = names.get(name)
            if found is None:
                found = find(name, requester)
                if isinstance(found, Library):
                    known = inodes.get(found.inode)
                    found = known or structs.replace(
                        found, inherited=inherited_from(requester, glibc)
                    )
                    if known is None:
                        waiting.add(found.inode)
                        inodes[found.inode] = found
                    for alias in (name, found.elf.soname or name, found.name):
                        names.setdefault(alias, found)
            if isinstance(found, Library) and found.inode in waiting:
                waiting.remove(found.inode)
                objects.append(found)
            needs.append(Need(requester, name, found))
    return LinkMap(tuple(objects), tuple(needs))


def unmet_versions(requester: ElfFile, name: str, provider: ElfFile) -> list[str]:
    """Return the versions that `requester` wants of `name` and `provider` does not define.

    A provider without any versions provides all; a weak want is no want.
    """
    if not provider.versions:
        return []
    return [
        need.version
        for need in requester.version_needs
        if need.file == name and not need.weak and need.version not in provider.versions
    ]


def highest_version(provider: ElfFile, like: str) -> str | None:
    """Return the highest version that `provider` defines of the kind of `like`."""
    kind = re.split("[0-9]", like, maxsplit=1)[0]
    same = [version for version in provider.versions if re.split("[0-9]", version)[0] == kind]
    return max(same, key=_numbers, default=None)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall("[0-9]+", version)]
