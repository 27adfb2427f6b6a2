"""What of a database concerns the packages at hand, and what is to be said of the whole.

An export is read once, entry by entry, and only what names one of the packages is kept: its
size is bounded by them, not by the export.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import structs

from layersmith.errors import DocumentError, one_line
from layersmith.scan.entries import glance, read
from layersmith.scan.subjects import CPYTHON, is_cpython_repository, normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from layersmith.scan.entries import Affected, Entry
    from layersmith.scan.subjects import Subject

__all__ = ["Database", "collect", "key_of"]

_KNOWN: Final = frozenset({"Debian", "PyPI"})


@dataclass(slots=True, eq=False)
class Database:
    """One export: `kept` are entries by ecosystem and name of the packages they are about.

    `malformed` are the entries that cannot be read, by their names in the export, and why;
    `covered` the ecosystems that entries are about, `newest` the time of the latest change.
    """

    name: str
    sha256: str
    entries: int = 0
    withdrawn: int = 0
    newest: datetime | None = None
    covered: set[str] = field(default_factory=set)
    malformed: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[tuple[str, str], list[tuple[Entry, Affected]]] = field(
        default_factory=lambda: defaultdict(list)
    )


def collect(
    name: str, sha256: str, records: Iterable[tuple[str, bytes]], wanted: Iterable[Subject]
) -> Database:
    """Read an export's `records`, names and bytes, for the packages `wanted`.

    A record that cannot be read is noted and passed over: whoever asks decides what it means.
    """
    found = Database(name, sha256)
    keys = {(ecosystem, one.key) for one in wanted for ecosystem in one.ecosystems}
    latest: dict[str, Entry] = {}
    for record, raw in records:
        found.entries += 1
        try:
            entry = _looked_at(found, raw, keys)
        except DocumentError as error:
            found.malformed.append((one_line(record, 120), error.message))
            continue
        if entry is None:
            continue
        # An export has each entry once; of two the later is what holds.
        known = latest.get(entry.id)
        if known is None or entry.moment > known.moment:
            latest[entry.id] = entry
    for entry in latest.values():
        if entry.withdrawn is not None:
            continue
        for key, affected in _named(entry):
            found.kept[key].append((entry, affected))
    return found


def _looked_at(found: Database, raw: bytes, keys: set[tuple[str, str]]) -> Entry | None:
    """Take note of an entry, and return it if it is about one of the packages `keys`."""
    entry = glance(raw)
    found.withdrawn += entry.withdrawn is not None
    found.newest = max(filter(None, (found.newest, entry.moment)))
    named = [key for key, _ in _named(entry)]
    found.covered.update(ecosystem for ecosystem, _ in named)
    if keys.isdisjoint(named):
        return None
    entry = read(raw)
    # The lists of other packages' and other releases' versions are most of what there is.
    mine = tuple(affected for key, affected in _named(entry) if key in keys)
    return structs.replace(entry, affected=mine)


def _named(entry: Entry) -> Iterator[tuple[tuple[str, str], Affected]]:
    for affected in entry.affected or ():
        if (key := key_of(affected)) is not None:
            yield key, affected


def key_of(affected: Affected) -> tuple[str, str] | None:
    """Return the ecosystem and the name of what is affected, None for what no image has."""
    package = affected.package
    if package is not None:
        base = package.ecosystem.partition(":")[0]
        if base not in _KNOWN:
            return None
        return package.ecosystem, normalized(base, package.name)
    repositories = (one.repo for one in affected.ranges or ())
    return (CPYTHON, CPYTHON) if any(map(is_cpython_repository, repositories)) else None
