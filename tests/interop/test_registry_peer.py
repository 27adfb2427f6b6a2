"""Against Debian's docker-registry: plain, with passwords, with a real token protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from fixtures import registry
from tests.interop.peers import need
from tests.interop.registries import Served, opened

from layersmith.errors import NotFound, Unauthorized
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import encode
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

pytestmark = pytest.mark.interop

LAYERS = [bytes([n]) * (1 << 20) for n in range(6)]


def descriptor(data: bytes, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))


@pytest.fixture(params=["plain", "htpasswd", "token"])
def peer(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    with opened(request.param, tmp_path) as served:
        for name, value in served.settings.items():
            monkeypatch.setenv(name, value)
        yield served


# what we do with them


def push_image(repository: RegistryRepository, origin: Reference | None = None) -> Descriptor:
    """Push an index over one image as the pipeline does; blobs side by side."""
    layers = [descriptor(data, OCI_LAYER) for data in LAYERS]
    config = encode({"architecture": "amd64", "os": "linux",
                     "rootfs": {"type": "layers", "diff_ids": [d.digest for d in layers]}})  # fmt: skip
    manifest = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                       "config": descriptor(config, OCI_CONFIG), "layers": layers})  # fmt: skip
    entry = descriptor(manifest, OCI_MANIFEST)
    index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size,
         "platform": {"os": "linux", "architecture": "amd64"}}]})  # fmt: skip

    def bring(data: bytes) -> bool:
        blob = descriptor(data, OCI_LAYER)
        if origin and repository.mount(blob, origin):
            return True
        assert not repository.has(blob)
        repository.put(blob, held(data))
        assert repository.has(blob)
        return False

    with ThreadPoolExecutor(6) as pool:
        mounted = list(pool.map(bring, LAYERS))
    assert all(mounted) == bool(origin)
    repository.put(descriptor(config, OCI_CONFIG), held(config))
    repository.put(entry, held(manifest))
    top = descriptor(index, OCI_INDEX)
    repository.put(top, held(index))
    repository.tag("1", top)
    return top


def test_an_image_goes_there_and_back(peer: Served) -> None:
    with Registries() as registries:
        first = Reference.parse(f"{peer.host}/team/one:1")
        repository = registries.repository(first)
        assert not repository.stands_for("1", descriptor(b"", OCI_INDEX))
        top = push_image(repository)
        assert repository.stands_for("1", top)
        second = registries.repository(Reference.parse(f"{peer.host}/other/two:1"))
        assert push_image(second, first) == top
    with Registries() as registries:
        repository = registries.repository(Reference.parse(f"{peer.host}/other/two:1"))
        assert repository.resolve("1") == top
        assert repository.resolve(top.digest) == top
        assert Digest.of(read_document(repository, top)) == top.digest
        for data in LAYERS:
            assert read_document(repository, descriptor(data, OCI_LAYER)) == data
        with pytest.raises(NotFound):
            repository.resolve("none")


def test_a_blob_goes_up_in_chunks_and_comes_down_in_parts(peer: Served) -> None:
    data = b"".join(LAYERS)
    with Registries() as registries:
        repository = registries.repository(Reference.parse(f"{peer.host}/team/one:1"))
        repository._habits.chunk = 1 << 20
        repository.put(descriptor(data, OCI_LAYER), held(data))
        assert repository.has(descriptor(data, OCI_LAYER))
        with repository.open(descriptor(data, OCI_LAYER)) as stream:
            start = stream.read(1000)
            stream._stream._response.raw.shutdown()  # type: ignore[attr-defined] # a cut
            rest = b"".join(iter(lambda: stream.read(1 << 20), b""))
    assert start + rest == data


def test_an_upload_session_that_is_gone(tmp_path: Path) -> None:
    data = LAYERS[1]
    blob = descriptor(data, OCI_LAYER)
    with registry.serve() as running, Registries() as registries:
        repository = registries.repository(Reference.parse(f"{running.host}/team/one:1"))
        assert not repository.mount(blob, Reference.parse(f"{running.host}/team/other:1"))
        shutil.rmtree(running.storage / "docker/registry/v2/repositories/team/one/_uploads")
        repository.put(blob, held(data))
        assert repository.has(blob)


def test_skopeo_reads_what_we_wrote(peer: Served, tmp_path: Path) -> None:
    with Registries() as registries:
        top = push_image(registries.repository(Reference.parse(f"{peer.host}/team/one:1")))
    target = tmp_path / "layout"
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
         "--src-tls-verify=false", f"docker://{peer.host}/team/one:1", f"oci:{target}:1"],
        check=True, capture_output=True,
    )  # fmt: skip
    (entry,) = json.loads((target / "index.json").read_text())["manifests"]
    assert entry["digest"] == top.digest
    for data in LAYERS:
        assert (target / "blobs" / "sha256" / Digest.of(data).encoded).read_bytes() == data


def test_who_we_are_matters(peer: Served) -> None:
    if not peer.guarded:
        pytest.skip("an open registry")
    reference = Reference.parse(f"{peer.host}/team/one:1")
    for password in ("wr0ng", None):
        if password:
            peer.log_in(password)
        else:
            peer.log_out()
        began = time.monotonic()
        with Registries() as registries, pytest.raises(Unauthorized) as caught:
            registries.repository(reference).put(descriptor(b"x", OCI_LAYER), held(b"x"))
        assert time.monotonic() - began < 2
        assert "wr0ng" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.hint
