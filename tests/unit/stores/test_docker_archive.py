"""docker-archives: ours, those that others write, and those that lie."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.image import (
    AMD64,
    ARM64,
    HELLO,
    Made,
    descriptor,
    for_platform,
    put_index,
    shown,
)
from tests.build.tar import archive, file, symlink

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    InvalidInput,
    LayersmithError,
    MalformedTar,
    NotFound,
)
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_LAYER
from layersmith.oci.image import load, select
from layersmith.stores.docker_archive import DockerArchive

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.documents import Descriptor

CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": [Digest.of(HELLO)]},
}


def manifest_of(path: Path, name: str = "manifest.json") -> Any:
    from layersmith.stores.tarball import Tarball

    return json.loads(Tarball(path, "t").read(name))


def others(path: Path, *members: bytes, **item: object) -> DockerArchive:
    """Write an archive as skopeo and older docker do: no layout in it."""
    about = {"Config": "c.json", "RepoTags": ["some/thing:y"], "Layers": ["l/layer.tar"], **item}
    config = file("c.json", json.dumps(CONFIG).encode())
    listed = file("manifest.json", json.dumps([about]).encode())
    path.write_bytes(archive(config, listed, *(members or (file("l/layer.tar", HELLO),))))
    return DockerArchive(path)


def layer(source: DockerArchive, identifier: str = "latest") -> tuple[Descriptor, bytes]:
    image = select(source, load(source, identifier), AMD64)
    described = image.layers[0].descriptor
    with source.open(described) as stream:
        return described, stream.read()


def test_ours_keeps_every_digest(tmp_path: Path) -> None:
    path = tmp_path / "Python 3.tar"
    sink = DockerArchive(path)
    manifest = Made().put(sink)
    index = put_index(sink, [for_platform(manifest, AMD64)])
    sink.tag("t", index)
    sink.tag("u", manifest)
    item = manifest_of(path)
    assert [one["RepoTags"] for one in item] == [["localhost/python-3:t", "localhost/python-3:u"]]
    said = [one["annotations"] for one in manifest_of(path, "index.json")["manifests"]]
    assert [one["io.containerd.image.name"] for one in said] == item[0]["RepoTags"]  # for podman
    source = DockerArchive(path)
    assert source.resolve("t").digest == index.digest
    assert source.resolve("localhost/python-3:u").digest == manifest.digest
    assert source.resolve(manifest.digest).digest == manifest.digest
    assert source.tags() == ["localhost/python-3:t", "localhost/python-3:u"]
    assert layer(source, "u")[1] == gzip.compress(HELLO, 1, mtime=0)


def test_the_repository_can_be_named(tmp_path: Path) -> None:
    sink = DockerArchive(tmp_path / "a.tar", "registry.example/team/python")
    sink.tag("3.13", Made().put(sink))
    assert sink.tags() == ["registry.example/team/python:3.13"]


def test_several_platforms_are_refused(tmp_path: Path) -> None:
    sink = DockerArchive(tmp_path / "a.tar")
    images = [
        for_platform(Made(platform=platform).put(sink), platform) for platform in (AMD64, ARM64)
    ]
    with pytest.raises(InvalidInput, match="2 images") as caught:
        sink.tag("t", put_index(sink, images))
    assert "--platform" in caught.value.hint
    assert not (tmp_path / "a.tar").exists()


def test_attestations_do_not_count(tmp_path: Path) -> None:
    sink = DockerArchive(tmp_path / "a.tar")
    manifest = Made().put(sink)
    unknown = shown(manifest, platform={"os": "unknown", "architecture": "unknown"})
    index = put_index(sink, [for_platform(manifest, AMD64), unknown])
    sink.tag("t", index)
    assert sink.resolve("t").digest == index.digest


@pytest.mark.parametrize("name", ["latest", "y", "some/thing:y", "docker.io/some/thing:y"])
def test_an_archive_of_others_is_described_anew(tmp_path: Path, name: str) -> None:
    source = others(tmp_path / "a.tar")
    described, data = layer(source, name)
    assert (described, data) == (descriptor(HELLO), HELLO)
    top = source.resolve(name)
    assert source.resolve(top.digest).digest == top.digest
    assert others(tmp_path / "b.tar").resolve("y").digest == top.digest


def test_compressed_layers_of_others_stay_so(tmp_path: Path) -> None:
    packed = gzip.compress(HELLO)
    described, data = layer(others(tmp_path / "a.tar", file("l/layer.tar", packed)))
    assert described.media_type == f"{OCI_LAYER}+gzip"
    assert described.digest == Digest.of(packed)
    assert data == packed


def test_a_shared_layer_may_be_a_link_inside(tmp_path: Path) -> None:
    members = file("k/layer.tar", HELLO), symlink("l/layer.tar", "../k/layer.tar")
    assert layer(others(tmp_path / "a.tar", *members))[1] == HELLO


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ((file("x", b""),), NotFound),
        ((file("l/layer.tar", HELLO[:-1] + b"x"),), DigestMismatch),
        ((symlink("l/layer.tar", "/etc/passwd"),), MalformedTar),
        ((symlink("l/layer.tar", "../../x"),), MalformedTar),
        ((symlink("l/layer.tar", "layer.tar"),), MalformedTar),
        ((symlink("l/layer.tar", "nowhere"),), NotFound),
        ((file("l/layer.tar", HELLO), file("l/layer.tar", HELLO)), MalformedTar),
        ((file("l/layer.tar", HELLO), file("c.json", b"{}")), MalformedTar),
    ],
    ids=["missing", "other bytes", "out", "up", "loop", "dangling", "twice", "two configs"],
)
def test_a_hostile_archive_is_an_error(
    tmp_path: Path, members: tuple[bytes, ...], error: type[LayersmithError]
) -> None:
    with pytest.raises(error):
        layer(others(tmp_path / "a.tar", *members))


@pytest.mark.parametrize(
    "item",
    [
        {"Config": "none"},
        {"Config": 5},
        {"Config": "../c.json"},
        {"Config": "l/layer.tar"},
        {"Layers": []},
        {"Layers": ["l/layer.tar"] * 2},
        {"Layers": None},
        {"Layers": ["/etc/passwd"]},
        {"RepoTags": "x"},
    ],
)
def test_a_wrong_item_is_an_error(tmp_path: Path, item: dict[str, object]) -> None:
    with pytest.raises((DocumentError, NotFound)):
        layer(others(tmp_path / "a.tar", **item))


def test_a_layout_that_says_something_else_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    sink = DockerArchive(path)
    honest = Made().put(sink)
    sink.tag("t", honest)
    other = DockerArchive(tmp_path / "b.tar")
    evil = Made(runtime={"User": "evil"}).put(other)
    other.tag("t", evil)
    # What docker loads is manifest.json's, whatever index.json says.
    members = _files(path) | {"index.json": _files(tmp_path / "b.tar")["index.json"]}
    members |= {k: v for k, v in _files(tmp_path / "b.tar").items() if k.startswith("blobs/")}
    path.write_bytes(archive(*(file(name, data) for name, data in members.items())))
    source = DockerArchive(path)
    image = select(source, load(source, "t"), AMD64)
    assert image.config.value.config is not None
    assert image.config.value.config.user == ""
    assert evil.digest not in (source.resolve("t").digest, image.manifest.descriptor.digest)


def _files(path: Path) -> dict[str, bytes]:
    import tarfile

    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def test_an_unknown_name_says_what_is_there(tmp_path: Path) -> None:
    source = others(tmp_path / "a.tar")
    with pytest.raises(NotFound) as caught:
        source.resolve("nothing")
    assert "some/thing:y" in caught.value.hint
    with pytest.raises(NotFound):
        source.resolve(Digest.of(b"nothing"))


def test_an_oci_archive_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive(file("index.json", b"{}")))
    with pytest.raises(NotFound, match=r"no manifest\.json") as caught:
        DockerArchive(tmp_path / "a.tar").resolve("t")
    assert "oci-archive" in caught.value.hint


def test_an_index_that_repeats_itself_is_one_image(tmp_path: Path) -> None:
    archive_ = DockerArchive(tmp_path / "a.tar")
    top = Made().put(archive_)
    for _ in range(3):
        top = put_index(archive_, [shown(top)] * 500)
    archive_.tag("t", top)
    (item,) = manifest_of(tmp_path / "a.tar")
    assert len(item["Layers"]) == 1
    assert DockerArchive(tmp_path / "a.tar").resolve("t").digest == top.digest
