"""What ``scan`` says for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from layersmith.cli.words import counted
from layersmith.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.scan.database import Database
    from layersmith.scan.matching import Finding
    from layersmith.scan.report import Report
    from layersmith.scan.subjects import Place

__all__ = ["scan_text"]

_HEAD: Final = ("SEVERITY", "PACKAGE", "INSTALLED", "FIXED IN", "VULNERABILITY")


def scan_text(report: Report) -> str:
    """Return databases, the findings worst first, each with why and where, and the sum."""
    platforms = ", ".join(report.platforms) or "no platform"
    lines = [f"{one_line(report.name)}: {counted(len(report.subjects), 'package')} ({platforms})"]
    lines += [f"  {_database(report, one)}" for one in report.databases]
    if report.open:
        lines += ["", *_table(report.open)]
    if ignored := [one for one in report.applied.findings if one.ignored is not None]:
        lines += ["", "Ignored:", *map(_ignored, ignored)]
    return "\n".join([*lines, "", _sum(report)])


def _database(report: Report, one: Database) -> str:
    entries = counted(one.entries, "entry", "entries")
    return f"{one_line(one.name)}: {entries}, {report.aged(one)}\n    sha256:{one.sha256}"


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    rows = [_HEAD, *map(_row, findings)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, finding in zip(rows, (None, *findings), strict=True):
        yield "  ".join(
            f"{text:<{width}}" for text, width in zip(row, widths, strict=True)
        ).rstrip()
        if finding is not None:
            yield from (f"    {one_line(text)}" for text in _details(finding))


def _row(finding: Finding) -> tuple[str, ...]:
    subject = finding.subject
    others = [name for name in finding.aliases if name not in finding.id]
    name = f"{finding.id} ({', '.join(others)})" if others else finding.id
    return tuple(
        one_line(text, 100)
        for text in (
            str(finding.severity), subject.name, subject.version, finding.fixed or "-", name
        )
    )  # fmt: skip


def _details(finding: Finding) -> Iterator[str]:
    if finding.summary:
        yield finding.summary
    subject = finding.subject
    if subject.kind == "debian" and (subject.key, subject.judged) != (
        subject.name,
        subject.version,
    ):
        yield f"source package {subject.key} {subject.judged}"
    yield from finding.why
    if finding.related:
        yield f"see also {', '.join(finding.related)}"
    where: dict[str, list[str]] = {}
    for place in subject.places:
        where.setdefault(_where(place), []).append(place.platform)
    for text, platforms in where.items():
        yield f"{text} ({', '.join(platforms)})"


def _where(place: Place) -> str:
    origin = {"base": "the base's", "ours": "ours"}.get(place.origin, "")
    layer = f"layer {place.layer.partition(':')[2][:12]}" if place.layer else ""
    return ", ".join(filter(None, (f"/{place.record}", origin, layer)))


def _ignored(finding: Finding) -> str:
    assert finding.ignored is not None
    until = f", until {finding.ignored.expires}" if finding.ignored.expires else ""
    about = f"{finding.id} of {finding.subject.name} {finding.subject.version}"
    return one_line(f"  {finding.severity}: {about}: {finding.ignored.reason}{until}")


def _sum(report: Report) -> str:
    ignored = len(report.applied.findings) - len(report.open)
    counts = ", ".join(f"{count} {level}" for level, count in report.counts.items())
    found = f"{len(report.open)} found: {counts}" if counts else "none found"
    return f"Vulnerabilities: {found}{f'; {ignored} ignored' if ignored else ''}"
