"""Findings: a package, what is known against it, why that holds for its version, and where it is.

Entries that are aliases of one another (one vulnerability in several databases' words) are one
finding. An advisory that only bundles vulnerabilities which are all found by themselves is
named with them, not listed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from layersmith.errors import one_line
from layersmith.scan.entries import Affected
from layersmith.scan.ranges import ORDERS, UnjudgedError, match
from layersmith.scan.severity import Level, Severity, severity_of, worst
from layersmith.scan.subjects import CPYTHON, STRANGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layersmith.scan.database import Database
    from layersmith.scan.entries import Entry
    from layersmith.scan.ignoring import Ignore
    from layersmith.scan.ranges import Matched, Order
    from layersmith.scan.subjects import Subject

__all__ = ["Finding", "Scanned", "Uncovered", "scan"]

_SUMMARY: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One vulnerability of one package.

    `aliases` are its other names, `related` the vulnerabilities that an advisory is made from,
    or the advisories that this one is in; `fixed` is the first version without it, "" where
    there is none; `why` says which part of which entry has the installed version.
    """

    subject: Subject
    id: str
    aliases: tuple[str, ...]
    related: tuple[str, ...]
    severity: Severity
    fixed: str
    why: tuple[str, ...]
    summary: str
    database: str
    ignored: Ignore | None = None

    @property
    def names(self) -> frozenset[str]:
        """Everything that this vulnerability is called: what an ignore may name."""
        return frozenset((self.id, *self.aliases))


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A package that was not judged, and why."""

    subject: Subject
    why: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """Findings, the worst first, what was not judged, and entries that could not be read."""

    findings: tuple[Finding, ...]
    uncovered: tuple[Uncovered, ...]
    malformed: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Hit:
    entry: Entry
    affected: Affected
    matched: Matched
    database: str


def scan(subjects: Sequence[Subject], databases: Sequence[Database]) -> Scanned:
    """Hold packages against databases."""
    findings: list[Finding] = []
    uncovered: list[Uncovered] = []
    unread = [(db.name, *each) for db in databases for each in db.malformed]
    inherited = _Inherited(databases)
    for subject in subjects:
        why = _objection(subject, databases)
        if why:
            uncovered.append(Uncovered(subject, why))
            continue
        hits, unjudged = _hits(subject, databases)
        unread += unjudged
        findings += _bundled([_finding(subject, group, inherited) for group in _groups(hits)])
        if commits := sum(_names_commits_only(a) for _, _, a in _entries(subject, databases)):
            why = f"{commits} entries name commits only, which no version can be held against"
            uncovered.append(Uncovered(subject, why))
    return Scanned(
        tuple(sorted(findings, key=_rank)), tuple(uncovered), tuple(dict.fromkeys(unread))
    )


def _hits(
    subject: Subject, databases: Iterable[Database]
) -> tuple[list[_Hit], list[tuple[str, str, str]]]:
    """Return what affects a package, and the entries of which that cannot be told."""
    hits: list[_Hit] = []
    unread = []
    for database, entry, affected in _entries(subject, databases):
        try:
            matched = _match(subject, affected)
        except UnjudgedError as error:
            unread.append((database.name, entry.id, f"{subject.key}: {error}"))
            continue
        if matched is not None:
            hits.append(_Hit(entry, affected, matched, database.name))
    return hits, unread


def _names_commits_only(affected: Affected) -> bool:
    ranges = affected.ranges or ()
    return not affected.versions and bool(ranges) and all(one.type == "GIT" for one in ranges)


def _rank(finding: Finding) -> tuple[int, float, Subject, str]:
    severity = finding.severity
    return -severity.level, -severity.score, finding.subject, finding.id


def _order(subject: Subject) -> Order:
    return ORDERS["PyPI" if subject.ecosystem == CPYTHON else subject.ecosystem.partition(":")[0]]


def _objection(subject: Subject, databases: Iterable[Database]) -> str:
    """Return why a package cannot be judged, or nothing."""
    if subject.kind == STRANGE:
        return "packages of another distribution than Debian"
    if not subject.ecosystem:
        return "not of a release of Debian that is known"
    if not any(db.covered.intersection(subject.ecosystems) for db in databases):
        return f"no database has entries for {subject.ecosystem}"
    try:
        _order(subject)(subject.judged)
    except ValueError:
        return f"{one_line(subject.judged, 60)!r} cannot be put in order"
    return ""


def _entries(
    subject: Subject, databases: Iterable[Database]
) -> Iterator[tuple[Database, Entry, Affected]]:
    """Yield what is said of a package; of an entry that two databases have, the later one."""
    said = [
        (db, entry, affected)
        for db in databases
        for ecosystem in subject.ecosystems
        for entry, affected in db.kept.get((ecosystem, subject.key), ())
    ]
    latest: dict[str, Entry] = {}
    for _, entry, _ in said:
        if entry.id not in latest or entry.moment > latest[entry.id].moment:
            latest[entry.id] = entry
    return (each for each in said if latest[each[1].id] is each[1])


def _match(subject: Subject, affected: Affected) -> Matched | None:
    order = _order(subject)
    if subject.ecosystem != CPYTHON:
        found = match(affected, subject.judged, order)
        # A local build (2.0+cu118) is the release that it is made from: databases know no other.
        if found is None and subject.ecosystem == "PyPI" and "+" in subject.judged:
            found = match(affected, subject.judged.partition("+")[0], order)
        return found
    # Tags are the releases' versions with a v in front; commits cannot be looked up here.
    versions = tuple(tag.removeprefix("v") for tag in affected.versions or ())
    listed = Affected(versions=versions, ranges=affected.ranges)
    return match(listed, subject.judged, order)


def _groups(hits: Sequence[_Hit]) -> list[list[_Hit]]:
    """Return `hits` grouped by the names that they share."""
    groups: list[tuple[set[str], list[_Hit]]] = []
    for hit in hits:
        names = set(hit.entry.names)
        same = [group for group in groups if not names.isdisjoint(group[0])]
        together = [*(each for group in same for each in group[1]), hit]
        groups = [group for group in groups if group not in same]
        groups.append((names.union(*(group[0] for group in same)), together))
    return [group for _, group in groups]


def _finding(subject: Subject, hits: Sequence[_Hit], inherited: _Inherited) -> Finding:
    hits = sorted(hits, key=lambda hit: (hit.entry.id, hit.database))
    names = sorted({name for hit in hits for name in hit.entry.names})
    upstream = {name for hit in hits for name in hit.entry.upstream or ()}
    order = _order(subject)
    fixes = {hit.matched.fixed for hit in hits} - {""}
    first = hits[0].entry
    return Finding(
        subject=subject,
        id=first.id,
        aliases=tuple(name for name in names if name != first.id),
        related=tuple(sorted(upstream - set(names))),
        severity=inherited.severity(hits),
        # Whoever knows of a fix: with the last of them all is content.
        fixed=max(fixes, key=order, default=""),
        why=tuple(dict.fromkeys(map(_why, hits))),
        summary=one_line(first.summary or "", _SUMMARY),
        database=hits[0].database,
    )


def _why(hit: _Hit) -> str:
    package = hit.affected.package
    about = f"{package.ecosystem} {package.name}" if package else CPYTHON
    return one_line(f"{hit.entry.id}: {about}, {hit.matched.why}", _SUMMARY)


class _Inherited:
    """Severities: an entry's own, else those of the vulnerabilities it is made from."""

    def __init__(self, databases: Iterable[Database]) -> None:
        self._by_name: dict[str, list[Severity]] = {}
        for database in databases:
            for pairs in database.kept.values():
                for entry, affected in pairs:
                    said = severity_of(entry, [affected])
                    for name in entry.names:
                        self._by_name.setdefault(name, []).append(said)

    def severity(self, hits: Sequence[_Hit]) -> Severity:
        """Return how bad the vulnerability is that all `hits` are about."""
        own = worst(severity_of(hit.entry, [hit.affected]) for hit in hits)
        if own.level is not Level.UNKNOWN:
            return own
        above = {name for hit in hits for name in (*hit.entry.names, *(hit.entry.upstream or ()))}
        return worst(said for name in sorted(above) for said in self._by_name.get(name, ()))


def _bundled(findings: Sequence[Finding]) -> list[Finding]:
    """Return `findings` without advisories whose vulnerabilities are all found by themselves."""
    alone = {name: one.id for one in findings if not one.related for name in one.names}
    within: dict[str, set[str]] = {}
    kept = []
    for one in findings:
        if not one.related or not alone.keys() >= set(one.related):
            kept.append(one)
            continue
        for name in one.related:
            within.setdefault(alone[name], set()).update(one.names)
    return [
        replace(one, related=tuple(sorted({*one.related, *within.get(one.id, ())}))) for one in kept
    ]
