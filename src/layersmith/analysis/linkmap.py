"""What one program has in memory once ld.so has loaded it: breadth first, each name once.

The order and the matching are those of elf/dl-deps.c and `_dl_map_object`: a need is
first looked for among the names and DT_SONAMEs of what is already loaded, and only then
searched for; a file met again under another name is the object it was. The versions are
checked as in elf/dl-version.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from layersmith.analysis.loader import Library, inherited_from

if TYPE_CHECKING:
    from collections.abc import Hashable

    from layersmith.analysis.elf import ElfFile
    from layersmith.analysis.glibc import Glibc
    from layersmith.analysis.loader import Found

__all__ = ["LinkMap", "Need", "highest_version", "link_map", "unmet_versions"]

Finder: TypeAlias = Callable[[str, Library], "Found"]


class Need(NamedTuple):
    """The DT_NEEDED entry `name` of `requester`, and what it came to."""

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
    for library in (program, interpreter):
        if library is not None:
            inodes[library.inode] = library
            for name in (library.elf.soname, library.name, library.elf.interpreter):
                names.setdefault(name or "", library)
    waiting = {interpreter.inode} if interpreter is not None else set()
    for requester in objects:  # grows while it is walked: a queue
        for name in requester.elf.needed:
            found = names.get(name) or find(name, requester)
            if isinstance(found, Library):
                known = inodes.get(found.inode)
                if known is None:
                    known = replace(found, inherited=inherited_from(requester, glibc))
                    inodes[found.inode] = known
                    waiting.add(found.inode)
                found = known
                if found.inode in waiting:
                    waiting.remove(found.inode)
                    objects.append(found)
                for alias in (name, found.elf.soname, found.name):
                    names.setdefault(alias or "", found)
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
