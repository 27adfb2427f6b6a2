"""A scan's result as SARIF 2.1.0 (OASIS): a rule for each vulnerability, a result for each finding.

A result's place is the record that the package is known by, as a path from the image's root.
Results that are ignored are there as well, suppressed with the reason.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from layersmith import __version__
from layersmith.scan.severity import Level

if TYPE_CHECKING:
    from layersmith.scan.matching import Finding
    from layersmith.scan.report import Report
    from layersmith.scan.subjects import Place

__all__ = ["sarif"]

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {
    Level.CRITICAL: "error", Level.HIGH: "error", Level.MEDIUM: "warning",
    Level.UNKNOWN: "warning", Level.LOW: "note", Level.NEGLIGIBLE: "note",
}  # fmt: skip
# Where there is a rating in words alone: the lowest score that has it.
_SCORES: Final = {
    Level.CRITICAL: 9.0, Level.HIGH: 7.0, Level.MEDIUM: 4.0, Level.LOW: 0.1, Level.NEGLIGIBLE: 0.0
}  # fmt: skip
_ROOT: Final = "IMAGE"


def sarif(report: Report) -> dict[str, Any]:
    """Return the log: one run."""
    findings = report.applied.findings
    # Of one vulnerability that several packages have, the worst speaks for the rule.
    worst: dict[str, Finding] = {}
    for finding in findings:
        known = worst.setdefault(finding.id, finding)
        if finding.severity > known.severity:
            worst[finding.id] = finding
    ids = sorted(worst)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "layersmith",
                        "semanticVersion": __version__,
                        "rules": [_rule(worst[name]) for name in ids],
                    }
                },
                "originalUriBaseIds": {
                    _ROOT: {"description": {"text": f"the file system of {report.name}"}}
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, ids.index(finding.id)) for finding in findings],
                "properties": {
                    "databases": [
                        {"name": one.name, "sha256": one.sha256} for one in report.databases
                    ]
                },
            }
        ],
    }


def _rule(finding: Finding) -> dict[str, Any]:
    severity = finding.severity
    properties: dict[str, Any] = {"tags": ["security", "vulnerability", *finding.aliases]}
    if severity.level is not Level.UNKNOWN:
        score = severity.score if severity.score >= 0 else _SCORES[severity.level]
        properties["security-severity"] = f"{score:.1f}"
    return {
        "id": finding.id,
        "shortDescription": {"text": finding.summary or ", ".join((finding.id, *finding.aliases))},
        "properties": properties,
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    subject = finding.subject
    names = ", ".join((finding.id, *finding.aliases))
    remedy = f"fixed in {finding.fixed}" if finding.fixed else "no version without it is known"
    told = f"{subject.name} {subject.version} has {names}: {remedy} ({'; '.join(finding.why)})"
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity.level],
        "message": {"text": told},
        "locations": [_location(place) for place in subject.places],
        "partialFingerprints": {"layersmith/v1": _fingerprint(finding)},
    }
    if finding.ignored is not None:
        result["suppressions"] = [{"kind": "external", "justification": finding.ignored.reason}]
    return result


def _location(place: Place) -> dict[str, Any]:
    where = " ".join(filter(None, (place.platform, place.origin, place.layer)))
    path = place.record.encode("utf-8", "surrogateescape")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path), "uriBaseId": _ROOT},
            "region": {"startLine": 1},
        },
        "message": {"text": f"{place.purl}: {where}"},
    }


def _fingerprint(finding: Finding) -> str:
    """Return what stays the same as long as the package has the vulnerability."""
    subject = finding.subject
    told = f"{subject.kind}\0{subject.name}\0{finding.id}\0{subject.places[0].record}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()
