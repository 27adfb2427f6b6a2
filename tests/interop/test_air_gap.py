"""Behind the air gap: a bundle, and no network but loopback, give the same digests."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures.apt import host_architecture
from tests.interop.conftest import TARGET, Assembled, Result, layersmith
from tests.interop.peers import need
from tests.reliability.repro_pythons import Box

pytestmark = pytest.mark.interop


@dataclass(frozen=True)
class Site:
    """A bundle in parts, and how to run a program without any network."""

    folder: Path
    alone: tuple[str, ...]
    created: dict[str, Any]

    @property
    def bundle(self) -> Path:
        return self.folder / "python.bundle"

    def run(self, *arguments: str, cache: str = "cache") -> Result:
        options = ("--cache-dir", f"{self.folder}/{cache}", "--json", "-q")
        return layersmith(*arguments, *options, prefix=self.alone)


@pytest.fixture(scope="module")
def alone() -> tuple[str, ...]:
    """How this machine cuts a program off: a user namespace, or bubblewrap."""
    for words in (("unshare", "-rn"), ("bwrap", "--dev-bind", "/", "/", "--unshare-net")):
        prefix = (need(words[0]), *words[1:])
        if not subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
            return prefix
    pytest.fail("neither unshare nor bubblewrap can make a network namespace here")


@pytest.fixture(scope="module")
def site(
    assembled: Assembled,
    mirrors: tuple[str, ...],
    alone: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    folder = tmp_path_factory.mktemp("site")
    done = layersmith(
        "bundle", "create", TARGET, *mirrors, "--output", f"{folder}/python.bundle",
        "--split", "40MB", "--cache-dir", str(assembled.cache), "--json",
        env={"TZ": "Asia/Tokyo", "LANG": "C"},
    )  # fmt: skip
    assert done.code == 0, done.err
    return Site(folder, alone, done.document)


def test_without_a_network_it_gives_the_digests_of_outside(
    site: Site, assembled: Assembled
) -> None:
    output = f"oci:{site.folder}/out"
    done = site.run("assemble", "--bundle", f"{site.bundle}.000", "--output", output)
    assert done.code == 0, done.err
    assert done.document["digest"] == assembled.digest == site.created["digest"]
    outside = {p["platform"]: p["digest"] for p in assembled.document["platforms"]}
    assert {p["platform"]: p["digest"] for p in done.document["platforms"]} == outside
    assert sorted(outside) == ["linux/amd64", "linux/arm64"]


def test_there_is_no_network_there(site: Site, mirrors: tuple[str, ...]) -> None:
    done = site.run("assemble", TARGET, *mirrors, "--output", f"oci:{site.folder}/none", cache="n")
    assert done.code == 5, done.err


def test_it_proves_itself_there(site: Site, assembled: Assembled) -> None:
    done = site.run("rebuild", "--bundle", str(site.bundle))
    assert done.code == 0, done.err
    assert done.document["rebuilt"] == assembled.digest


def test_another_python_proves_it_too(site: Site, assembled: Assembled, tmp_path: Path) -> None:
    """The bundle was made by this Python; the one in our own image, without a network, agrees."""
    machine = host_architecture()
    box = Box(assembled.layout, TARGET, machine, tmp_path / "box")
    box.furnish("3.13")
    for part in site.folder.glob("python.bundle*"):
        shutil.copy(part, box.shared)
    bundle, cache = "/tmp/shared/python.bundle", "/tmp/shared/cache"
    command = ("rebuild", "--bundle", bundle, "--cache-dir", cache, "--json", "-q")
    done = box.python("-m", "layersmith", *command, timeout=280)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rebuilt"] == assembled.digest
    version = box.python("--version", timeout=60).stdout
    assert version.startswith("Python 3.13."), version


def test_the_parts_are_whole_and_the_same_each_time(
    site: Site, assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    done = layersmith("bundle", "verify", str(site.bundle), "-q")
    assert done.code == 0, done.err
    check = [need("sha256sum"), "--check", "--quiet", "python.bundle.sha256"]
    subprocess.run(check, cwd=site.folder, check=True, timeout=120)
    again = layersmith(
        "bundle", "create", TARGET, *mirrors, "-o", f"{tmp_path}/one", "-q",
        "--platform=linux/arm64", "--platform=linux/amd64", "--cache-dir", f"{tmp_path}/cache",
        prefix=("sh", "-c", 'umask 077; exec "$0" "$@"'),
    )  # fmt: skip
    assert again.code == 0, again.err
    parts = sorted(site.folder.glob("python.bundle.0*"))
    assert len(parts) > 2
    assert (tmp_path / "one").read_bytes() == b"".join(part.read_bytes() for part in parts)


def test_a_registry_of_the_site_gets_the_base_as_it_was(
    site: Site, assembled: Assembled, served: Any
) -> None:
    repository = f"{served.host}/site/python"
    done = layersmith(
        "assemble", "--bundle", str(site.bundle), "--push", repository, "--json",
        "--cache-dir", f"{site.folder}/push",
    )  # fmt: skip
    assert done.code == 0, done.err
    raw = layersmith("inspect", f"{repository}:{TARGET}", "--json").document
    assert raw["digest"] == assembled.digest
    there = {layer["digest"] for one in raw["manifests"] for layer in one["layers"]}
    for lock in site.created["lock"]["platforms"].values():
        base = layersmith("inspect", f"{served.host}/distroless/cc-debian13@{lock['base']}")
        below = {w for line in base.out.splitlines() if " layer " in line for w in line.split()}
        assert {word for word in below if word.startswith("sha256:")} <= there
    again = layersmith(
        "rebuild", f"{repository}:{TARGET}", f"--mirror=docker.io={served.host}",
        f"--mirror=gcr.io={served.host}", "--cache-dir", f"{site.folder}/push", "--json",
    )  # fmt: skip
    assert again.code == 0, again.err


def test_skopeo_reads_it(site: Site, assembled: Assembled, tmp_path: Path) -> None:
    whole = tmp_path / "whole.tar"
    with whole.open("wb") as file:
        for part in sorted(site.folder.glob("python.bundle.0*")):
            file.write(part.read_bytes())
    skopeo = need("skopeo")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    copy = [skopeo, "--policy", str(policy), "copy", "-q", "--all", "--preserve-digests"]
    source, target = f"oci-archive:{whole}:{TARGET}", f"oci:{tmp_path}/out:{TARGET}"
    subprocess.run([*copy, source, target], check=True, timeout=250)
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert index["manifests"][0]["digest"] == assembled.digest
    for name in ("base", "builder", "lock"):
        raw = [skopeo, "inspect", "--raw", f"oci-archive:{whole}:{name}"]
        assert subprocess.run(raw, check=True, timeout=120, capture_output=True).stdout
