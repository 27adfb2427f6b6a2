"""Whether a version is among those that an OSV entry calls affected, and by which words.

The rules are those of the OSV schema, "affected[].ranges": events are sorted by version, each
turns the answer; limits bound a range from above; the version 0 is before all others. Ranges
of commits say nothing about versions and are passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from layersmith.analysis.debversion import debian_key
from layersmith.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.scan.entries import Affected, Event, Range

__all__ = ["ORDERS", "Matched", "Order", "UnjudgedError", "match"]

# What sorts as versions do; raises ValueError for what is no version.
Order: TypeAlias = Callable[[str], Any]
_Key: TypeAlias = tuple[int, Any]

_FIRST: Final = "0"
_ANY: Final = "*"
_SHOWN: Final = 80


class UnjudgedError(Exception):
    """An entry names the package, but cannot be understood: it may be affected."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Why a version is affected, and the first later one that is not ("" where none is named)."""

    why: str
    fixed: str


def pep440_key(text: str) -> Any:
    """Return what sorts as PEP 440 says; raises :class:`ValueError`."""
    from packaging.version import Version  # noqa: PLC0415 - only where it is asked for

    return Version(text)


# The same versions stand in many entries' lists.
ORDERS: Final[dict[str, Order]] = {
    "Debian": lru_cache(1 << 16)(debian_key),
    "PyPI": lru_cache(1 << 16)(pep440_key),
}


def match(affected: Affected, version: str, order: Order) -> Matched | None:
    """Return why `version` is among those that are affected, or None.

    Raises :class:`UnjudgedError` where that cannot be told, :class:`ValueError` where `version`
    is none.
    """
    installed = (1, order(version))
    ranges = [one for one in affected.ranges or () if one.type != "GIT"]
    for one in ranges:
        if one.type != "ECOSYSTEM":
            raise UnjudgedError(f"a range of the type {one_line(one.type, 40)!r}")
    intervals = [_judged(one, installed, order) for one in ranges]
    fixed = _first_fixed(ranges, installed, order)
    for why in intervals:
        if why:
            return Matched(why, fixed)
    if _listed(affected.versions or (), version, installed, order):
        return Matched(f"the list of versions names {version}", fixed)
    if not affected.ranges and not affected.versions:
        return Matched("every version: the entry names none", "")
    return None


def _listed(versions: Iterable[str], version: str, installed: _Key, order: Order) -> bool:
    """Tell whether a list has the version; what is no version in it is another one."""
    for one in versions:
        if one == version:
            return True
        try:
            if (1, order(one)) == installed:
                return True
        except ValueError:
            continue
    return False


def _judged(one: Range, installed: _Key, order: Order) -> str:
    """Return the part of a range that has the version, in words, or nothing."""
    # Of what happens at one version the entry's own order counts.
    turns = sorted(_turns(one.events, order), key=lambda turn: turn[0])
    limits = [text for event in one.events if (text := event.limit) is not None]
    if not turns:
        raise UnjudgedError("a range without events")
    if limits and not any(limit == _ANY or installed < _key(limit, order) for limit in limits):
        return ""
    # A range that only ends begins with the first version.
    begin = "" if turns[0][1] == _INTRODUCED else _FIRST
    for at, kind, text in turns:
        if at > installed:
            break
        if at == installed and kind == _LAST:  # affected still, whatever else happens there
            continue
        begin = text if kind == _INTRODUCED else ""
    if not begin:
        return ""
    start = "from the first version" if begin == _FIRST else f"from {_shown(begin)}"
    for at, kind, text in turns:
        if kind != _INTRODUCED and (at > installed or (at == installed and kind == _LAST)):
            return f"{start} {_ENDS[kind]} {_shown(text)}"
    return f"{start} on"


_INTRODUCED, _LAST, _FIXED = range(3)
_ENDS: Final = {_FIXED: "to before", _LAST: "up to"}


def _turns(events: Iterable[Event], order: Order) -> Iterator[tuple[_Key, int, str]]:
    for event in events:
        said = {
            _INTRODUCED: event.introduced, _LAST: event.last_affected, _FIXED: event.fixed
        }  # fmt: skip
        found = [(kind, text) for kind, text in said.items() if text is not None]
        if not found and event.limit is None:
            raise UnjudgedError("an event that is none")
        for kind, text in found:
            yield _key(text, order), kind, text


def _first_fixed(ranges: Iterable[Range], installed: _Key, order: Order) -> str:
    later = [
        (key, event.fixed)
        for one in ranges
        for event in one.events
        if event.fixed is not None and (key := _key(event.fixed, order)) > installed
    ]
    return min(later, default=(None, ""), key=lambda pair: pair[0])[1]


def _key(text: str, order: Order) -> _Key:
    if text == _FIRST:
        return 0, None
    try:
        return 1, order(text)
    except ValueError:
        raise UnjudgedError(f"{_shown(text)!r} is no version") from None


def _shown(text: str) -> str:
    return one_line(text, _SHOWN)
