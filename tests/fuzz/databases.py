"""Databases of vulnerabilities, what is ignored of them, and SBOMs to hold against them."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.build import osv
from tests.build.osv import affected, between, cpython, debian, entry
from tests.build.sboms import taken
from tests.fuzz.target import Target, parted, refused, seamed

from layersmith.attest.cyclonedx import cyclonedx
from layersmith.attest.spdx import spdx
from layersmith.cli.render_scan import scan_text
from layersmith.errors import LayersmithError
from layersmith.scan.database import collect
from layersmith.scan.entries import glance, read
from layersmith.scan.ignoring import apply, parse_ignores
from layersmith.scan.matching import scan
from layersmith.scan.report import Report, document
from layersmith.scan.sarif import sarif
from layersmith.scan.sboms import packages
from layersmith.scan.subjects import Place, subject
from layersmith.scan.verdict import warnings
from layersmith.stores.osv import export_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT: Final = TemporaryDirectory(prefix="fuzz-")
_FILE: Final = Path(_KEPT.name) / "db"
_TODAY: Final = date(2025, 11, 22)
_HERE: Final = Place("linux/amd64", "x", "sha256:0", "base")
_SUBJECTS: Final = [
    subject("debian", "b", "1-1", "pkg:deb/debian/b@1-1?distro=debian-13", ("s", "1-1"), _HERE),
    subject("python", "p", "1.0", "pkg:pypi/p@1.0", None, _HERE),
    subject("cpython", "python", "3.13.5", "pkg:generic/python@3.13.5", None, _HERE),
]


def _database(data: bytes) -> None:
    """Read an export and an ignore file, and write every report of what is found."""
    raw, ignored = parted(data, 2)
    with suppress(LayersmithError):
        strict = read(raw)
        assert glance(raw) == strict
    _FILE.write_bytes(raw)
    export = export_at(_FILE)
    databases = [collect("db", export.sha256, export.records(), _SUBJECTS)]
    result = scan(_SUBJECTS, databases)
    try:
        ignores = parse_ignores(ignored, "ignore.toml")
    except LayersmithError:
        ignores = ()
    report = Report(
        name="x", platforms=("linux/amd64",), subjects=_SUBJECTS, databases=databases,
        scanned=result, applied=apply(result.findings, ignores, _TODAY), today=_TODAY,
    )  # fmt: skip
    assert all(line.isprintable() for line in scan_text(report).split("\n"))
    json.dumps([document(report), sarif(report), list(warnings(report))]).encode()
    for finding in result.findings:
        assert finding.why
    again = collect("db", export.sha256, export.records(), _SUBJECTS)
    assert scan(_SUBJECTS, [again]) == result


def _sbom(data: bytes) -> None:
    for one in packages(data, "sbom"):
        assert one.places
        assert one.ecosystems
    refused(lambda: scan(packages(data, "sbom"), []))


def _entries() -> list[bytes]:
    made = [
        debian("CVE-1", "s", "1-2", cvss=osv.HIGH, summary="x"),
        debian("CVE-2", "s", urgency="unimportant"),
        entry("DSA-1", affected("Debian", "s", *between("0", "2")), upstream=["CVE-1", "CVE-2"]),
        entry("GHSA-1", affected("PyPI", "P", *between("1", "2"), versions=["1"]), cvss=osv.V4,
              database_specific={"severity": "HIGH"}, aliases=["CVE-3"]),
        entry("X", affected("PyPI", "p", {"introduced": "1"}, {"last_affected": "1.0"}, {"limit": "*"})),
        cpython("PSF-1", "CVE-4", "v3.13.5"),
        entry("gone", affected("PyPI", "p"), withdrawn=osv.MODIFIED),
    ]  # fmt: skip
    return [data for _, data in osv.raw(*made)]


def _exports() -> Iterator[bytes]:
    entries = _entries()
    ignores = b'[[ignore]]\nid = "CVE-1"\nreason = "r"\npackage = "s"\nexpires = 2026-01-01\n'
    for data in entries:
        yield seamed(data, ignores)
    yield seamed(b"\n".join(entries), ignores)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield osv.zipped(((f"{n}.json", data) for n, data in enumerate(entries)), method)
    written = io.BytesIO()
    with (
        zipfile.ZipFile(written, "w") as archive,
        archive.open("a.json", "w", force_zip64=True) as at,
    ):
        at.write(entries[0])
    yield written.getvalue()


def _sboms() -> Iterator[bytes]:
    found = taken()
    for write in (spdx, cyclonedx):
        yield write(found)


TARGETS: Final = (
    Target(
        "databases",
        _database,
        _exports,
        (
            "scan.entries", "scan.ranges", "scan.matching", "scan.severity", "scan.cvss",
            "scan.debversion", "scan.ignoring", "stores.osv",
        ),
        (
            b'"id":"', b'"affected":[', b'"package":{', b'"ecosystem":"Debian:13"', b'"name":"s"',
            b'"ranges":[', b'"type":"ECOSYSTEM"', b'"events":[', b'"introduced":"0"', b'"fixed":"',
            b'"last_affected":"', b'"limit":"*"', b'"versions":[', b'"aliases":[', b'"upstream":[',
            b"CVSS:3.1/", b"/S:C", b"1:1~a-0", b"null", b"[[ignore]]", b"PK\1\2", b"PK\5\6",
        ),
    ),
    Target("sboms", _sbom, _sboms, ("scan.sboms", "scan.subjects"), (b"pkg:deb/debian/",), 20_000),
)  # fmt: skip
