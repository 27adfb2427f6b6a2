"""What a scan writes: SARIF by its official schema, JSON, and the table."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from jsonschema import Draft7Validator
from tests.build import osv
from tests.build.osv import affected, between, debian, entry, raw
from tests.build.sboms import SCHEMAS

from layersmith.cli.render_scan import scan_text
from layersmith.scan.database import collect
from layersmith.scan.ignoring import apply, parse_ignores
from layersmith.scan.matching import scan
from layersmith.scan.report import Report, document
from layersmith.scan.sarif import sarif
from layersmith.scan.subjects import Place, subject, subjects

LAYER = "sha256:" + "ab" * 32
IGNORES = b'[[ignore]]\nid = "CVE-4"\nreason = "not\\nreachable"\nexpires = 2026-01-01\n'


def reported(*, hostile: str = "") -> Report:
    """Return a report of every kind of finding; `hostile` stands wherever text can."""
    places = [
        Place(f"linux/{arch}", f"usr/x {hostile}\N{SNOWMAN}", LAYER, "base")
        for arch in ("amd64", "arm64")
    ]
    found = subjects(
        [
            *(subject("debian", f"libx{hostile}", "1-1+b1", f"pkg:deb/debian/x@1?arch={p.platform[6:]}&distro=debian-13",
                      ("x", "1-1"), p) for p in places),
            subject("python", "y", "1", "pkg:pypi/y@1", None, places[0]),
            subject("cpython", "python", "3.13.5", "pkg:generic/python@3.13.5", None, places[0]),
        ]
    )  # fmt: skip
    records = raw(
        debian("CVE-1", "x", "1-2", cvss=osv.HIGH, summary=f"Bad.{hostile}"),
        debian("CVE-2", "x"),
        debian("CVE-3", "x", urgency="unimportant"),
        entry("GHSA-1", affected("PyPI", "y", *between("0", "2")), aliases=["CVE-4"], cvss=osv.LOW),
        entry("GHSA-2", affected("PyPI", "y", *between("0", "2")), database_specific={"severity": "CRITICAL"}),
        entry("GHSA-3", affected("PyPI", "y", *between("0", f"-{hostile}"))),
    )  # fmt: skip
    read = collect(f"db{hostile}.zip", "ab" * 32, [*records, (f"bad{hostile}", b"{")], found)
    scanned = scan(found, [read])
    return Report(
        name=f"oci:x{hostile}", platforms=("linux/amd64", "linux/arm64"), subjects=found,
        databases=[read], scanned=scanned, today=date(2025, 11, 22),
        applied=apply(scanned.findings, parse_ignores(IGNORES, "x"), date(2025, 11, 22)),
    )  # fmt: skip


def faults(log: dict[str, Any]) -> list[str]:
    schema = json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_bytes())
    validator = Draft7Validator(schema, format_checker=Draft7Validator.FORMAT_CHECKER)
    return [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(log)]


def test_sarif_is_what_its_schema_says() -> None:
    log = json.loads(json.dumps(sarif(reported())))
    assert faults(log) == []
    # The schema is one that notices.
    del log["runs"][0]["results"][0]["message"]
    assert len(faults(log)) == 1


def test_sarif_says_it_all() -> None:
    (run,) = sarif(reported())["runs"]
    rules = run["tool"]["driver"]["rules"]
    said = {
        rule["id"]: (rule["properties"].get("security-severity"), result["level"])
        for result in run["results"]
        for rule in [rules[result["ruleIndex"]]]
    }
    assert said == {
        "DEBIAN-CVE-1": ("7.5", "error"), "DEBIAN-CVE-2": (None, "warning"),
        "DEBIAN-CVE-3": ("0.0", "note"), "GHSA-1": ("2.2", "note"), "GHSA-2": ("9.0", "error"),
    }  # fmt: skip
    (quiet,) = [one for one in run["results"] if "suppressions" in one]
    assert quiet["ruleId"] == "GHSA-1"
    assert quiet["suppressions"][0]["justification"] == "not\nreachable"
    debian_one = next(one for one in run["results"] if one["ruleId"] == "DEBIAN-CVE-1")
    assert "fixed in 1-2" in debian_one["message"]["text"]
    assert len(debian_one["locations"]) == 2
    place = debian_one["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "usr/x%20%E2%98%83", "uriBaseId": "IMAGE"}
    marks = [one["partialFingerprints"]["layersmith/v1"] for one in run["results"]]
    assert len(set(marks)) == len(marks)


def test_json_says_it_all() -> None:
    said = document(reported())
    assert said["counts"] == {"critical": 1, "high": 1, "unknown": 1, "negligible": 1}
    assert said["databases"] == [
        {"name": "db.zip", "sha256": "ab" * 32, "entries": 7, "withdrawn": 0,
         "newest": "2025-11-20T10:11:12Z", "days": 2},
    ]  # fmt: skip
    assert [(one["entry"], one["database"]) for one in said["malformed"]] == [
        ("bad", "db.zip"), ("GHSA-3", "db.zip"),
    ]  # fmt: skip
    assert [one["name"] for one in said["uncovered"]] == ["python"]
    first = next(one for one in said["findings"] if one["id"] == "DEBIAN-CVE-1")
    assert first["package"]["source"] == {"name": "x", "version": "1-1"}
    assert first["severity"] == {"level": "high", "score": 7.5, "said": osv.HIGH}
    assert [place["purl"].partition("?")[2] for place in first["places"]] == [
        "arch=amd64&distro=debian-13", "arch=arm64&distro=debian-13",
    ]  # fmt: skip


def test_the_same_bytes_each_time() -> None:
    for form in (document, sarif):
        assert json.dumps(form(reported())) == json.dumps(form(reported()))
    assert scan_text(reported()) == scan_text(reported())


def test_strings_of_images_and_databases_do_not_drive_a_terminal() -> None:
    text = scan_text(reported(hostile="\x1b[2J\r\u202e"))
    assert all(line.isprintable() for line in text.split("\n"))
