"""sbom and assemble --sbom, as a user types them: attached, listed, and the same everywhere."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.sboms import faults
from tests.build.site import FILE, Site
from tests.fakes.registry import FakeRegistry, Reply

from layersmith.assemble.places import Place
from layersmith.assemble.referrers import find, referrers_tag
from layersmith.errors import InvalidInput, NotFound, RecipeError
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX
from layersmith.oci.graph import walk
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

SPDX, CYCLONEDX = "application/spdx+json", "application/vnd.cyclonedx+json"
BOTH = ("--sbom-format", "spdx-json", "--sbom-format", "cyclonedx-json")


def assembled(site: Site, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(site.run("assemble", *FILE, "--json", *options))
    return document


def attached(site: Site, place: str, tag: str) -> dict[str, bytes]:
    """Return by artifact type what a reader finds beside the image: a layout's lists."""
    layout = Layout(site.folder / place)
    top = walk(layout, layout.resolve(tag))
    found = {}
    for one in find(Place.parse(f"oci:{site.folder}/{place}"), layout, top.nodes()):
        assert one.node.document is not None
        manifest = one.node.document.value
        (content,) = manifest.layers
        assert content.media_type == manifest.artifact_type
        with layout.open(content) as stream:
            found[str(manifest.artifact_type)] = stream.read()
    return found


def test_an_sbom_is_attached_to_every_platform(site: Site) -> None:
    done = assembled(site, "--output", "oci:out:t", *BOTH, "--documents", "docs")
    found = attached(site, "out", "t")
    assert found.keys() == {SPDX, CYCLONEDX}
    assert [faults(raw) for raw in found.values()] == [[], []]
    files = {path.name: path.read_bytes() for path in (site.folder / "docs").iterdir()}
    assert files == {
        "3.13-debian13-linux-amd64.spdx.json": found[SPDX],
        "3.13-debian13-linux-amd64.cdx.json": found[CYCLONEDX],
    }
    image = done["platforms"][0]["digest"]
    assert {one["subject"] for one in done["attached"]} == {image}
    python = next(p for p in json.loads(found[SPDX])["packages"] if p["name"] == "python")
    assert python["SPDXID"].startswith("SPDXRef-cpython-")


@pytest.mark.parametrize(
    ("form", "media_type"), [("spdx-json", SPDX), ("cyclonedx-json", CYCLONEDX)]
)
def test_the_same_bytes_wherever_and_whenever(site: Site, form: str, media_type: str) -> None:
    assembled(site, "--output", "oci:out:t", *BOTH)
    expected = attached(site, "out", "t")[media_type].decode()
    for place in ("oci:out:t", "out"):
        assert site.run("sbom", place, "--format", form) == expected
    shutil.rmtree(site.folder / "cache")
    site.run("sbom", "oci:out:t", "--format", form, "-o", "deep/x.json")
    assert (site.folder / "deep/x.json").read_text() == expected
    again = assembled(site, "--output", "oci:again:t", "--sbom-format", form)
    assert again["attached"][0]["content"]["digest"] == Digest.of(expected.encode())


def test_only_who_asks_loads_the_code(site: Site) -> None:
    check = (
        "import sys\nfrom layersmith.cli.app import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print(sorted(m for m in sys.modules if m.startswith('layersmith.attest') or 'attaching' in m))"
    )
    options = ("--cache-dir", "cache", "-q", "--json", "--output", "oci:out:t")
    said = [
        subprocess.run(
            [sys.executable, "-c", check, "assemble", *FILE, *options, *more],
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()[-1]
        for more in ((), ("--sbom",), ("--sbom",))
    ]  # fmt: skip
    assert said[0] == "[]"
    assert "layersmith.attest.survey" in said[1]
    assert said[2] == "['layersmith.assemble.attaching']"


def test_documents_need_something_to_write(site: Site) -> None:
    with pytest.raises(RecipeError, match="there is none"):
        assembled(site, "--documents", "docs")


def test_an_image_without_a_wish_has_no_sbom(site: Site) -> None:
    assert assembled(site, "--output", "oci:out:t")["attached"] == []
    assert attached(site, "out", "t") == {}


def test_a_warm_run_makes_nothing_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first = assembled(site, "--output", "oci:out:t", "--sbom")

    def survey(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr("layersmith.attest.survey.survey", survey)
    second = assembled(site, "--output", "oci:out:t", "--sbom")
    assert second["attached"] == first["attached"]
    with pytest.raises(AssertionError, match="looked again"):
        assembled(site, "--output", "oci:out:t", "--sbom-format", "cyclonedx-json")


@pytest.mark.parametrize("bad", ["blobs", "layers"])
def test_what_rots_in_the_cache_is_made_again(site: Site, bad: str) -> None:
    first = assembled(site, "--output", "oci:out:t", "--sbom")
    for path in (site.folder / "cache").rglob("*"):
        if path.is_file() and f"/{bad}/" in str(path):
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2] + b"rotten" + data[len(data) // 2 + 6 :])
    assert assembled(site, "--output", "oci:out:t", "--sbom")["attached"] == first["attached"]
    site.run("sbom", "oci:out:t")


def test_an_archive_has_them_too_and_a_docker_archive_cannot(site: Site) -> None:
    assembled(site, "--output", "oci-archive:out.tar:t", "--sbom")
    site.run("sbom", "oci-archive:out.tar:t")
    copied = site.run_plain("copy", "oci-archive:out.tar:t", "oci:copy:t", "--referrers")
    assert "refer" in copied
    assert attached(site, "copy", "t").keys() == {SPDX}
    with pytest.raises(InvalidInput, match="cannot hold"):
        assembled(site, "--output", "docker-archive:d.tar:t", "--sbom")


def test_an_unknown_format_is_refused_before_anything_is_read(site: Site) -> None:
    shutil.rmtree(site.folder / "base")
    for command in (
        ("sbom", "oci:out:t", "--format", "x"),
        ("assemble", *FILE, "--sbom-format", "x"),
    ):
        with pytest.raises(InvalidInput, match="no format of SBOMs"):
            site.run(*command)


def test_of_several_platforms_one_is_chosen_or_each_has_a_file(site: Site) -> None:
    from tests.build.world import ARM, X86, put_base

    layout = Layout(site.folder / "two")
    layout.tag("t", put_base(layout, X86, ARM))
    with pytest.raises(InvalidInput, match="several platforms") as caught:
        site.run("sbom", "oci:two:t")
    assert "linux/amd64, linux/arm64" in caught.value.hint
    with pytest.raises(NotFound, match="no image for linux/s390x"):
        site.run("sbom", "oci:two:t", "--platform", "linux/s390x")
    site.run("sbom", "oci:two:t", "-o", "files/")
    arm = site.run("sbom", "oci:two:t", "--platform", "linux/arm64/v8")
    files = {path.name: path.read_text() for path in (site.folder / "files").iterdir()}
    assert files.keys() == {"image-linux-amd64.spdx.json", "image-linux-arm64.spdx.json"}
    assert files["image-linux-arm64.spdx.json"] == arm


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def test_a_registry_without_the_api_lists_them_under_tags(site: Site, fake: FakeRegistry) -> None:
    place = f"{fake.host}/team/image"
    done = assembled(site, "--push", f"{place}:t", "--sbom")
    image = Digest(done["platforms"][0]["digest"])
    listed = json.loads(site.run_plain("inspect", f"{place}:{referrers_tag(image)}", "--raw"))
    assert [(one["digest"], one["artifactType"]) for one in listed["manifests"]] == [
        (done["attached"][0]["digest"], SPDX)
    ]
    fake.log.clear()
    assert assembled(site, "--push", f"{place}:t", "--sbom")["attached"] == done["attached"]
    assert {request.method for request in fake.log} <= {"HEAD", "GET"}
    # What somebody took away is brought again.
    site.run_plain("copy", f"{place}:t", f"{place}2:t")
    assembled(site, "--push", f"{place}2:t", "--sbom")
    raw = site.run_plain("inspect", f"{place}2:{referrers_tag(image)}", "--raw")
    assert hashlib.sha256(raw.encode()).hexdigest()
    assert json.loads(raw) == listed


def test_a_registry_with_the_api_needs_no_tags(site: Site, fake: FakeRegistry) -> None:
    listed = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    fake.always("GET", "/referrers/", Reply(200, {"Content-Type": OCI_INDEX}, listed))
    done = assembled(site, "--push", f"{fake.host}/team/image:t", *BOTH)
    written = [
        r.target.rpartition("/")[2]
        for r in fake.log
        if r.method == "PUT" and "/manifests/" in r.target
    ]
    assert not [name for name in written if name.startswith("sha256-")]
    order = [written.index(one["digest"]) for one in done["attached"]]
    assert written.index(done["digest"]) < min(order) <= max(order) < written.index("t")


def test_an_image_that_is_not_there_is_not_found(site: Site) -> None:
    with pytest.raises(NotFound):
        site.run("sbom", "oci:nowhere:t")
