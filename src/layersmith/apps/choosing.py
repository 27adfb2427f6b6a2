"""Which wheel of many: the one that the image's Python likes best."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.tags import Tag
    from packaging.utils import BuildTag

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.pins import Pin, Remote

__all__ = ["Named", "best", "missing_line", "named", "ranks", "same_version", "wanted_tags"]

# No file system has longer names. Of three lists of tags the product is written out: with more
# than this it is no honest wheel's.
_LONGEST: Final = 255
_MOST_TAGS: Final = 1000


class Named(NamedTuple):
    """What a wheel's file name says (PyPA, "Binary distribution format")."""

    name: str
    version: str
    build: BuildTag
    tags: frozenset[Tag]


def named(filename: str) -> Named | None:
    """Read a file name; None if it is no wheel's."""
    many = prod(part.count(".") + 1 for part in filename.removesuffix(".whl").split("-")[-3:])
    if len(filename) > _LONGEST or many > _MOST_TAGS:
        return None
    try:
        name, version, build, tags = parse_wheel_filename(filename)
    except ValueError:  # also of a number with too many digits
        return None
    return Named(str(name), str(version), build, tags)


def ranks(interpreter: Interpreter) -> dict[Tag, int]:
    """Return how much each tag is liked: the lower the better."""
    return {tag: rank for rank, tag in reversed(list(enumerate(interpreter.tags())))}


def best(
    files: Iterable[Remote], pin: Pin, interpreter: Interpreter, liked: Mapping[Tag, int]
) -> Remote | None:
    """Return the file to install for `pin`, or None if none of `files` fits.

    Of two with equal tags the higher build number wins, then the first in order of names.
    """
    fitting = []
    for file in files:
        about = named(file.filename)
        if about is None or about.name != pin.name:
            continue
        if pin.version and not same_version(about.version, pin.version):
            continue
        rank = min((liked[tag] for tag in about.tags if tag in liked), default=None)
        if rank is None or not _takes(file.requires_python, interpreter.version):
            continue
        number, text = about.build or (0, "")
        fitting.append((rank, -number, text, file.filename, file))
    return min(fitting, key=lambda each: each[:4])[4] if fitting else None


def same_version(one: str, other: str) -> bool:
    """Tell whether two texts are one version: 1.0 is 1.0.0 (PyPA, "Version specifiers")."""
    try:
        return Version(one) == Version(other)
    except ValueError:  # also of a number with too many digits
        return one == other


def missing_line(pin: Pin, platform: str, there: Iterable[str]) -> str:
    """Say which distribution has no wheel for a platform, and what it has."""
    has = ", ".join(sorted({*there, *pin.others})) or "nothing"
    return f"{pin.name} {pin.version or ''}".rstrip() + f" for {platform}: it has {has}"


def wanted_tags(interpreter: Interpreter) -> tuple[str, ...]:
    """Return the tags of a wheel that was built for the image: as is, or for any CPython 3."""
    cp, platform = f"cp3{interpreter.minor}", next(interpreter.platforms())
    return (f"{cp}-{cp}-{platform}", f"{cp}-abi3-{platform}", "py3-none-any")


def _takes(requires_python: str, version: str) -> bool:
    try:
        return SpecifierSet(requires_python).contains(version, prereleases=True)
    except ValueError:
        return True  # as pip does with what it cannot read
