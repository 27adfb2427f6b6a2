"""layersmith test, as a user types it: what is refused before anything is run, and its reports."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from tests.unit.sandbox.cells import Canned
from typer.testing import CliRunner

from layersmith.assemble import testing
from layersmith.assemble.testing import PlatformReport, Report
from layersmith.cli.app import app
from layersmith.cli.render_test import report_json, table, write_junit
from layersmith.errors import (
    InvalidInput,
    LayersmithError,
    NotFound,
    RecipeError,
    SandboxUnavailable,
)
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Platform
from layersmith.sandbox import host
from layersmith.sandbox.emulation import Way
from layersmith.sandbox.trying import Result
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.build.site import Site

IMAGE = "oci:image:t"


@pytest.fixture
def image(site: Site) -> Site:
    layout = Layout(site.folder / "image")
    platforms = (AMD64, ARM64, Platform.parse("linux/mips64le"))
    images = [for_platform(Made(platform=one).put(layout), one) for one in platforms]
    layout.tag("t", put_index(layout, images))
    return site


def refused(site: Site, *arguments: str) -> LayersmithError:
    with pytest.raises(LayersmithError) as caught:
        site.run("test", IMAGE, *arguments)
    return caught.value


def test_without_a_sandbox_nothing_is_fetched_or_run(
    image: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "RUNNERS", {"bubblewrap": "no-bwrap", "runc": "no-runc"})
    monkeypatch.setattr(testing, "_Bench", None)
    monkeypatch.setattr(host, "_check_reachable", lambda _: None)
    error = refused(image)
    assert isinstance(error, SandboxUnavailable)
    assert error.exit_code == 12
    assert "no-bwrap is not installed" in error.message


@pytest.mark.parametrize(
    ("arguments", "kind", "why"),
    [
        (("--runner", "docker"), InvalidInput, "is no runner"),
        (("--platform", "linux/s390x"), NotFound, "has no image for linux/s390x"),
        (("--platform", "linux/mips64le"), SandboxUnavailable, "no emulator of mips64le"),
        (("--all-platforms",), SandboxUnavailable, "linux/mips64le"),
        (("--file", "layersmith.toml", "--", "true"), InvalidInput, "a command beside"),
        (("--default", "--", "true"), InvalidInput, "a command beside"),
        (("--network",), InvalidInput, "are for a command"),
        (("--user", "5"), InvalidInput, "are for a command"),
        (("--user", "me", "--", "true"), RecipeError, "is no user"),
        (("--writable", "x", "--", "true"), RecipeError, "is not absolute"),
        (("--file", "none.toml"), RecipeError, "cannot be read"),
        (("--timeout", "-1"), InvalidInput, "it is in seconds"),
        (("--timeout", "nan"), InvalidInput, "it is in seconds"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], kind: type[LayersmithError], why: str, image: Site
) -> None:
    error = refused(image, *arguments)
    assert isinstance(error, kind)
    assert why in error.message


def test_nothing_is_left_behind(
    image: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir(mode=0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(host, "RUNNERS", {})
    monkeypatch.setattr(host, "_check_reachable", lambda _: None)
    refused(image)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_no_test_at_all_is_no_success(image: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "find_runner", lambda *_: Canned())
    (image.folder / "other.toml").write_text('[[test]]\nplatforms = ["linux/s390x"]\n')
    error = refused(image, "--file", "other.toml")
    assert isinstance(error, InvalidInput)
    assert "no test is for a platform that was run" in error.message


def test_a_damaged_cache_is_mended(image: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "find_runner", lambda *_: Canned("exit 0"))
    (image.folder / "t.toml").write_text('[[test]]\ncommand = ["/hello"]\n')
    words = ("--platform", "linux/amd64", "--file", "t.toml")
    refused(image, *words)  # it is not executable; but now the cache has it
    (tar,) = (image.folder / "cache").rglob("tar")
    damaged = bytearray(tar.read_bytes())
    damaged[damaged.index(b"hello\n")] ^= 1
    tar.write_bytes(damaged)
    assert "1 of 1 test failed" in refused(image, *words).message
    (tar,) = (image.folder / "cache").rglob("tar")
    assert b"hello\n" in tar.read_bytes()


def test_a_full_disk_is_said_before_it_is_full(
    image: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(testing, "find_runner", lambda *_: None)
    monkeypatch.setattr(testing, "size_of", lambda _: 1 << 60)
    error = refused(image, "--", "hello")
    assert error.exit_code == 9
    assert "are free" in error.message


def test_the_help_shows_examples() -> None:
    text = CliRunner().invoke(app, ["test", "--help"]).output
    assert "layersmith test oci:dist/3.13-debian13\n" in text
    assert "-- python -c" in text


# reports

DIGEST = Digest.of(b"")
EVIL = "\x1b[31m<&]]>\x00\ud800"
REPORT = Report(
    "oci:image:t",
    DIGEST,
    "bubblewrap",
    ("a note",),
    (
        PlatformReport(
            AMD64,
            DIGEST,
            Way(),
            (
                Result("good", passed=True, message="exit code 0", seconds=1.25, stdout="secret"),
                Result(
                    'bad "quoted"',
                    passed=False,
                    message="exit code 1",
                    details=("fails: x: y", "optional: z"),
                    stdout=EVIL,
                    stderr="e\n",
                ),
            ),
        ),
        PlatformReport(ARM64, DIGEST, Way(why_not="no qemu")),
    ),
)


def test_people_see_what_failed_and_why() -> None:
    text = table(REPORT, verbose=False)
    assert "ok   good" in text
    assert "FAIL bad" in text
    assert "fails: x: y" in text
    assert "optional: z" not in text
    assert "secret" not in text
    assert "linux/arm64: not run: no qemu" in text
    assert text.endswith("1 passed, 1 failed, 1 platform not run")
    assert all(line.isprintable() for line in text.splitlines())
    assert "secret" in table(REPORT, verbose=True)


def test_programs_see_everything() -> None:
    document = json.loads(report_json(REPORT))
    assert (document["passed"], document["failed"]) == (1, 1)
    first, second = document["platforms"]
    assert first["tests"][1]["details"] == ["fails: x: y", "optional: z"]
    assert first["tests"][1]["stdout"] == EVIL
    assert second == {
        "platform": "linux/arm64",
        "digest": str(DIGEST),
        "emulator": None,
        "not_run": "no qemu",
        "tests": [],
    }


def test_junit_is_xml_whatever_an_image_says(tmp_path: Path) -> None:
    write_junit(REPORT, tmp_path / "new" / "junit.xml")
    suites = ET.parse(tmp_path / "new" / "junit.xml").getroot()
    assert suites.tag == "testsuites"
    amd64, arm64 = suites
    assert (amd64.get("tests"), amd64.get("failures"), amd64.get("skipped")) == ("2", "1", "0")
    good, bad = amd64
    assert (good.get("classname"), good.get("name"), good.get("time")) == (
        "linux/amd64", "good", "1.250",
    )  # fmt: skip
    assert bad.get("name") == 'bad "quoted"'
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "exit code 1"
    assert "<&]]>" in (bad.findtext("system-out") or "")
    skipped = arm64[0].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "no qemu"
