"""Archives that strangers made: damaged or odd, only our own errors come out, and soon."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from tests.build.image import AMD64, HELLO, Made, for_platform, put_index
from tests.build.tar import archive, file
from tests.property.strategies import damaged, mutations
from tests.property.test_only_our_errors import ours_and_soon

from layersmith.oci.content import read_document
from layersmith.oci.digest import Digest
from layersmith.oci.graph import walk
from layersmith.stores.archive import OciArchive
from layersmith.stores.docker_archive import DockerArchive

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": [Digest.of(HELLO)]},
}
ITEMS = [{"Config": "c.json", "RepoTags": ["some/thing:y"], "Layers": ["l/layer.tar"]}]
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
)


def whole(kind: type[OciArchive]) -> bytes:
    with TemporaryDirectory() as folder:
        sink = kind(Path(folder) / "a.tar")
        sink.tag("t", put_index(sink, [for_platform(Made().put(sink), AMD64)]))
        return (Path(folder) / "a.tar").read_bytes()


def others(items: object, config: object = CONFIG) -> bytes:
    """Return a docker-archive as skopeo writes it."""
    return archive(
        file("c.json", json.dumps(config).encode()),
        file("l/layer.tar", HELLO),
        file("manifest.json", json.dumps(items).encode()),
    )


def read(kind: type[OciArchive], raw: bytes) -> None:
    """Read everything that can be reached; nothing unverified may come out."""
    with TemporaryDirectory() as folder, ours_and_soon():
        path = Path(folder) / "a.tar"
        path.write_bytes(raw)
        source = kind(path)
        source.tags()
        for node in walk(source, source.resolve("latest")).nodes():
            for blob in node.blobs:
                assert Digest.of(read_document(source, blob)) == blob.digest


OCI, DOCKER = whole(OciArchive), whole(DockerArchive)
EITHER: SearchStrategy[type[OciArchive]] = st.sampled_from([OciArchive, DockerArchive])


@given(EITHER, st.sampled_from([OCI, DOCKER, others(ITEMS)]).flatmap(damaged))
def test_a_damaged_archive(kind: type[OciArchive], raw: bytes) -> None:
    read(kind, raw)


@given(EITHER, damaged(gzip.compress(DOCKER, mtime=0)))
def test_a_damaged_compressed_archive(kind: type[OciArchive], raw: bytes) -> None:
    read(kind, raw)


@given(st.one_of(JSONS, mutations(ITEMS[0]).map(lambda item: [item])))
def test_an_odd_manifest_json(items: object) -> None:
    read(DockerArchive, others(items))


@given(mutations(CONFIG))
def test_an_odd_config(config: object) -> None:
    read(DockerArchive, others(ITEMS, config))


def test_the_whole_ones_are_read() -> None:
    for kind, raw in ((OciArchive, OCI), (DockerArchive, DOCKER), (DockerArchive, others(ITEMS))):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "a.tar"
            path.write_bytes(raw)
            source = kind(path)
            assert len(list(walk(source, source.resolve("latest")).nodes())) in (1, 2)
