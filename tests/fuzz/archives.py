"""Places in files: layouts, archives of images, bundles, and lists of a bundle's parts."""

from __future__ import annotations

import gzip
import json
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.build import hostile_json as made
from tests.build.image import AMD64, ARM64, HELLO, Made, for_platform, put_index, put_json, shown
from tests.build.locks import lock
from tests.build.tar import archive, directory, file, symlink
from tests.fuzz.layers import mended
from tests.fuzz.target import Target, refused

from layersmith.assemble.bundled import ARTIFACT, LOCK_TYPE, missing_of, open_bundle
from layersmith.oci.content import NoProgress, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST
from layersmith.oci.graph import walk
from layersmith.recipe.lock import write_lock
from layersmith.stores.archive import OciArchive
from layersmith.stores.bundle import Bundle
from layersmith.stores.docker_archive import DockerArchive
from layersmith.stores.layout import Layout
from layersmith.stores.packing import blob_name
from layersmith.stores.parts import damaged_parts, open_parts, part_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layersmith.oci.content import Sink, Source
    from layersmith.oci.documents import Descriptor

_LARGEST: Final = 24 << 10


@cache
def _folder() -> Path:
    """Return a directory for as long as this process lives."""
    _kept.append(TemporaryDirectory(prefix="fuzz-"))
    return Path(_kept[-1].name)


_kept: list[TemporaryDirectory[str]] = []


def _written(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _read_all(source: Source, identifier: str = "latest") -> None:
    """Read everything that can be reached; nothing unverified may come out."""
    for node in walk(source, source.resolve(identifier)).nodes():
        for blob in node.blobs:
            assert Digest.of(read_document(source, blob), blob.digest.algorithm) == blob.digest


def _layout(data: bytes) -> None:
    """Read a layout with this index.json, and add to it."""
    path = _laid_out() / "index.json"
    path.write_bytes(data)
    layout = Layout(path.parent)
    names = layout.tags()
    for name in [*names[:3], "latest"]:
        refused(partial(_read_all, layout, name))
    top = layout.resolve(names[0] if names else "latest")
    layout.tag("added", top)
    assert set(Layout(path.parent).tags()) == {*names, "added"}


@cache
def _laid_out() -> Path:
    for raw in (made.RAW_CONFIG, made.RAW_MANIFEST, made.RAW_INDEX, *made.LAYERS):
        _written(f"layout/{blob_name(Digest.of(raw))}", raw)
    return _written("layout/oci-layout", b'{"imageLayoutVersion":"1.0.0"}').parent


def _archive(kind: type[OciArchive], data: bytes) -> None:
    for raw in dict.fromkeys((data, mended(data))):
        source = kind(_written("a.tar", raw))
        refused(partial(_read_all, source))
        refused(partial(_read_each, source))
        for other in (OciArchive, DockerArchive):
            refused(partial(_copied, source, other))


def _read_each(source: OciArchive) -> None:
    for name in source.tags()[:3]:
        refused(partial(_read_all, source, name))


def _docker(data: bytes) -> None:
    """Read an archive, and archives that have this manifest.json, or this config."""
    _archive(DockerArchive, data)
    for items, config in ((data, made.RAW_CONFIG), (json.dumps(made.ITEMS).encode(), data)):
        source = DockerArchive(_written("d.tar", _saved(items, config)))
        for name in ("latest", "t"):
            refused(partial(_read_all, source, name))
        refused(partial(_copied, source, OciArchive))


def _copied(source: OciArchive, kind: type[OciArchive]) -> None:
    """Write the image to another archive, which then has it under the same digests."""
    top = source.resolve("latest")
    there = kind(_folder() / "copy.tar")
    try:
        for blob in [
            b for node in walk(source, top).nodes() for b in (node.descriptor, *node.blobs)
        ]:
            there.put(blob, partial(source.open, blob))
        there.tag("t", top)
        assert kind(_folder() / "copy.tar").resolve("t").digest == top.digest
        _read_all(there, "t")
    finally:
        there.abandon()


def _saved(items: bytes, config: bytes) -> bytes:
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


def _bundle(data: bytes) -> None:
    """Read a bundle, and bundles whose lock this is."""
    for raw in dict.fromkeys((data, mended(data))):
        path = _written("x.bundle", raw)
        refused(partial(_read_each, Bundle(path)))
        refused(partial(_opened, path))
    _opened(_written("y.bundle", _locked(data)))


def _opened(path: Path) -> None:
    opened = open_bundle(path)
    missing = missing_of(opened.bundle, opened.inputs([AMD64]))
    assert refused(partial(opened.check, [AMD64])) == bool(missing)
    assert [digest for digest, _ in opened.damaged(NoProgress())] == [
        digest for digest in opened.bundle.blobs if _is_damaged(opened.bundle, digest)
    ]
    list(opened.image())


def _is_damaged(bundle: Bundle, digest: Digest) -> bool:
    name = blob_name(digest)
    return Digest.of(bundle._tarball().open(name).read(), digest.algorithm) != digest


def _parts(data: bytes) -> None:
    """Read a list of parts that this is."""
    _written("p.bundle.000", b"hello")
    _written("p.bundle.001", b" you")
    listed = _written("p.bundle.sha256", data)
    for name in (listed, listed.with_suffix("")):
        names = part_names(name)
        assert {path.parent for path in names} == {listed.parent}
        whole = open_parts(name)
        assert whole.whole().read() == b"".join(path.read_bytes() for path in names)
        assert set(damaged_parts(name)) <= set(names)


# Seeds


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


def _locked(raw: bytes) -> bytes:
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


def _docker_seeds() -> Iterator[bytes]:
    yield from (case.raw for case in made.cases() if case.role in ("archive", "config"))
    yield json.dumps([{**made.ITEMS[0], "Layers": ["old/layer.tar", "1.tar"]}]).encode()
    for tops in (_image, _nested, _beside):
        yield _written_by(DockerArchive, tops)
    for item in ({"Layers": ["out", "1.tar"]}, {"Layers": ["0.gz", "1.tar"]}):
        yield json.dumps([{**made.ITEMS[0], **item}]).encode()
    yield _saved(json.dumps(made.ITEMS).encode(), made.RAW_CONFIG)
    yield gzip.compress(_saved(json.dumps(made.ITEMS).encode(), made.RAW_CONFIG), mtime=0)


def _oci_seeds() -> Iterator[bytes]:
    whole = _written_by(OciArchive)
    yield from (whole, gzip.compress(whole, mtime=0), _locked(b"x"))
    yield archive(file("index.json", json.dumps(made.NAMES).encode()), file("blobs/sha256/x"))
    yield archive(directory("index.json"))
    yield archive(file("index.json"), file("index.json"))
    yield archive(file("index.json", bytes(5 << 20)))
    for tops in (_platforms, _nested, _beside, _artifact):
        yield _written_by(OciArchive, tops)


def _bundle_seeds() -> Iterator[bytes]:
    text = write_lock(lock())
    yield from (text, _locked(text), _locked(b""), gzip.compress(_locked(text), mtime=0))
    yield archive(file("index.json", b'{"schemaVersion":2,"manifests":[]}'), file("blobs/x", HELLO))


def _part_seeds() -> Iterator[bytes]:
    good = [
        f"{Digest.of(data).encoded}  p.bundle.00{n}\n" for n, data in enumerate((b"hello", b"x"))
    ]
    for lines in (good, good[:1], good[1:], good[::-1], [*good, "0\n"], [good[0][:-1]], ["\n"]):
        yield "".join(lines).encode()
    yield good[0].replace("p.bundle", "../p.bundle").encode()


_JSON: Final = (b'{"manifests":[', b'"Layers":[', b'"Config":"c.json"', b'"RepoTags":["', b"null")
_TAR: Final = (
    b"ustar\x0000",
    b"index.json",
    b"manifest.json",
    b"blobs/sha256/",
    b"../",
    b"\x1f\x8b",
)
TARGETS: Final = (
    Target(
        "layout",
        _layout,
        lambda: (case.raw for case in made.cases() if case.role == "names"),
        ("stores.refnames", "oci.graph"),
        (*_JSON, b"org.opencontainers.image.ref.name", b'"annotations":{'),
    ),
    Target(
        "oci-archive",
        partial(_archive, OciArchive),
        _oci_seeds,
        ("stores.tarball",),
        _TAR,
        _LARGEST,
    ),
    Target(
        "docker-archive",
        _docker,
        _docker_seeds,
        ("stores.docker_archive", "stores.tarball"),
        (*_JSON, *_TAR),
        _LARGEST,
    ),
    Target(
        "bundle",
        _bundle,
        _bundle_seeds,
        ("stores.tarball",),
        _TAR,
        _LARGEST,
    ),
    Target("parts", _parts, _part_seeds, (), (b"  p.bundle.002\n", b"\n", b"/")),
)
