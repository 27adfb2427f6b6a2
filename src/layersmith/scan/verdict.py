"""What follows from a scan: what a user should know besides, and whether the answer is no.

It fails closed: a severity that nobody says may be any, a package that no database covers may
have anything, and an entry that cannot be read may be about whatever is in the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from layersmith.errors import DocumentError, Vulnerable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.scan.report import Report
    from layersmith.scan.severity import Level

__all__ = ["decide", "warnings"]

_OLD: Final = 7  # days
_AHEAD: Final = 1  # days that a clock may be behind
_NAMED: Final = 5


def warnings(report: Report) -> Iterator[str]:
    """Yield old databases, what was not judged, and decisions that are over or without use."""
    for database in report.databases:
        if not _is_fresh(report.age(database), _OLD):
            yield f"{database.name}: {report.aged(database)}"
    if not report.subjects:
        yield "no packages are recorded there: nothing was judged"
    reasons: dict[str, list[str]] = {}
    for one in report.scanned.uncovered:
        reasons.setdefault(one.why, []).append(f"{one.subject.name} {one.subject.version}".rstrip())
    for why, names in reasons.items():
        yield f"not judged: {_few(names)}: {why}"
    for expired in report.applied.expired:
        yield f"the ignore of {expired} has expired on {expired.expires}: it does not hold"
    for unused in report.applied.unused:
        yield f"the ignore of {unused} fits nothing that was found"
    malformed = report.scanned.malformed
    for name, entry, why in malformed[:_NAMED]:
        yield f"{name}: {entry} cannot be read: {why}"
    if len(malformed) > _NAMED:
        yield f"{len(malformed) - _NAMED} more entries cannot be read (--json has all)"


def decide(
    report: Report, threshold: Level | None, max_age: int | None, *, covered: bool, sound: bool
) -> None:
    """Raise :class:`Vulnerable` or :class:`DocumentError` where the answer is no.

    What reaches `threshold` is refused, and with it what no database covers if it has to be
    `covered`; databases of more than `max_age` days; and unless these need not be `sound`,
    entries that cannot be read.
    """
    if reasons := [
        *(_found(report, threshold, covered=covered) if threshold is not None else ()),
        *(_old(report, max_age) if max_age is not None else ()),
    ]:
        raise Vulnerable(f"{report.name}: {'; '.join(reasons)}")
    malformed = report.scanned.malformed
    if malformed and sound:
        name, entry, why = malformed[0]
        raise DocumentError(
            f"{len(malformed)} entries cannot be read, the first is {entry} of {name}: {why}",
            hint="they may be about what is in the image: fetch the database again, or do without "
            "them: --allow-malformed",
        )


def _found(report: Report, threshold: Level, *, covered: bool) -> Iterator[str]:
    bad = [one for one in report.open if one.severity.reaches(threshold)]
    if bad:
        unknown = sum(one.severity.level < threshold for one in bad)
        known = len(bad) - unknown
        if known:
            yield f"{known} of {threshold} severity or above"
        if unknown:
            yield f"{unknown} of a severity that nobody says"
    # Of CPython no ecosystem has entries: it is said, but nobody could do anything about it.
    missed = [one for one in report.scanned.uncovered if one.subject.kind != "cpython"]
    if not report.subjects and covered:
        yield "no packages were found to judge (--allow-uncovered lets that pass)"
    if missed and covered:
        one = len(missed) == 1
        what = "1 package was" if one else f"{len(missed)} packages were"
        yield f"{what} not judged (--allow-uncovered lets {'it' if one else 'them'} pass)"


def _old(report: Report, max_age: int) -> Iterator[str]:
    for database in report.databases:
        if not _is_fresh(report.age(database), max_age):
            yield f"{database.name} is older than {max_age} days: {report.aged(database)}"


def _is_fresh(days: int | None, most: int) -> bool:
    return days is not None and -_AHEAD <= days <= most


def _few(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
