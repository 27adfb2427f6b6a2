"""What we copy, skopeo and umoci read; what skopeo writes, we read."""

from __future__ import annotations

import gzip
import json
import subprocess
from typing import TYPE_CHECKING

import pytest
import zstandard
from tests.interop.conftest import layersmith
from tests.interop.peers import need

from layersmith.oci.documents import Platform
from layersmith.oci.graph import walk
from layersmith.oci.image import load, select
from layersmith.stores.archive import OciArchive
from layersmith.stores.docker_archive import DockerArchive
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fixtures import build, registry

    from layersmith.oci.content import Source

pytestmark = pytest.mark.interop
AMD64 = Platform(os="linux", architecture="amd64")


def skopeo(*arguments: str) -> str:
    done = subprocess.run(
        [need("skopeo"), "--insecure-policy", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def copied(*arguments: str) -> str:
    done = layersmith("copy", *arguments, "--json", "-q")
    assert done.code == 0, done.err
    return str(done.document["digest"])


def everything(source: Source, tag: str) -> set[str]:
    """Return every digest below a tag; all of it is read and verified."""
    found = set()
    node = walk(source, source.resolve(tag))
    for one in node.nodes():
        found.add(one.descriptor.digest)
        for blob in one.blobs:
            with source.open(blob) as stream:
                stream.read()
            found.add(blob.digest)
    return set(map(str, found))


@pytest.fixture
def base(images: build.Fixtures) -> str:
    return f"oci:{images.base}:latest"


def test_skopeo_reads_our_archive_with_every_digest(
    images: build.Fixtures, base: str, tmp_path: Path
) -> None:
    digest = copied(base, f"oci-archive:{tmp_path}/a.tar:t")
    assert json.loads(skopeo("inspect", f"oci-archive:{tmp_path}/a.tar:t"))["Layers"]
    skopeo("copy", "--all", f"oci-archive:{tmp_path}/a.tar:t", f"oci:{tmp_path}/out:t")
    out = Layout(tmp_path / "out")
    assert out.resolve("t").digest == digest
    assert everything(out, "t") == everything(Layout(images.base), "latest")


def test_umoci_reads_our_archive_unpacked_by_tar(base: str, tmp_path: Path) -> None:
    copied(base, f"oci-archive:{tmp_path}/a.tar:t", "--platform", "linux/amd64")
    (tmp_path / "layout").mkdir()
    unpack = [need("tar"), "-x", "-f", f"{tmp_path}/a.tar", "-C", f"{tmp_path}/layout"]
    subprocess.run(unpack, check=True)
    done = subprocess.run(
        [need("umoci"), "stat", "--image", f"{tmp_path}/layout:t", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["history"]


@pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, zstandard.ZstdCompressor().compress],
    ids=["", "gzip", "zstd"],
)
def test_we_read_skopeo_s_archive_with_every_digest(
    images: build.Fixtures, base: str, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.tar"
    skopeo("copy", "--all", base, f"oci-archive:{path}:t")
    path.write_bytes(compress(path.read_bytes()))
    assert everything(OciArchive(path), "t") == everything(Layout(images.base), "latest")


def test_skopeo_reads_our_docker_archive(base: str, tmp_path: Path) -> None:
    name = "registry.example/team/base:t"
    archive = f"docker-archive:{tmp_path}/a.tar:{name}"
    digest = copied(base, archive, "--platform", "linux/amd64")
    skopeo("copy", archive, f"oci:{tmp_path}/out:t")
    ours, theirs = DockerArchive(tmp_path / "a.tar"), Layout(tmp_path / "out")
    assert ours.resolve(name).digest == digest
    images = [select(s, load(s, "t"), AMD64) for s in (ours, theirs)]
    assert len({tuple(layer.diff_id for layer in image.layers) for image in images}) == 1
    assert images[0].config.value.config == images[1].config.value.config


def test_we_read_skopeo_s_docker_archive(images: build.Fixtures, base: str, tmp_path: Path) -> None:
    skopeo("copy", base, f"docker-archive:{tmp_path}/a.tar:some/base:t")
    copied(f"docker-archive:{tmp_path}/a.tar:some/base:t", f"oci:{tmp_path}/out")
    out, origin = Layout(tmp_path / "out"), Layout(images.base)
    assert everything(out, "t")
    found, wanted = (select(s, load(s, t), AMD64) for s, t in ((out, "t"), (origin, "latest")))
    assert [layer.diff_id for layer in found.layers] == [layer.diff_id for layer in wanted.layers]


def test_a_registry_and_back_is_the_same(
    served: registry.Registry, images: build.Fixtures, base: str, tmp_path: Path
) -> None:
    name = f"{served.host}/copied/base"
    digest = copied(base, f"{name}:t")
    assert (
        skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{name}:t").encode()
        == (images.base / "blobs" / digest.replace(":", "/")).read_bytes()
    )
    assert copied(f"{name}:t", f"{served.host}/copied/again:u") == digest
    assert copied(f"{served.host}/copied/again:u", f"oci-archive:{tmp_path}/a.tar") == digest
    expected = everything(Layout(images.base), "latest")
    assert everything(OciArchive(tmp_path / "a.tar"), "u") == expected
    assert layersmith("tags", name).out == "t\n"
    assert layersmith("digest", f"{name}:t").out == f"{digest}\n"
    assert layersmith("copy", f"{name}:t", f"oci:{tmp_path}/r", "--referrers", "-q").code == 0


def test_an_assembled_archive_is_read_by_skopeo(images: build.Fixtures, tmp_path: Path) -> None:
    done = layersmith(
        "assemble", "3.13-debian13", "--base", f"oci:{images.base}:latest",
        "--builder", f"oci:{images.builder}:3.13-slim-trixie", "--platform", "linux/amd64",
        "--cache-dir", f"{tmp_path}/cache", "--output", f"docker-archive:{tmp_path}/python.tar",
    )  # fmt: skip
    assert done.code == 0, done.err
    name = "localhost/python:3.13-debian13"
    found = json.loads(skopeo("inspect", f"docker-archive:{tmp_path}/python.tar:{name}"))
    assert found["Architecture"] == "amd64"
