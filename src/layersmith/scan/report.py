"""A scan's result as one JSON document: the same bytes for the same image, databases and day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from layersmith.scan.database import Database
    from layersmith.scan.ignoring import Applied
    from layersmith.scan.matching import Finding, Scanned
    from layersmith.scan.subjects import Place, Subject

__all__ = ["Report", "document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a scan has to say; `today` is the day by which ages are counted."""

    name: str
    platforms: tuple[str, ...]
    subjects: Sequence[Subject]
    databases: Sequence[Database]
    scanned: Scanned
    applied: Applied
    today: date

    @property
    def open(self) -> list[Finding]:
        """The findings that are not ignored."""
        return [finding for finding in self.applied.findings if finding.ignored is None]

    @property
    def counts(self) -> dict[str, int]:
        """How many are open of each level, the worst first."""
        found = Counter(finding.severity.level for finding in self.open)
        return {str(level): found[level] for level in sorted(found, reverse=True)}

    def age(self, database: Database) -> int | None:
        """Return how many days old a database is; None for one without entries."""
        if database.newest is None:
            return None
        return (self.today - database.newest.date()).days

    def aged(self, database: Database) -> str:
        """Return the same in words."""
        days = self.age(database)
        if days is None or database.newest is None:
            return "no entry that can be read"
        said = "dated in the future" if days < 0 else f"{days} day{'' if days == 1 else 's'} old"
        return f"the newest of {database.newest:%Y-%m-%d}, {said}"


def document(report: Report) -> dict[str, Any]:
    """Return the document of ``scan --json``."""
    return {
        "name": report.name,
        "platforms": list(report.platforms),
        "packages": len(report.subjects),
        "day": report.today.isoformat(),
        "databases": [_database(report, one) for one in report.databases],
        "counts": report.counts,
        "findings": [_finding(finding) for finding in report.applied.findings],
        "uncovered": [
            {**_package(one.subject), "why": one.why} for one in report.scanned.uncovered
        ],
        "malformed": [
            {"database": database, "entry": entry, "why": why}
            for database, entry, why in report.scanned.malformed
        ],
        "expired": [str(one) for one in report.applied.expired],
        "unused": [str(one) for one in report.applied.unused],
    }


def _database(report: Report, one: Database) -> dict[str, Any]:
    return {
        "name": one.name,
        "sha256": one.sha256,
        "entries": one.entries,
        "withdrawn": one.withdrawn,
        "newest": one.newest.strftime("%Y-%m-%dT%H:%M:%SZ") if one.newest else None,
        "days": report.age(one),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    severity, ignored = finding.severity, finding.ignored
    return {
        "id": finding.id,
        "aliases": list(finding.aliases),
        "related": list(finding.related),
        "package": _package(finding.subject),
        "fixed": finding.fixed or None,
        "severity": {
            "level": str(severity.level),
            "score": severity.score if severity.score >= 0 else None,
            "said": severity.said or None,
        },
        "summary": finding.summary or None,
        "why": list(finding.why),
        "database": finding.database,
        "places": [_place(place) for place in finding.subject.places],
        "ignored": ignored
        and {
            "reason": ignored.reason,
            "expires": ignored.expires.isoformat() if ignored.expires else None,
        },
    }


def _package(subject: Subject) -> dict[str, Any]:
    return {
        "kind": subject.kind,
        "name": subject.name,
        "version": subject.version,
        "ecosystem": subject.ecosystem or None,
        "source": {"name": subject.key, "version": subject.judged}
        if subject.kind == "debian"
        else None,
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "platform": place.platform,
        "record": f"/{place.record}",
        "layer": place.layer or None,
        "origin": place.origin or None,
        "purl": place.purl,
    }
