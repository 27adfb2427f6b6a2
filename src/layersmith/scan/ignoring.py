"""What a user has decided not to act on: a TOML file, a table ``[[ignore]]`` for each decision.

::

    [[ignore]]
    id = "CVE-2025-1234"        # or any other name of the vulnerability
    package = "openssl"         # optional: of this package (binary or source) only
    purl = "pkg:deb/debian/..." # optional: of this package URL only, qualifiers left out
    reason = "..."              # why it may be ignored
    expires = 2026-06-30        # optional: the last day on which this holds
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec

from layersmith.errors import RecipeError, one_line, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layersmith.scan.matching import Finding
    from layersmith.scan.subjects import Subject

__all__ = ["Applied", "Ignore", "apply", "parse_ignores"]

_MOST: Final = 10_000


class Ignore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One decision."""

    id: str
    reason: str
    package: str = ""
    purl: str = ""
    expires: date | None = None

    def fits(self, finding: Finding) -> bool:
        """Tell whether the decision is about this finding, whatever the day."""
        return self.id in finding.names and self._is_about(finding.subject)

    def holds(self, today: date) -> bool:
        """Tell whether it holds still."""
        return self.expires is None or today <= self.expires

    def _is_about(self, subject: Subject) -> bool:
        if self.package and self.package not in (subject.name, subject.key):
            return False
        purls = {_plain(place.purl) for place in subject.places}
        return not self.purl or _plain(self.purl) in purls or _unversioned(self.purl, purls)

    def __str__(self) -> str:
        """Return what it is about, to be shown."""
        about = self.package or self.purl
        return one_line(f"{self.id} of {about}" if about else self.id, 200)


@dataclass(frozen=True, slots=True)
class Applied:
    """Findings with the decision that holds for each; those that are over, those without use."""

    findings: tuple[Finding, ...]
    expired: tuple[Ignore, ...]
    unused: tuple[Ignore, ...]


def parse_ignores(raw: bytes, where: str) -> tuple[Ignore, ...]:
    """Read an ignore file; raises :class:`RecipeError` with the place of the first fault."""
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise RecipeError("not UTF-8 text", place=where) from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(typed(str(error), 200), place=where) from None
    entries = document.pop("ignore", [])
    if document or not isinstance(entries, list) or len(entries) > _MOST:
        strange = f": {one_line(min(document), 60)!r} is none" if document else ""
        raise RecipeError(f"tables [[ignore]] are all that may be here{strange}", place=where)
    return tuple(
        _ignore(entry, f"{where}: [[ignore]] {number}") for number, entry in enumerate(entries, 1)
    )


def apply(findings: Iterable[Finding], ignores: Sequence[Ignore], today: date) -> Applied:
    """Hold decisions against findings; the first that holds for a finding is its."""
    findings = list(findings)
    decided = []
    for finding in findings:
        holding = (one for one in ignores if one.holds(today) and one.fits(finding))
        decided.append(replace(finding, ignored=next(holding, None)))
    expired = tuple(one for one in ignores if not one.holds(today) and any(map(one.fits, findings)))
    unused = tuple(one for one in ignores if not any(map(one.fits, findings)))
    return Applied(tuple(decided), expired, unused)


def _ignore(entry: Any, where: str) -> Ignore:
    if isinstance(entry, dict):
        entry = {key: _day(value) if key == "expires" else value for key, value in entry.items()}
    try:
        found = msgspec.convert(entry, Ignore)
    except msgspec.ValidationError as error:
        raise RecipeError(one_line(str(error), 200), place=where) from None
    if not found.id.strip() or not found.reason.strip():
        raise RecipeError("id and reason must say something", place=where)
    return found


def _day(value: Any) -> Any:
    """Return a date that TOML knows, or that is written as a string, for a date; else `value`."""
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return "a moment: give a day" if isinstance(value, datetime) else value


def _plain(purl: str) -> str:
    """Return a package URL without its qualifiers, as it is meant."""
    return unquote(purl.partition("?")[0].partition("#")[0])


def _unversioned(purl: str, purls: Iterable[str]) -> bool:
    wanted = _plain(purl)
    return "@" not in wanted and any(one.rpartition("@")[0] == wanted for one in purls)
