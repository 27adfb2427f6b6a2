"""How bad: base scores as FIRST's calculator gives them, and what counts beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.build.osv import HIGH, LOW, V4, affected, entry

from layersmith.scan.cvss import base_score
from layersmith.scan.entries import read
from layersmith.scan.severity import Level, Severity, severity_of

# From FIRST's own examples ("CVSS v3.1 Examples") and NVD's entries for well-known CVEs.
SCORES = [
    ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
    ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
    ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
    ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
    ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
    ("CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
    ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
    ("CVSS:3.0/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 6.8),
    ("CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:H", 9.3),
    ("CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:C/C:H/I:H/A:H", 9.1),
    ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
    ("CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N", 5.9),
    ("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2),
    (LOW, 2.2),
    (f"{HIGH}/E:P/RL:O/RC:C/MAV:L", 7.5),
]
NONE = [
    "", "CVSS:3.1/", "CVSS:3.1/AV:N", V4, HIGH.replace("3.1", "3.2"), HIGH + "/AV:N", HIGH + "/X:Y",
    HIGH.replace("AV:N", "AV:X"), HIGH.replace("AV:N", "AV"), "AV:N/AC:L/Au:N/C:P/I:P/A:P",
    HIGH + "/E:" + "P" * 400,
]  # fmt: skip


@pytest.mark.parametrize(("vector", "score"), SCORES)
def test_base_scores(vector: str, score: float) -> None:
    assert base_score(vector) == score


@pytest.mark.parametrize("vector", NONE)
def test_no_vector(vector: str) -> None:
    assert base_score(vector) is None


def severity(about: dict[str, Any] | None = None, **more: Any) -> Severity:
    found = read(json.dumps(entry("X-1", affected("PyPI", "x", **about or {}), **more)).encode())
    return severity_of(found, found.affected or ())


URGENT = {"ecosystem_specific": {"urgency": "high**"}}
UNIMPORTANT = {"ecosystem_specific": {"urgency": "unimportant"}}


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (severity(), Level.UNKNOWN),
        (severity(cvss=V4), Level.UNKNOWN),
        (severity(cvss=V4, database_specific={"severity": "CRITICAL"}), Level.CRITICAL),
        (severity(cvss=HIGH), Level.HIGH),
        (severity(cvss=LOW, database_specific={"severity": "MODERATE"}), Level.MEDIUM),
        (severity(URGENT, cvss=LOW), Level.HIGH),
        (severity(UNIMPORTANT, cvss=HIGH), Level.NEGLIGIBLE),
        (severity({"ecosystem_specific": {"urgency": "end-of-life"}}), Level.UNKNOWN),
        (severity({"ecosystem_specific": {"urgency": 7}}), Level.UNKNOWN),
        (severity({"severity": [{"type": "CVSS_V3", "score": HIGH}]}), Level.HIGH),
        (severity(severity=[{"type": "Ubuntu", "score": "low"}]), Level.LOW),
        (severity(severity=[{"type": "CVSS_V3", "score": "high"}]), Level.UNKNOWN),
        (severity(severity=[{"type": "CVSS_V2", "score": "AV:N"}]), Level.UNKNOWN),
        (severity(cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"), Level.NEGLIGIBLE),
    ],
)
def test_the_worst_of_what_is_said_counts(found: Severity, level: Level) -> None:
    assert found.level is level


def test_what_nobody_says_may_be_anything() -> None:
    assert Severity().reaches(Level.CRITICAL)
    assert not Severity(Level.HIGH).reaches(Level.CRITICAL)
    assert not Severity(Level.NEGLIGIBLE).reaches(Level.LOW)
    assert (str(severity(cvss=HIGH)), str(Severity())) == ("high 7.5", "unknown")
