"""What other tools say of the result: skopeo, umoci, oci-image-tool, docker-registry."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import requests
from fixtures import build, registry, tools
from tests.interop.conftest import TARGET, Assembled, layersmith
from tests.interop.peers import need
from tests.interop.registries import answered

pytestmark = pytest.mark.interop


def blob(layout: Path, digest: str) -> Any:
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())


def test_skopeo_copies_it_with_its_digests(assembled: Assembled, tmp_path: Path) -> None:
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
         f"oci:{assembled.layout}:{TARGET}", f"dir:{tmp_path}/copy"],
        check=True,
    )  # fmt: skip
    raw = (tmp_path / "copy" / "manifest.json").read_bytes()
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == assembled.digest


def test_the_registry_gives_back_what_it_took(assembled: Assembled, tmp_path: Path) -> None:
    host, _, name = assembled.repository.partition("/")
    for tag in (TARGET, assembled.document["tags"][1].rpartition(":")[2]):
        answer = requests.get(
            f"http://{host}/v2/{name}/manifests/{tag}",
            headers={"Accept": assembled.document["mediaType"]},
            timeout=10,
        )
        assert answer.headers["Docker-Content-Digest"] == assembled.digest
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
         "--src-tls-verify=false", f"docker://{assembled.repository}:{TARGET}",
         f"oci:{tmp_path}/back:x"],
        check=True,
    )  # fmt: skip
    index = json.loads((tmp_path / "back" / "index.json").read_text())
    assert [m["digest"] for m in index["manifests"]] == [assembled.digest]


def test_oci_image_tool_finds_nothing_wrong(assembled: Assembled) -> None:
    judge = tools.find("oci-image-tool", "oci-image-tool")
    done = subprocess.run(
        [str(judge.path), "validate", "--type", "image", "--ref", f"name={TARGET}",
         str(assembled.layout)],
        capture_output=True, text=True, check=False, env=judge.environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout


def test_base_layers_are_the_bases_own(assembled: Assembled, images: build.Fixtures) -> None:
    top = json.loads((images.base / "index.json").read_text())["manifests"]
    latest = next(
        m for m in top if m["annotations"]["org.opencontainers.image.ref.name"] == "latest"
    )
    for child in blob(images.base, latest["digest"])["manifests"]:
        base = blob(images.base, child["digest"])
        ours = next(
            blob(assembled.layout, p["digest"])
            for p in assembled.document["platforms"]
            if p["platform"].endswith(child["platform"]["architecture"])
        )
        assert ours["layers"][:-1] == base["layers"]
        theirs, mine = (
            blob(where, m["config"]["digest"])
            for where, m in ((images.base, base), (assembled.layout, ours))
        )
        assert mine["history"][: len(theirs["history"])] == theirs["history"]
        assert mine["rootfs"]["diff_ids"][:-1] == theirs["rootfs"]["diff_ids"]
        assert len(mine["history"]) == len(theirs["history"]) + 1


def test_base_blobs_are_mounted_and_tags_come_last(
    served: registry.Registry, assembled: Assembled, mirrors: tuple[str, ...]
) -> None:
    before = len(served.log)
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--push", f"{served.host}/other/python:mine",
        "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.document["tags"] == [f"{served.host}/other/python:mine"]
    assert done.document["digest"] == assembled.digest

    ours = [r for r in answered(served.log[before:]) if r[1].startswith("/v2/other/python/")]
    mounted = [r for r in ours if "mount=" in r[1] and r[2] == 201]
    uploads = [r for r in ours if r[0] == "PUT" and "/blobs/uploads/" in r[1] and r[2] == 201]
    layers = {
        layer["digest"]
        for platform in assembled.document["platforms"]
        for layer in blob(assembled.layout, platform["digest"])["layers"]
    }
    assert len(mounted) == len(layers) - 2
    assert len(uploads) == 4  # a layer and a config for each platform
    writes = [r[1].partition("?")[0] for r in ours if r[0] == "PUT"]
    kinds = ["tag" if w.endswith("/mine") else w.split("/")[4] for w in writes]
    assert kinds == ["blobs"] * 4 + ["manifests"] * 3 + ["tag"]


def test_a_second_run_moves_nothing(
    served: registry.Registry, assembled: Assembled, mirrors: tuple[str, ...]
) -> None:
    before = len(served.log)
    done = layersmith(
        "assemble", TARGET, *mirrors, "--json", "--push", assembled.repository,
        "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    assert done.code == 0, done.err
    requests_ = answered(served.log[before:])
    assert {method for method, _, _ in requests_} == {"HEAD"}
    assert len(requests_) == 4  # base, builder, two tags


def test_the_layer_keeps_every_rule(assembled: Assembled) -> None:
    """Sorted, parents first, nothing twice, nothing through a link, root owns all but home."""
    for platform in assembled.document["platforms"]:
        path = assembled.layout / "blobs" / platform["layer"]["digest"].replace(":", "/")
        with tarfile.open(path) as tar:
            members = tar.getmembers()
        names = [member.name for member in members]
        assert names == sorted(names, key=str.encode)
        assert len(names) == len(set(names))
        seen = {""}
        for member in members:
            parent = member.name.rpartition("/")[0]
            assert parent in seen, member.name
            if member.isdir():
                seen.add(member.name)
        assert not [n for n in names if n.split("/")[0] in ("lib", "lib64", "bin", "sbin")]
        owners = {(m.uid, m.gid) for m in members if m.name != "home/monty"}
        assert owners == {(0, 0)}
        home = next(m for m in members if m.name == "home/monty")
        assert (home.uid, home.gid, home.mode) == (1000, 1000, 0o700)
        assert len({m.mtime for m in members}) == 1
        forbidden = ("idlelib", "tkinter", "ensurepip", "/include/", "site-packages/pip", ".a")
        assert not [n for n in names if n.endswith(forbidden) or "/idlelib/" in n]
