"""Places in files: layouts, archives of images, bundles, and lists of a bundle's parts."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.build import hostile_json as made
from tests.build.image import AMD64
from tests.fuzz.archive_seeds import (
    bundle_seeds,
    docker_seeds,
    locked,
    oci_seeds,
    part_seeds,
    saved,
)
from tests.fuzz.layers import mended
from tests.fuzz.target import Target, refused

from layersmith.assemble.bundled import missing_of, open_bundle
from layersmith.oci.content import NoProgress, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.graph import walk
from layersmith.stores.archive import OciArchive
from layersmith.stores.bundle import Bundle
from layersmith.stores.docker_archive import DockerArchive
from layersmith.stores.layout import Layout
from layersmith.stores.packing import blob_name
from layersmith.stores.parts import damaged_parts, open_parts, part_names

if TYPE_CHECKING:
    from layersmith.oci.content import Source

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
        source = DockerArchive(_written("d.tar", saved(items, config)))
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


def _bundle(data: bytes) -> None:
    """Read a bundle, and bundles whose lock this is."""
    for raw in dict.fromkeys((data, mended(data))):
        path = _written("x.bundle", raw)
        refused(partial(_read_each, Bundle(path)))
        refused(partial(_opened, path))
    _opened(_written("y.bundle", locked(data)))


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
        oci_seeds,
        ("stores.tarball",),
        _TAR,
        _LARGEST,
    ),
    Target(
        "docker-archive",
        _docker,
        docker_seeds,
        ("stores.docker_archive", "stores.tarball"),
        (*_JSON, *_TAR),
        _LARGEST,
    ),
    Target(
        "bundle",
        _bundle,
        bundle_seeds,
        ("stores.tarball",),
        _TAR,
        _LARGEST,
    ),
    Target("parts", _parts, part_seeds, (), (b"  p.bundle.002\n", b"\n", b"/")),
)
