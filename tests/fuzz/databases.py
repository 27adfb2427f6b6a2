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
from layersmith.scan.subjects import Place, strange, subject
from layersmith.scan.verdict import warnings
from layersmith.stores.osv import export_at

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT: Final = TemporaryDirectory(prefix="fuzz-")
_FILE: Final = Path(_KEPT.name) / "db"
_FOLDER: Final = Path(_KEPT.name) / "folder"
_FOLDER.mkdir()
(_FOLDER / "README").write_text("no entry")
_TODAY: Final = date(2025, 11, 22)
_HERE: Final = Place("linux/amd64", "x", "sha256:0", "base")
_SUBJECTS: Final = [
    subject("debian", "b", "1-1", "pkg:deb/debian/b@1-1?distro=debian-13", ("s", "1-1"), _HERE),
    subject("python", "p", "1.0", "pkg:pypi/p@1.0", None, _HERE),
    strange(_HERE),
    subject("debian", "e", "1-1", "no URL", ("e", "1-1"), _HERE),
    subject("python", "q", "2.0+cu118", "pkg:pypi/q@2.0%2Bcu118", None, _HERE),
    subject("debian", "c", "1-1", "pkg:deb/debian/c@1-1", ("c", "1-1"), _HERE),
    subject("debian", "d", "1-1", "pkg:deb/ubuntu/d@1-1?distro=ubuntu-24", ("d", "1-1"), _HERE),
    subject("cpython", "python", "3.13.5", "pkg:generic/python@3.13.5", None, _HERE),
]


def _database(data: bytes) -> None:
    """Read an export and an ignore file, and write every report of what is found."""
    raw, ignored = parted(data, 2)
    with suppress(LayersmithError):
        strict = read(raw)
        assert glance(raw) == strict
    _FILE.write_bytes(raw)
    (_FOLDER / "entries.json").write_bytes(raw)
    refused(lambda: list(export_at(_FOLDER).records()))
    refused(lambda: export_at(_FOLDER / "none"))
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
        *_ranges(),
        *(debian(f"CVE-9{n}", "s", "2", cvss=vector) for n, vector in enumerate(_VECTORS)),
    ]  # fmt: skip
    return [data for _, data in osv.raw(*made)]


_VECTORS: Final = (
    osv.LOW,
    "CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N",
    "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N/E:P",
    "CVSS:3.1/AV:N/AV:N",
    "CVSS:3.1/AV:N",
    "CVSS:3.1/XX:N",
    "CVSS:3.1/" + "E:P/" * 200,
    osv.V4,
)


def _ranges() -> Iterator[dict[str, object]]:
    """Yield an entry for each way in which a range may go on, end, or say nothing."""
    ways: list[tuple[dict[str, str], ...]] = [
        ({"fixed": "2"},),
        ({"last_affected": "1.0"},),
        ({"introduced": "0"}, {"fixed": "1.0"}),
        ({"introduced": "0"}, {"last_affected": "1.0"}, {"introduced": "1.0"}),
        ({"introduced": "0"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "4"}),
        ({"introduced": "0"}, {"limit": "0.5"}),
        ({"introduced": "0"}, {"limit": "2"}),
        ({"introduced": "2"},),
        ({"introduced": "not a version"},),
        ({},),
    ]
    for number, events in enumerate(ways):
        yield entry(f"R-{number}", affected("PyPI", "p", *events))
    yield entry("semver", affected("PyPI", "p", {"introduced": "0"}, kind="SEMVER"))
    yield entry("git", affected("PyPI", "p", {"introduced": "0"}, kind="GIT"))
    yield entry("empty", {**affected("PyPI", "p"), "ranges": [{"type": "ECOSYSTEM", "events": []}]})
    for number, listed in enumerate((["1.0"], ["1"], ["no version", "1.0.0"], ["no version"])):
        yield entry(f"L-{number}", affected("PyPI", "p", versions=listed))
    yield entry("local", affected("PyPI", "q", *between("1", "3")))
    for number, fixed in enumerate(("99999999999:1", "1:~~a.b+c-0", "x:1", "1-_", "", "0:1")):
        yield debian(f"CVE-8{number}", "s", fixed)


def _exports() -> Iterator[bytes]:
    entries = _entries()
    ignores = b'[[ignore]]\nid = "CVE-1"\nreason = "r"\npackage = "s"\nexpires = 2026-01-01\n'
    for data in entries:
        yield seamed(data, ignores)
    yield seamed(b"\n".join(entries), ignores)
    yield seamed(b"\n\n".join(entries) + b"\n\n", b"")
    yield seamed(json.dumps(json.loads(entries[0]), indent=1).encode(), b"")
    yield seamed(b" \n", b"")
    for text in _IGNORES:
        yield seamed(entries[0], text)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        yield osv.zipped(((f"{n}.json", data) for n, data in enumerate(entries)), method)
    written = io.BytesIO()
    with (
        zipfile.ZipFile(written, "w") as archive,
        archive.open("a.json", "w", force_zip64=True) as at,
    ):
        at.write(entries[0])
    yield written.getvalue()
    whole = osv.zipped([("a.json", entries[0]), ("b.txt", b"no entry")])
    for flag, kind in ((1, 8), (0, 9)):  # encrypted, deflated in the way of 64 bits
        for mark, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
            place = whole.index(mark) + offset
            whole = whole[:place] + bytes([flag, 0, kind, 0]) + whole[place + 4 :]
        yield whole


_IGNORE: Final = b'[[ignore]]\nid = "CVE-1"\nreason = "r"\n'
_IGNORES: Final = (
    _IGNORE,
    _IGNORE + b'expires = "2026-01-01"\n',
    _IGNORE + b'expires = "2026-13-01"\n',
    _IGNORE + b'expires = "soon"\n',
    _IGNORE + b"expires = 2026-01-01T00:00:00\n",
    _IGNORE + b"expires = 2020-01-01\n",
    _IGNORE + b'package = "other"\n',
    _IGNORE + b'purl = "pkg:deb/debian/b@1-1"\n',
    _IGNORE + b'purl = "pkg:deb/debian/b"\n',
    _IGNORE + b'purl = "pkg:deb/debian/c"\n',
    _IGNORE + b"unknown = 1\n",
    b'[[ignore]]\nid = "CVE-1"\nreason = " "\n',
    b"ignore = 1\n",
    b"ignore = [1]\n",
    b"other = 1\n",
    b"no TOML",
    b"\xff",
)


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
            "analysis.debversion", "scan.ignoring", "stores.osv",
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
