"""Archives and bundles to begin with: whole ones of every writer, and odd ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.build import hostile_json as made
from tests.build.image import AMD64, ARM64, HELLO, Made, for_platform, put_index, put_json, shown
from tests.build.locks import lock
from tests.build.tar import archive, directory, file, symlink

from layersmith.assemble.bundled import ARTIFACT, LOCK_TYPE
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST
from layersmith.recipe.lock import write_lock
from layersmith.stores.archive import OciArchive
from layersmith.stores.docker_archive import DockerArchive
from layersmith.stores.packing import blob_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layersmith.oci.content import Sink
    from layersmith.oci.documents import Descriptor


def saved(items: bytes, config: bytes) -> bytes:
    """Return a docker-archive as skopeo writes it, with a layer that is a link."""
    return archive(
        *(file(f"{n}.tar", tar) for n, tar in enumerate(made.TARS)),
        file("c.json", config),
        file("manifest.json", items),
        directory("old"),
        symlink("old/layer.tar", "../0.tar"),
        symlink("out", "../../etc/passwd"),
        file("0.gz", made.LAYERS[0]),
    )


def _image(sink: Sink) -> Descriptor:
    return put_index(sink, [for_platform(Made().put(sink), AMD64)])


def _platforms(sink: Sink) -> Descriptor:
    return put_index(sink, [for_platform(Made(platform=p).put(sink), p) for p in (AMD64, ARM64)])


def _nested(sink: Sink) -> Descriptor:
    """An index of an index of an index, the image in each of them."""
    top = image = Made(docker=True).put(sink)
    for _ in range(3):
        top = put_index(sink, [shown(top), shown(image)])
    return top


def _beside(sink: Sink) -> Descriptor:
    """An image with what says how it was built."""
    about = {"vnd.docker.reference.type": "attestation-manifest"}
    image = for_platform(Made().put(sink), AMD64)
    return put_index(sink, [image, {**shown(_artifact(sink)), "annotations": about}])


def _artifact(sink: Sink) -> Descriptor:
    """Something that is not an image."""
    config = shown(put_json(sink, {}, "application/vnd.oci.empty.v1+json"))
    value = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}
    return put_json(sink, value, OCI_MANIFEST)


def _written_by(kind: type[OciArchive], tops: Callable[[Sink], Descriptor] = _image) -> bytes:
    with TemporaryDirectory() as folder:
        sink = kind(Path(folder) / "a.tar")
        sink.tag("t", tops(sink))
        return (Path(folder) / "a.tar").read_bytes()


def locked(raw: bytes) -> bytes:
    """Return a bundle that has nothing but this for its lock."""
    config = b"{}"
    manifest = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": ARTIFACT,
        "config": made.described(config, "application/vnd.oci.empty.v1+json"),
        "layers": [made.described(raw, LOCK_TYPE)],
    }  # fmt: skip
    top = json.dumps(manifest).encode()
    name = {"org.opencontainers.image.ref.name": "lock"}
    entry = made.described(top, OCI_MANIFEST, annotations=name)
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    blobs = dict.fromkeys((config, raw, top))
    return archive(
        file("index.json", index), *(file(blob_name(Digest.of(blob)), blob) for blob in blobs)
    )


def docker_seeds() -> Iterator[bytes]:
    yield from (case.raw for case in made.cases() if case.role in ("archive", "config"))
    yield json.dumps([{**made.ITEMS[0], "Layers": ["old/layer.tar", "1.tar"]}]).encode()
    for tops in (_image, _nested, _beside):
        yield _written_by(DockerArchive, tops)
    for item in ({"Layers": ["out", "1.tar"]}, {"Layers": ["0.gz", "1.tar"]}):
        yield json.dumps([{**made.ITEMS[0], **item}]).encode()
    yield saved(json.dumps(made.ITEMS).encode(), made.RAW_CONFIG)
    yield gzip.compress(saved(json.dumps(made.ITEMS).encode(), made.RAW_CONFIG), mtime=0)


def oci_seeds() -> Iterator[bytes]:
    whole = _written_by(OciArchive)
    yield from (whole, gzip.compress(whole, mtime=0), locked(b"x"))
    yield archive(file("index.json", json.dumps(made.NAMES).encode()), file("blobs/sha256/x"))
    yield archive(directory("index.json"))
    yield archive(file("index.json"), file("index.json"))
    yield archive(file("index.json", bytes(5 << 20)))
    for tops in (_platforms, _nested, _beside, _artifact):
        yield _written_by(OciArchive, tops)


def bundle_seeds() -> Iterator[bytes]:
    text = write_lock(lock())
    yield from (text, locked(text), locked(b""), gzip.compress(locked(text), mtime=0))
    yield archive(file("index.json", b'{"schemaVersion":2,"manifests":[]}'), file("blobs/x", HELLO))


def part_seeds() -> Iterator[bytes]:
    good = [
        f"{Digest.of(data).encoded}  p.bundle.00{n}\n" for n, data in enumerate((b"hello", b"x"))
    ]
    for lines in (good, good[:1], good[1:], good[::-1], [*good, "0\n"], [good[0][:-1]], ["\n"]):
        yield "".join(lines).encode()
    yield good[0].replace("p.bundle", "../p.bundle").encode()
