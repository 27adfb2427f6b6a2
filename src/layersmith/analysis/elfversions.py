"""The version tables of an object: what it wants of others, what it defines.

Verneed and Verdef records as the LSB core and "ELF Symbol Versioning" describe them; both
are chains of relative links that end at zero. The loader follows the links and looks at none
of the counts that stand beside them; so do we, and count each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.analysis.elfimage import Image

__all__ = ["MAX_VERSIONS", "VersionNeed", "version_needs", "versions_defined"]

MAX_VERSIONS: Final = 8192

_DT_VERDEF, _DT_VERNEED = 0x6FFFFFFC, 0x6FFFFFFE
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
    for _ in range(MAX_VERSIONS):
        revision, _, file, aux, link = image.unpack(image.layout.need, at)
        if revision != 1:
            raise ElfError(f"unknown revision {revision} of version needs")
        found += _wanted(image, image.string(file), at + aux, MAX_VERSIONS - len(found))
        if not link:
            return tuple(found)
        at += link
    raise _too_many()


def _wanted(image: Image, file: str, at: int, most: int) -> list[VersionNeed]:
    """Walk the Vernaux records of one file."""
    found: list[VersionNeed] = []
    for _ in range(most):
        _, flags, _, wanted, link = image.unpack(image.layout.need_aux, at)
        found.append(VersionNeed(file, image.string(wanted), bool(flags & _VER_FLG_WEAK)))
        if not link:
            return found
        at += link
    raise _too_many()


def versions_defined(image: Image, dynamic: Mapping[int, int]) -> tuple[str, ...]:
    """Walk the Verdef records; the first name of each is the version that it defines."""
    if _DT_VERDEF not in dynamic:
        return ()
    found: list[str] = []
    at = image.offset(dynamic[_DT_VERDEF], "the table of versions")
    for _ in range(MAX_VERSIONS):
        revision, _, _, _, _, aux, link = image.unpack(image.layout.definition, at)
        if revision != 1:
            raise ElfError(f"unknown revision {revision} of version definitions")
        (name,) = image.unpack(image.layout.word, at + aux)
        found.append(image.string(name))
        if not link:
            return tuple(found)
        at += link
    raise _too_many()


def _too_many() -> ElfError:
    return ElfError(f"more than {MAX_VERSIONS} versions, or a table without an end")
