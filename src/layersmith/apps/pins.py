"""What a lock settles: a distribution each, and the bytes that it may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, cast

from layersmith.errors import InvalidDigest, RecipeError, one_line
from layersmith.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from packaging.markers import EvaluateContext, Marker
    from packaging.specifiers import SpecifierSet

    from layersmith.apps.interpreter import Interpreter

__all__ = ["Indexes", "Locked", "Pin", "Remote", "admits", "holds", "strong"]

# In the order in which they are wanted: the cache is by the first.
_ALGORITHMS: Final = ("sha256", "sha512")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that is somewhere: any of `hashes` proves it; without any it is not used."""

    filename: str
    url: str = field(repr=False)
    hashes: frozenset[Digest] = frozenset()
    requires_python: str = ""


@dataclass(frozen=True, slots=True)
class Pin:
    """A distribution as it is locked.

    `files` are those that the lock names itself. Without them an index is asked for the
    version's files, and `hashes` are what they may be; `index` is the one that the lock
    names for it. `direct` is for a URL that the user named instead of a version (PyPA,
    "Recording the Direct URL Origin"). `others` are files that are no wheels.
    """

    name: str
    version: str
    hashes: frozenset[Digest] = frozenset()
    files: tuple[Remote, ...] = ()
    direct: bool = False
    index: str = field(default="", repr=False)
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where a lock says that files are; an `index` takes the configured one's place."""

    index: str = field(default="", repr=False)
    extra: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    no_index: bool = False
    trusted: tuple[str, ...] = ()


class Locked(Protocol):
    """A lock that was read."""

    @property
    def indexes(self) -> Indexes:
        """Where it says that files are."""

    def pins(
        self, interpreter: Interpreter, extras: Sequence[str], groups: Sequence[str]
    ) -> tuple[Pin, ...]:
        """Return what it settles for an interpreter, by name; raises :class:`RecipeError`."""


def strong(hashes: Iterable[tuple[str, str]], where: str) -> frozenset[Digest]:
    """Return those of the hashes, algorithm and value, that prove something.

    Raises :class:`RecipeError` where there is none: a lock without hashes is no lock.
    """
    found = [(algorithm.lower(), value.lower()) for algorithm, value in hashes]
    try:
        digests = frozenset(Digest(f"{a}:{value}") for a, value in found if a in _ALGORITHMS)
    except InvalidDigest as error:
        raise RecipeError(error.message, place=where) from None
    if not digests:
        has = f", only {one_line(found[0][0], 20)}" if found else ""
        raise RecipeError(
            f"there is no sha256 or sha512 hash{has}",
            place=where,
            hint="lock with hashes: uv export, uv pip compile --generate-hashes, "
            "pip-compile --generate-hashes, or a pylock.toml",
        )
    return digests


def holds(
    marker: Marker,
    environment: Mapping[str, Any],
    where: str,
    context: EvaluateContext = "metadata",
) -> bool:
    """Evaluate a marker; raises :class:`RecipeError` for what has the form of one, and no sense."""
    from packaging.markers import UndefinedEnvironmentName  # noqa: PLC0415 - as elsewhere

    try:
        return marker.evaluate(cast("dict[str, str]", environment), context=context)
    except (ValueError, RecursionError, UndefinedEnvironmentName) as error:
        why = one_line(str(error), 200)
        raise RecipeError(f"a marker means nothing: {why}", place=where) from None


def admits(python: SpecifierSet | None, version: str, where: str) -> bool:
    """Tell whether ``requires-python`` takes a version; raises :class:`RecipeError`."""
    try:
        return not python or python.contains(version, prereleases=True)
    except ValueError as error:  # a number with too many digits
        why = one_line(str(error), 200)
        raise RecipeError(f"requires-python means nothing: {why}", place=where) from None
