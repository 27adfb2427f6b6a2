"""scan, as a user types it: what it says, and with which code it ends."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.build import osv
from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from tests.build.osv import affected, between, cpython, debian, entry, exported, raw, zipped
from tests.build.sboms import BASE, OURS
from tests.build.site import Site
from tests.build.tar import archive, file
from tests.fakes.registry import FakeRegistry, Reply

from layersmith.errors import (
    DocumentError,
    InvalidInput,
    LayersmithError,
    NotFound,
    RecipeError,
    Vulnerable,
)
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "oci:image:t"
HARMLESS = (
    debian("CVE-2025-8", "gcc-14", "14.2.0-1"),
    entry("GHSA-8", affected("PyPI", "flask-x", *between("0", "1.0"))),
    cpython("PSF-8", "CVE-2025-8", "v3.13.4"),
)
GCC = debian("CVE-2025-1", "gcc-14", "14.2.0-19+deb13u1", cvss=osv.HIGH, summary="Out of bounds.")
DAY = "1763769600"  # 2025-11-22


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", DAY)
    layout = Layout(tmp_path / "image")
    history = [{"created_by": "the base"}, {"created_by": "us", "comment": "layersmith"}]
    layout.tag("t", put_index(layout, [
        for_platform(Made((BASE, OURS), platform, config={"history": history}).put(layout), platform)
        for platform in (AMD64, ARM64)
    ]))  # fmt: skip
    made = Site(tmp_path)
    database(made, *HARMLESS)
    return made


def database(site: Site, *entries: dict[str, Any], name: str = "db.zip") -> None:
    (site.folder / name).write_bytes(exported(*entries))


def found(site: Site, *options: str, ref: str = IMAGE) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        site.run("scan", ref, "--db", "db.zip", "--json", *options)
    )
    return document


def test_nothing_known_against_it(site: Site) -> None:
    text = site.run("scan", IMAGE, "--db", "db.zip", "--fail-on", "low", "--max-age", "2")
    assert text.startswith("oci:image:t: 4 packages (linux/amd64, linux/arm64)\n")
    assert "db.zip: 3 entries, the newest of 2025-11-20, 2 days old\n    sha256:" in text
    assert text.endswith("Vulnerabilities: none found\n")
    # libffi8 and libstdc++6 are of sources that the database knows or not: they are judged.
    assert site.err == ""


def test_what_why_and_where(site: Site) -> None:
    database(site, GCC, *HARMLESS)
    text = site.run("scan", IMAGE, "--db", "db.zip")
    for said in (
        "high 7.5  libstdc++6  14.2.0-19+b1~x  14.2.0-19+deb13u1  DEBIAN-CVE-2025-1\n",
        "    Out of bounds.\n    source package gcc-14 14.2.0-19\n",
        "    DEBIAN-CVE-2025-1: Debian:13 gcc-14, from the first version to before 14.2.0-19+deb13u1\n",
        "    /var/lib/dpkg/status.d/libstdc++6, the base's, layer ",
        " (linux/amd64, linux/arm64)\n",
        "Vulnerabilities: 1 found: 1 high\n",
    ):
        assert said in text
    (one,) = found(site)["findings"]
    assert [(p["platform"], p["origin"]) for p in one["places"]] == [
        ("linux/amd64", "base"), ("linux/arm64", "base"),
    ]  # fmt: skip


def test_what_is_ours_is_said_to_be(site: Site) -> None:
    database(site, debian("CVE-1", "libffi8"), *HARMLESS)
    (one,) = found(site, "--platform", "linux/arm64")["findings"]
    assert [(p["platform"], p["origin"]) for p in one["places"]] == [("linux/arm64", "ours")]


@pytest.mark.parametrize(
    ("level", "threshold", "is_refused"),
    [
        ("HIGH", "critical", False), ("HIGH", "high", True), ("CRITICAL", "high", True),
        ("MODERATE", "high", False), ("LOW", "low", True), ("?", "critical", True),
    ],
)  # fmt: skip
def test_fail_on(site: Site, level: str, threshold: str, is_refused: bool) -> None:
    about = affected("PyPI", "flask-x", *between())
    database(site, entry("GHSA-1", about, database_specific={"severity": level}), *HARMLESS)
    options = ("scan", IMAGE, "--db", "db.zip", "--fail-on", threshold)
    if not is_refused:
        site.run(*options)
        return
    with pytest.raises(Vulnerable) as caught:
        site.run(*options)
    assert caught.value.exit_code == 1
    expected = "of a severity that nobody says" if level == "?" else f"1 of {threshold} severity"
    assert expected in caught.value.message


def test_what_is_unimportant_or_ignored_is_not_failed_on(site: Site) -> None:
    database(site, GCC, debian("CVE-2", "gcc-14", urgency="unimportant", cvss=osv.HIGH), *HARMLESS)
    ignore = '[[ignore]]\nid = "CVE-2025-1"\nreason = "not reachable"\nexpires = {}\n'
    path = site.folder / "ignore.toml"
    options = ("scan", IMAGE, "--db", "db.zip", "--fail-on", "low", "--ignore-file", "ignore.toml")
    path.write_text(ignore.format("2025-11-22"))
    text = site.run(*options)
    assert "  high 7.5: DEBIAN-CVE-2025-1 of libstdc++6 14.2.0-19+b1~x: not reachable, until 2025-11-22\n" in text  # fmt: skip
    assert text.endswith("Vulnerabilities: 1 found: 1 negligible; 1 ignored\n")
    # The day after it does not hold any more.
    path.write_text(ignore.format("2025-11-21"))
    with pytest.raises(Vulnerable, match="1 of low severity"):
        site.run(*options)
    assert "the ignore of CVE-2025-1 has expired on 2025-11-21" in site.err
    path.write_text('[[ignore]]\nid = "CVE-0"\nreason = "gone"\n')
    site.run("scan", IMAGE, "--db", "db.zip", "--ignore-file", "ignore.toml")
    assert "the ignore of CVE-0 fits nothing" in site.err


def test_packages_that_no_database_covers(site: Site) -> None:
    database(site, *HARMLESS[:1])
    options = ("scan", IMAGE, "--db", "db.zip")
    site.run(*options)
    assert "not judged: Flask.X 1.2: no database has entries for PyPI\n" in site.err
    assert "not judged: python 3.13.5: no database has entries for CPython\n" in site.err
    with pytest.raises(Vulnerable, match="1 package was not judged"):
        site.run(*options, "--fail-on", "critical")
    site.run(*options, "--fail-on", "critical", "--allow-uncovered")
    # That of CPython nothing is known is said, but fails nobody.
    database(site, *HARMLESS[:2])
    site.run(*options, "--fail-on", "critical")
    assert "not judged: python" in site.err


@pytest.mark.parametrize(
    ("path", "warning", "refusal"),
    [
        ("lib/apk/db/installed", "what /lib/apk/db/installed lists: packages of another", "1 pack"),
        (
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            "rpmdb.sqlite lists: packages of an",
            "1 package was",
        ),
        ("etc/x", "no packages are recorded there: nothing was judged", "no packages were found"),
    ],
)
def test_an_image_without_packages_of_debian(
    site: Site, path: str, warning: str, refusal: str
) -> None:
    layout = Layout(site.folder / "image")
    one = for_platform(Made((archive(file(path, b"x")),)).put(layout), AMD64)
    layout.tag("t", put_index(layout, [one]))
    options = ("scan", IMAGE, "--db", "db.zip")
    site.run(*options)
    assert warning in site.err
    with pytest.raises(Vulnerable, match=refusal):
        site.run(*options, "--fail-on", "critical")
    site.run(*options, "--fail-on", "critical", "--allow-uncovered")


def test_the_age_of_a_database(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("scan", IMAGE, "--db", "db.zip")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(DAY) + 6 * 86400))
    site.run(*options)
    assert "warning: db.zip: the newest of 2025-11-20, 8 days old\n" in site.err
    site.run(*options, "--max-age", "8")
    with pytest.raises(Vulnerable, match="older than 7 days: the newest of 2025-11-20, 8 days old"):
        site.run(*options, "--max-age", "7")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(DAY) - 30 * 86400))
    site.run(*options)
    assert "dated in the future" in site.err
    with pytest.raises(Vulnerable, match="dated in the future"):
        site.run(*options, "--max-age", "7")
    # Without SOURCE_DATE_EPOCH it is the clock that says.
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert found(site)["databases"][0]["days"] > 300


def test_an_entry_that_cannot_be_read_fails_closed(site: Site) -> None:
    (site.folder / "db.zip").write_bytes(
        zipped([*raw(*HARMLESS), ("bad.json", b"{"), ("b.json", b"1")])
    )
    options = ("scan", IMAGE, "--db", "db.zip")
    with pytest.raises(
        DocumentError, match=r"2 entries cannot be read, the first is b.json of db.zip"
    ):
        site.run(*options)
    assert "db.zip: bad.json cannot be read: " in site.err
    assert "none found" in site.run(*options, "--allow-malformed")
    # What is found all the same is the answer.
    (site.folder / "db.zip").write_bytes(zipped([*raw(GCC, *HARMLESS), ("bad.json", b"{")]))
    with pytest.raises(Vulnerable):
        site.run(*options, "--fail-on", "high")


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        (("--db", "none.zip"), NotFound, "no such file"),
        (("--db", ""), InvalidInput, "--db is empty"),
        (("--db", "text"), DocumentError, "text has no entries that can be read: text: JSON is"),
        (("--db", "text", "--allow-malformed"), DocumentError, "text has no entries that can"),
        (("--db", "empty"), DocumentError, "has no entries"),
        (("--db", "folder"), DocumentError, "has no entries"),
        (("--db", "cut.zip"), DocumentError, "is damaged"),
        (("--db", "ftp://osv.example/x"), InvalidInput, "a file or an https URL"),
        (("--db", "http://osv.example/x"), InvalidInput, "is not https"),
        (("--db", "db.zip", "--fail-on", "severe"), InvalidInput, "'severe' is no severity"),
        (("--db", "db.zip", "--fail-on", ""), InvalidInput, "--fail-on is empty"),
        (("--db", "db.zip", "--format", "xml"), InvalidInput, "'xml' is no format"),
        (("--db", "db.zip", "--format", "sarif", "--json"), InvalidInput, "--json beside"),
        (("--db", "db.zip", "--platform", "linux/s390x"), NotFound, "no image for linux/s390x"),
        (("--db", "db.zip", "--ignore-file", "none"), InvalidInput, "none cannot be read"),
        (("--db", "db.zip", "--ignore-file", "text"), RecipeError, "text: "),
    ],
)
def test_errors(
    site: Site, options: tuple[str, ...], kind: type[LayersmithError], said: str
) -> None:
    (site.folder / "text").write_text("no database")
    (site.folder / "empty").write_text("")
    (site.folder / "folder").mkdir()
    (site.folder / "cut.zip").write_bytes(exported(*HARMLESS)[:-30])
    with pytest.raises(kind) as caught:
        site.run("scan", IMAGE, *options)
    assert said in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("form", ["spdx-json", "cyclonedx-json"])
def test_an_sbom_instead_of_the_image(site: Site, form: str) -> None:
    database(site, GCC, cpython("PSF-1", "CVE-2", "v3.13.5"), debian("CVE-9", "libffi8"), *HARMLESS)
    site.run("sbom", IMAGE, "--platform", "linux/amd64", "--format", form, "-o", "x.json")
    image = found(site, "--platform", "linux/amd64")
    for place in (place for one in image["findings"] for place in one["places"]):
        place["origin"] = None  # an SBOM does not say whose layer it is
    shutil.rmtree(site.folder / "image")
    assert found(site, ref="sbom:x.json") == {**image, "name": "sbom:x.json"}


def cdx(*tools: str) -> dict[str, Any]:
    """Return an SBOM by `tools`, with a Debian package that does not name its source."""
    package = {"name": "a", "version": "1", "purl": "pkg:deb/debian/a@1"}
    record = {"name": "layersmith:record", "value": "/x"}
    metadata = {"component": {"name": "x"}, "tools": {"components": [{"name": t} for t in tools]}}
    return {
        "bomFormat": "CycloneDX",
        "metadata": metadata,
        "components": [{**package, "properties": [record]}],
    }


@pytest.mark.parametrize("words", [("scan", "--db", "db.zip"), ("sbom",)], ids=lambda w: w[0])
def test_a_directory_that_is_no_layout_is_not_looked_for_in_a_registry(
    site: Site, words: tuple[str, ...]
) -> None:
    (site.folder / "python").mkdir()
    with pytest.raises(InvalidInput, match="python is a directory, and no OCI layout"):
        site.run(words[0], "python", *words[1:])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "neither SPDX nor CycloneDX"),
        (b"[]", "neither SPDX nor CycloneDX"),
        (b"{", "x.json"),
        (b'{"spdxVersion":"SPDX-2.3"}', "missing required field"),
        (json.dumps(cdx()).encode(), "not an SBOM that layersmith wrote"),
        (json.dumps(cdx("layersmith")).encode(), "not an SBOM that layersmith wrote"),
    ],
)
def test_what_is_no_sbom_of_ours(site: Site, content: bytes, said: str) -> None:
    (site.folder / "x.json").write_bytes(content)
    with pytest.raises(DocumentError, match=said):
        found(site, ref="sbom:x.json")
    with pytest.raises(InvalidInput, match="--platform"):
        found(site, "--platform", "linux/amd64", ref="sbom:x.json")
    with pytest.raises(NotFound):
        found(site, ref="sbom:none.json")
    with pytest.raises(InvalidInput, match="is a directory"):
        found(site, ref="sbom:")
    with pytest.raises(InvalidInput, match="is a file"):
        found(site, ref="x.json")


def test_a_database_by_url(site: Site) -> None:
    database(site, GCC, *HARMLESS)
    data = (site.folder / "db.zip").read_bytes()
    with FakeRegistry() as server:
        server.once("GET", "/Debian/all.zip", Reply(200, {"ETag": '"1"'}, data))
        server.once("GET", "/Debian/all.zip", Reply(304))
        url = f"{server.url}/Debian/all.zip"
        first, second = (
            json.loads(site.run("scan", IMAGE, "--json", "--db", url)) for _ in range(2)
        )
    assert first == second
    assert first["databases"] == [{**found(site)["databases"][0], "name": url}]
    assert first["findings"] == [{**one, "database": url} for one in found(site)["findings"]]


def test_several_databases(site: Site) -> None:
    database(site, GCC)
    for number, one in enumerate(HARMLESS):
        database(site, one, name=f"{number}.zip")
    more = [option for number in range(3) for option in ("--db", f"{number}.zip")]
    document = found(site, *more, "--fail-on", "critical")
    assert [one["name"] for one in document["databases"]] == ["db.zip", "0.zip", "1.zip", "2.zip"]
    assert [one["id"] for one in document["findings"]] == ["DEBIAN-CVE-2025-1"]


def test_the_same_bytes_each_time(site: Site) -> None:
    database(site, GCC, *HARMLESS)
    for form in ("table", "json", "sarif"):
        options = ("scan", IMAGE, "--db", "db.zip", "--format", form)
        first = site.run(*options)
        shutil.rmtree(site.folder / "cache")
        assert site.run(*options) == first
