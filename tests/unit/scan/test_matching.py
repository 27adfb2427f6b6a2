"""Findings: which package has what, why, and what was not judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.build import osv
from tests.build.osv import affected, between, cpython, debian, entry, raw

from layersmith.scan import subjects
from layersmith.scan.database import Database, collect
from layersmith.scan.matching import Finding, Scanned, scan
from layersmith.scan.severity import Level
from layersmith.scan.subjects import Place, Subject, subject

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Place("linux/amd64", "var/lib/dpkg/status.d/x", "sha256:1", "base")


def package(
    name: str = "libgcc-s1",
    version: str = "14.2.0-19+b1",
    source: tuple[str, str] | None = ("gcc-14", "14.2.0-19"),
    distro: str = "debian-13",
) -> Subject:
    purl = f"pkg:deb/debian/{name}@{version}?arch=amd64&distro={distro}"
    return subject("debian", name, version, purl, source, HERE)


def python(name: str = "Flask.X", version: str = "1.2") -> Subject:
    return subject("python", name, version, f"pkg:pypi/x@{version}", None, HERE)


CPYTHON = subject("cpython", "python", "3.13.5", "pkg:generic/python@3.13.5", None, HERE)


def database(*entries: Mapping[str, Any], name: str = "db") -> Database:
    return collect(
        name, "", raw(*entries), [package(), package(distro="debian-12"), python(), CPYTHON]
    )


def found(one: Subject, *entries: Mapping[str, Any]) -> list[Finding]:
    return list(scan([one], [database(*entries)]).findings)


def test_a_debian_package_is_looked_up_by_its_source() -> None:
    (one,) = found(package(), debian("CVE-2025-1", "gcc-14", "14.2.0-19.1", cvss=osv.HIGH))
    assert (one.id, one.aliases, one.fixed) == ("DEBIAN-CVE-2025-1", ("CVE-2025-1",), "14.2.0-19.1")
    assert one.why == (
        "DEBIAN-CVE-2025-1: Debian:13 gcc-14, from the first version to before 14.2.0-19.1",
    )
    assert one.severity.level is Level.HIGH
    # By the source's version, without what a rebuild adds; not by the binary's name.
    assert not found(package(), debian("CVE-2025-1", "gcc-14", "14.2.0-19"))
    assert not found(package(), debian("CVE-2025-1", "libgcc-s1", "99"))


@pytest.mark.parametrize(("release", "count"), [("13", 1), ("12", 0), ("14", 0)])
def test_only_entries_of_the_release_count(release: str, count: int) -> None:
    assert (
        len(found(package(), debian("CVE-2025-1", "gcc-14", release=release), debian("X-1", "y")))
        == count
    )


def test_entries_of_no_release_are_about_all() -> None:
    assert found(package(), entry("DSA-1", affected("Debian", "gcc-14", *between("0", "15"))))


def test_a_python_distribution_by_any_spelling() -> None:
    for name in ("flask-x", "Flask_X", "FLASK.x"):
        assert found(python(), entry("GHSA-1", affected("PyPI", name, *between("1", "1.3"))))
    assert not found(python(), entry("GHSA-1", affected("PyPI", "flaskx", *between())))


def test_a_local_version_is_that_of_its_release() -> None:
    local = python(version="1.2+cu118")
    last = ({"introduced": "0"}, {"last_affected": "1.2"})
    assert found(local, entry("GHSA-1", affected("PyPI", "flask-x", *last)))
    assert found(local, entry("GHSA-1", affected("PyPI", "flask-x", versions=["1.2"])))
    assert found(local, entry("GHSA-1", affected("PyPI", "flask-x", *between("1.2+a"))))
    assert not found(local, entry("GHSA-1", affected("PyPI", "flask-x", *between("0", "1.2"))))


def test_withdrawn_entries_do_not_count() -> None:
    gone = debian("CVE-2025-1", "gcc-14", withdrawn="2025-01-01T00:00:00Z")
    read = database(gone, debian("CVE-2025-2", "y"))
    assert (read.entries, read.withdrawn) == (2, 1)
    assert not scan([package()], [read]).findings


def test_aliases_are_one_finding() -> None:
    (one,) = found(
        python(),
        entry("PYSEC-1", affected("PyPI", "flask-x", versions=["1.2"]), aliases=["CVE-1"]),
        entry("GHSA-1", affected("PyPI", "flask-x", *between("1", "1.3")), aliases=["CVE-1"],
              database_specific={"severity": "LOW"}),
        entry("X-1", affected("PyPI", "flask-x", *between("1", "1.4")), aliases=["PYSEC-1"], cvss=osv.HIGH),
    )  # fmt: skip
    assert (one.id, one.aliases) == ("GHSA-1", ("CVE-1", "PYSEC-1", "X-1"))
    assert (one.fixed, str(one.severity)) == ("1.4", "high 7.5")
    assert len(one.why) == 3


def test_an_advisory_is_named_with_the_vulnerabilities_that_it_bundles() -> None:
    cves = [debian(f"CVE-2025-{n}", "gcc-14", "15", cvss=osv.HIGH) for n in (1, 2)]
    about = affected("Debian:13", "gcc-14", *between("0", "14.2.0-20"))
    bundle = entry("DSA-1-1", about, upstream=["CVE-2025-1", "CVE-2025-2"])
    both = found(package(), *cves, bundle)
    assert [(one.id, one.related) for one in both] == [
        ("DEBIAN-CVE-2025-1", ("DSA-1-1",)), ("DEBIAN-CVE-2025-2", ("DSA-1-1",)),
    ]  # fmt: skip
    # Where one of them is not found by itself, the advisory stays.
    (one, advisory) = found(package(), cves[0], bundle)
    assert (one.id, advisory.id) == ("DEBIAN-CVE-2025-1", "DSA-1-1")
    # Two that are made from one another do not make one another vanish.
    circle = [entry(f"A-{n}", about, upstream=[f"A-{3 - n}", "B"]) for n in (1, 2)]
    assert {one.id for one in found(package(), *circle)} == {"A-1", "A-2"}


def test_an_advisory_without_a_severity_has_that_of_its_vulnerabilities() -> None:
    fixed = debian("CVE-2025-1", "gcc-14", "14", cvss=osv.HIGH)
    about = affected("Debian:13", "gcc-14", *between("0", "14.2.0-20"))
    (one,) = found(package(), fixed, entry("DSA-1-1", about, upstream=["CVE-2025-1", "CVE-2025-2"]))
    assert (one.id, str(one.severity)) == ("DSA-1-1", "high 7.5")


def test_of_one_entry_in_two_databases_the_later_holds() -> None:
    old = database(debian("CVE-2025-1", "gcc-14", modified="2025-01-01T00:00:00Z"), name="old")
    new = database(
        debian("CVE-2025-1", "gcc-14", "14", modified="2025-01-02T00:00:00Z"), name="new"
    )
    for databases in ([old, new], [new, old]):
        assert not scan([package()], databases).findings
    again = [
        debian("CVE-2025-1", "gcc-14", "14"),
        debian("CVE-2025-1", "gcc-14", modified="2025-01-01T00:00:00Z"),
    ]
    for entries in (again, again[::-1]):
        assert not found(package(), *entries)


def uncovered(one: Subject, *entries: Mapping[str, Any]) -> list[str]:
    return [each.why for each in scan([one], [database(*entries)]).uncovered]


def test_cpython_is_judged_by_entries_that_name_releases() -> None:
    (one,) = found(CPYTHON, cpython("PSF-1", "CVE-1", "v3.13.4", "v3.13.5"))
    assert one.why == ("PSF-1: CPython, the list of versions names 3.13.5",)
    assert not found(CPYTHON, cpython("PSF-1", "CVE-1", "v3.13.6", "3.13.5rc1"))
    # Commits alone: said, not passed over.
    assert uncovered(CPYTHON, cpython("PSF-1", "CVE-1")) == [
        "1 entries name commits only, which no version can be held against"
    ]
    about = affected("PyPI", "flask-x", *between(), kind="GIT")
    assert uncovered(python(), entry("GHSA-1", about)) == [
        "1 entries name commits only, which no version can be held against"
    ]
    assert not uncovered(python(), entry("GHSA-1", {**about, "versions": ["9"]}))
    assert uncovered(CPYTHON, debian("CVE-1", "python3.13")) == [
        "no database has entries for CPython"
    ]


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (package(distro="ubuntu-24.04"), "not of a release of Debian that is known"),
        (package(distro=""), "not of a release of Debian that is known"),
        (package(distro="debian-12"), "no database has entries for Debian:12"),
        (package(source=("gcc-14", "1.0-")), "'1.0-' cannot be put in order"),
        (python(version="unknown"), "'unknown' cannot be put in order"),
    ],
)
def test_what_is_not_judged_is_said(one: Subject, why: str) -> None:
    entries = debian("CVE-1", "gcc-14"), entry("GHSA-1", affected("PyPI", "y", *between()))
    result = scan([one], [database(*entries)])
    assert [(each.subject, each.why) for each in result.uncovered] == [(one, why)]
    assert not result.findings


def malformed(result: Scanned) -> list[tuple[str, str, str]]:
    return list(result.malformed)


def test_entries_that_cannot_be_read_are_counted_and_named() -> None:
    bad = [("bad.json", b"{"), ("odd\x1b.json", b"[]")]
    read = collect("db", "", [*bad, *raw(debian("CVE-1", "gcc-14"))], [package()])
    assert read.entries == 3
    result = scan([package()], [read])
    assert [one.id for one in result.findings] == ["DEBIAN-CVE-1"]
    assert [entry for _, entry, _ in malformed(result)] == ["bad.json", "odd\ufffd.json"]


def test_of_entries_that_cannot_be_judged_only_those_about_a_package_count() -> None:
    bad = debian("CVE-1", "gcc-14", "no version"), debian("CVE-2", "y", "no version")
    assert malformed(scan([package()], [database(*bad)])) == [
        ("db", "DEBIAN-CVE-1", "gcc-14: 'no version' is no version")
    ]
    twice = raw(debian("CVE-1", "gcc-14"))[0][1][:-1] + b',"id":"X-1"}'
    other = raw(debian("CVE-2", "y"))[0][1][:-1] + b',"id":"X-1"}'
    result = scan([package()], [collect("db", "", [("a", twice), ("b", other)], [package()])])
    assert [entry for _, entry, _ in malformed(result)] == ["a"]


def test_of_several_platforms_a_package_is_one() -> None:
    one = package()
    two = replace(one, places=(replace(HERE, platform="linux/arm64"),))
    (both,) = subjects.subjects([two, one, one])
    assert [place.platform for place in both.places] == ["linux/amd64", "linux/arm64"]


def test_the_worst_come_first() -> None:
    entries = [
        debian("CVE-1", "gcc-14", cvss=osv.LOW), debian("CVE-2", "gcc-14", cvss=osv.HIGH),
        debian("CVE-3", "gcc-14"), debian("CVE-4", "gcc-14", urgency="unimportant", cvss=osv.HIGH),
    ]  # fmt: skip
    assert [one.id[-1] for one in found(package(), *entries)] == ["2", "1", "3", "4"]


def test_the_same_findings_in_whatever_order_the_entries_come() -> None:
    entries = [debian(f"CVE-{n}", "gcc-14", cvss=osv.LOW) for n in range(9)]
    assert found(package(), *entries) == found(package(), *entries[::-1])
