"""Whether a library defines the versions that another wants of it (elf/dl-version.c)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from layersmith.analysis.effort import Effort
    from layersmith.analysis.elf import ElfFile
    from layersmith.analysis.loader import Library

__all__ = ["Unmet", "Versions"]


class Unmet(NamedTuple):
    """Versions that are not there, sorted, and the `highest` of their kind that is."""

    versions: tuple[str, ...]
    highest: str | None


_NOTHING: Final = Unmet((), None)


class Versions:
    """Answers for pairs of objects, each found out once: programs have most of them in common.

    Objects are told apart by identity, and kept, so that an identity stays theirs.
    """

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._kept: list[ElfFile] = []
        self._wanted: dict[int, dict[str, list[str]]] = {}
        self._defined: dict[int, frozenset[str]] = {}
        self._unmet: dict[tuple[int, str, int], Unmet] = {}

    def unmet(self, requester: Library, name: str, provider: Library) -> Unmet:
        """Return what `requester` wants of `name` and `provider` does not define.

        A provider without any versions provides all; a weak want is no want.
        """
        if not provider.elf.versions or not requester.elf.version_needs:
            return _NOTHING
        key = id(requester.elf), name, id(provider.elf)
        if key not in self._unmet:
            wanted = self._wanted_by(requester).get(name, ())
            self._effort.spend(len(wanted) >> 3, requester.path)
            defined = self._defined_by(provider) if wanted else frozenset()
            unmet = [version for version in wanted if version not in defined]
            self._unmet[key] = self._described(unmet, provider) if unmet else _NOTHING
        self._effort.spend(len(self._unmet[key].versions) >> 4, requester.path)
        return self._unmet[key]

    def _described(self, unmet: list[str], provider: Library) -> Unmet:
        """Find the highest version of the kind of the last that is unmet."""
        self._effort.spend(2 * len(provider.elf.versions), provider.path)
        kind = _kind(unmet[-1])
        same = [version for version in provider.elf.versions if _kind(version) == kind]
        return Unmet(tuple(sorted(unmet)), max(same, key=_numbers, default=None))

    def _wanted_by(self, requester: Library) -> dict[str, list[str]]:
        elf = requester.elf
        if id(elf) not in self._wanted:
            self._effort.spend(len(elf.version_needs) >> 2, requester.path)
            self._kept.append(elf)
            wanted = self._wanted[id(elf)] = {}
            for need in elf.version_needs:
                if not need.weak:
                    wanted.setdefault(need.file, []).append(need.version)
        return self._wanted[id(elf)]

    def _defined_by(self, provider: Library) -> frozenset[str]:
        elf = provider.elf
        if id(elf) not in self._defined:
            self._effort.spend(len(elf.versions) >> 3, provider.path)
            self._kept.append(elf)
            self._defined[id(elf)] = frozenset(elf.versions)
        return self._defined[id(elf)]


def _kind(version: str) -> str:
    return re.split("[0-9]", version, maxsplit=1)[0]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall("[0-9]+", version)]
