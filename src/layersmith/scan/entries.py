"""An entry of an OSV database, as the OSV schema has it (ossf.github.io/osv-schema, 1.6, 1.7).

Only what decides a match is typed; keys that are not known may have been added since. Where
the schema allows null, null is read as absent.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import msgspec

from layersmith.errors import DocumentError, one_line
from layersmith.oci.strictjson import decode, typed

__all__ = [
    "MAX_ENTRY",
    "Affected",
    "Entry",
    "Event",
    "Package",
    "Range",
    "Rating",
    "glance",
    "read",
]

MAX_ENTRY: Final = 16 << 20
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,30})?Z", re.ASCII)
_NAME: Final = 200


class Rating(msgspec.Struct, frozen=True):
    """How bad it is: a CVSS vector, or somebody's word."""

    type: str
    score: str


class Event(msgspec.Struct, frozen=True):
    """Where a range begins or ends."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(msgspec.Struct, frozen=True):
    """Versions, between events."""

    type: str
    events: tuple[Event, ...]
    repo: str = ""


class Package(msgspec.Struct, frozen=True):
    """A package; of Debian's it is the source package."""

    ecosystem: str
    name: str


class Affected(msgspec.Struct, frozen=True):
    """Which versions of which package."""

    package: Package | None = None
    ranges: tuple[Range, ...] | None = None
    versions: tuple[str, ...] | None = None
    severity: tuple[Rating, ...] | None = None
    ecosystem_specific: dict[str, Any] | None = None
    database_specific: dict[str, Any] | None = None


class Entry(msgspec.Struct, frozen=True):
    """One vulnerability in one database's words."""

    id: str
    modified: str
    withdrawn: str | None = None
    aliases: tuple[str, ...] | None = None
    upstream: tuple[str, ...] | None = None
    summary: str | None = None
    severity: tuple[Rating, ...] | None = None
    affected: tuple[Affected, ...] | None = None
    database_specific: dict[str, Any] | None = None

    @property
    def moment(self) -> datetime:
        """When the entry was changed last; :func:`glance` has seen that it is a time."""
        return _moment(self.modified)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that this very vulnerability is called.

        What a distribution's entry is made from, where that is one vulnerability, is it too:
        DEBIAN-CVE-2025-1 is CVE-2025-1. An advisory made from several is none of them.
        """
        upstream = self.upstream or ()
        only = upstream if len(upstream) == 1 else ()
        return tuple(dict.fromkeys((self.id, *(self.aliases or ()), *only)))


def glance(raw: bytes) -> Entry:
    """Read an entry quickly: enough to see which packages it is about.

    What is about an installed package is read again, by :func:`read`. That repeated keys
    pass here costs nothing: who writes a database has no need of tricks to leave something
    out. Raises :class:`DocumentError`.
    """
    if len(raw) > MAX_ENTRY:
        raise DocumentError(f"larger than {MAX_ENTRY >> 20} MiB")
    try:
        return _checked(_decoder().decode(raw))
    except RecursionError:
        raise DocumentError("nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DocumentError(one_line(str(error), 200)) from None


def read(raw: bytes) -> Entry:
    """Read an entry the strict way; raises :class:`DocumentError`."""
    return _checked(typed(decode(raw, "entry", limit=MAX_ENTRY), Entry, "entry"))


@cache
def _decoder() -> msgspec.json.Decoder[Entry]:
    return msgspec.json.Decoder(Entry)


def _checked(entry: Entry) -> Entry:
    """Return `entry` if it can be named and dated."""
    for name in (entry.id, *(entry.aliases or ()), *(entry.upstream or ())):
        if not name or len(name) > _NAME or not name.isprintable() or " " in name:
            raise DocumentError(f"{one_line(name, 60)!r} is no name of a vulnerability")
    if not entry.modified:
        raise DocumentError("it does not say when it was modified")
    for text in (entry.modified, entry.withdrawn):
        if text is not None:  # an empty one is no time either: it would pass for withdrawn
            _moment(text)
    return entry


def _moment(text: str) -> datetime:
    """Return a time of RFC 3339 in UTC, as the schema wants it."""
    match = _TIME.fullmatch(text)
    try:
        if match is not None:
            return datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError:
        pass
    raise DocumentError(f"{one_line(text, 60)!r} is no time in UTC")
