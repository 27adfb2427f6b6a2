"""inspect, tags, digest and copy as a user types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from typer.testing import CliRunner

from layersmith.cli.app import app
from layersmith.errors import InvalidInput, LayersmithError, NotFound
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "\x1b]0;owned\x07\nsecond line"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.chdir(tmp_path)
    found = Layout(tmp_path / "x")
    one = Made(runtime={"User": EVIL, "Cmd": ["a"]}).put(found)
    two = Made(platform=ARM64).put(found)
    children = [for_platform(one, AMD64), for_platform(two, ARM64, annotations={"k": EVIL})]
    found.tag("t", put_index(found, children, annotations={"evil": EVIL, EVIL: "x"}))
    return found


def run(*arguments: str) -> bytes:
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, LayersmithError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout_bytes


def test_a_tree_is_shown_and_nothing_of_it_drives_the_terminal(layout: Layout) -> None:
    text = run("inspect", "oci:x:t").decode()
    assert not [c for c in text if not c.isprintable() and c != "\n"]
    lines = text.splitlines()
    assert lines[0] == "oci:x:t"
    assert lines[1].startswith(f"index {layout.resolve('t').digest} ")
    assert [line.split()[:2] for line in lines if line.strip().startswith("manifest")] == [
        ["manifest", "linux/amd64"],
        ["manifest", "linux/arm64"],
    ]
    assert len([line for line in lines if line.strip().startswith(("config", "layer"))]) == 4


def test_a_tree_is_json_too(layout: Layout) -> None:
    found = json.loads(run("inspect", "oci:x:t", "--json"))
    assert found["digest"] == layout.resolve("t").digest
    assert found["annotations"]["evil"] == EVIL
    assert [one["platform"] for one in found["manifests"]] == ["linux/amd64", "linux/arm64"]
    assert found["manifests"][0]["config"]["content"]["config"]["User"] == EVIL
    assert found["manifests"][1]["layers"][0]["size"]


def test_raw_is_the_exact_bytes(layout: Layout, tmp_path: Path) -> None:
    for options in ([], ["--platform", "linux/arm64"]):
        digest = run("digest", "oci:x:t", *options).decode().strip()
        stored = (tmp_path / "x/blobs/sha256" / digest.partition(":")[2]).read_bytes()
        assert run("inspect", "oci:x:t", "--raw", *options) == stored


def test_a_digest_is_one_line(layout: Layout) -> None:
    assert run("digest", "oci:x:t").decode() == f"{layout.resolve('t').digest}\n"
    assert run("digest", f"oci:x@{layout.resolve('t').digest}") == run("digest", "oci:x:t")


def test_tags_are_lines(layout: Layout) -> None:
    layout.tag("s", layout.resolve("t"))
    assert run("tags", "oci:x") == b"s\nt\n"
    assert json.loads(run("tags", "oci:x", "--json")) == {"repository": "oci:x", "tags": ["s", "t"]}


def test_a_copy_says_what_it_did(layout: Layout) -> None:
    done = json.loads(run("copy", "oci:x:t", "oci-archive:y.tar", "--json", "-q"))
    assert done["name"] == "oci-archive:y.tar:t"
    assert done["digest"] == layout.resolve("t").digest
    assert (done["manifests"], done["referrers"]) == (3, [])
    text = run("copy", "oci-archive:y.tar:t", "oci:z:u", "-q").decode()
    assert text.splitlines()[:2] == ["oci:z:u", f"  {done['digest']}"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["inspect", "oci:none"], NotFound),
        (["inspect", "oci:x:none"], NotFound),
        (["digest", "oci:x:t", "--platform", "linux/none"], NotFound),
        (["digest", "oci:x:t", "--platform", "linux"], InvalidInput),
        (["tags", "UPPER/case"], InvalidInput),
        (["copy", "oci:x:t", "docker-archive:y.tar"], InvalidInput),
        (["copy", "oci:x:t", "oci:y", "--mirror", "x"], InvalidInput),
        (["copy", "oci:x:t", "oci:y", "--plain-http", "http://x"], InvalidInput),
    ],
)
def test_a_wrong_wish_is_one_of_our_errors(
    layout: Layout, arguments: list[str], error: type[LayersmithError]
) -> None:
    with pytest.raises(error):
        run(*arguments)
