"""The version tables of an object: what it wants of others, what it defines.

Verneed and Verdef records as the LSB core and "ELF Symbol Versioning" describe them; both
are chains of relative links that end at zero, so each step is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.analysis.elfimage import Image

__all__ = ["MAX_VERSIONS", "VersionNeed", "version_needs", "versions_defined"]

MAX_VERSIONS: Final = 8192

_DT_VERDEF, _DT_VERDEFNUM = 0x6FFFFFFC, 0x6FFFFFFD
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_VER_FLG_WEAK: Final = 2


class VersionNeed(NamedTuple):
    """One version that the object wants of the object `file` (a DT_NEEDED name).

    Without a `weak` one the program would still start (elf/dl-version.c).
    """

    file: str
    version: str
    weak: bool


def version_needs(image: Image, dynamic: Mapping[int, int]) -> tuple[VersionNeed, ...]:
    """Walk the Verneed records, and the Vernaux records of each."""
    if _DT_VERNEED not in dynamic:
        return ()
    found: list[VersionNeed] = []
    at = image.offset(dynamic[_DT_VERNEED], "the table of version needs")
    for _ in range(_count(dynamic.get(_DT_VERNEEDNUM, 0))):
        revision, count, file, aux, link = image.unpack(image.layout.need, at)
        if revision != 1:
            raise ElfError(f"unknown revision {revision} of version needs")
        name = image.string(file)
        here = at + aux
        for _ in range(count):
            _, flags, _, wanted, next_aux = image.unpack(image.layout.need_aux, here)
            found.append(VersionNeed(name, image.string(wanted), bool(flags & _VER_FLG_WEAK)))
            _count(len(found))
            if not next_aux:
                break
            here += next_aux
        if not link:
            break
        at += link
    return tuple(found)


def versions_defined(image: Image, dynamic: Mapping[int, int]) -> tuple[str, ...]:
    """Walk the Verdef records; the first name of each is the version that it defines."""
    if _DT_VERDEF not in dynamic:
        return ()
    found: list[str] = []
    at = image.offset(dynamic[_DT_VERDEF], "the table of versions")
    for _ in range(_count(dynamic.get(_DT_VERDEFNUM, 0))):
        revision, _, _, _, _, aux, link = image.unpack(image.layout.definition, at)
        if revision != 1:
            raise ElfError(f"unknown revision {revision} of version definitions")
        (name,) = image.unpack(image.layout.word, at + aux)
        found.append(image.string(name))
        if not link:
            break
        at += link
    return tuple(found)


def _count(number: int) -> int:
    """Return `number` of version records, if it is one that can be."""
    if number > MAX_VERSIONS:
        raise ElfError(f"{number} versions, more than {MAX_VERSIONS}")
    return number
