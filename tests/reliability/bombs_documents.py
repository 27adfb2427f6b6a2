"""Bombs in documents and archives: layouts, indexes, docker-archives."""

from __future__ import annotations

import gzip
import json
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final

from tests.build.tar import END, file
from tests.reliability.bombs_layers import FRAME, MIB, RLE, Bomb

from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.reliability.bench import Bench

__all__ = ["DOCUMENTS"]

NOTHING: Final = {"mediaType": "a/b", "digest": f"sha256:{'0' * 64}", "size": 1}
DOCUMENT: Final = 4 << 20


def _manifest(**more: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": NOTHING, "layers": [], **more}


def _index(manifests: list[Any], **more: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests, **more}


def _huge_index_file(bench: Bench) -> list[str]:
    """An index.json of 1 TiB of zeros: a file with a hole."""
    place = bench.folder / "layout"
    place.mkdir()
    with (place / "index.json").open("wb") as hole:
        hole.truncate(1 << 40)
    return ["inspect", f"oci:{place}:t"]


def _huge_manifest(bench: Bench) -> list[str]:
    place = bench.folder / "layout"
    raw = json.dumps(_manifest(x="x" * (64 * MIB))).encode()
    return ["inspect", bench.top(place, bench.document(place, raw, OCI_MANIFEST))]


def _nested(bench: Bench) -> list[str]:
    """An index in an index, a hundred deep."""
    place = bench.folder / "layout"
    top = bench.document(place, _manifest(), OCI_MANIFEST)
    for _ in range(100):
        top = bench.document(place, _index([top]), OCI_INDEX)
    return ["inspect", bench.top(place, top)]


def _doubling(place: Path, bench: Bench) -> dict[str, Any]:
    """An index that names an index 9,000 times, that names another 9,000 times."""
    top = bench.document(place, _index([]), OCI_INDEX)
    for _ in range(3):
        top = bench.document(place, _index([top] * 9000), OCI_INDEX)
    return top


def _doubling_inspected(bench: Bench) -> list[str]:
    place = bench.folder / "layout"
    return ["inspect", bench.top(place, _doubling(place, bench))]


def _doubling_copied(bench: Bench) -> list[str]:
    place = bench.folder / "layout"
    top = bench.top(place, _doubling(place, bench))
    return ["copy", top, f"oci:{bench.output}:t", "-q"]


def _doubling_selected(bench: Bench) -> list[str]:
    place = bench.folder / "layout"
    return ["digest", bench.top(place, _doubling(place, bench)), "--platform", "linux/amd64"]


def _doubling_archive(bench: Bench) -> list[str]:
    """The same beside the manifest.json of a docker-archive."""
    place = bench.folder / "layout"
    bench.top(place, _doubling(place, bench))
    blobs = sorted((place / "blobs/sha256").iterdir())
    members = [file(f"blobs/sha256/{path.name}", path.read_bytes()) for path in blobs]
    item = {"Config": "c", "RepoTags": ["a/b:t"], "Layers": ["l"]}
    members += [
        file("index.json", (place / "index.json").read_bytes()),
        file("manifest.json", json.dumps([item]).encode()),
    ]
    return ["inspect", f"docker-archive:{_tar(bench, members)}:t"]


def _wide(count: int, bench: Bench) -> dict[str, Any]:
    place = bench.folder / "layout"
    digests = [
        {**NOTHING, "mediaType": OCI_MANIFEST, "digest": f"sha256:{n:064x}"} for n in range(count)
    ]
    return bench.document(place, _index(digests), OCI_INDEX)


def _many_manifests(bench: Bench) -> list[str]:
    """10^5 manifests in an index: more than a document holds."""
    return ["inspect", bench.top(bench.folder / "layout", _wide(100_000, bench))]


def _many_small_manifests(bench: Bench) -> list[str]:
    """As many as a document holds, all there and all different."""
    place = bench.folder / "layout"
    children = [
        bench.document(place, _manifest(annotations={"n": str(number)}), OCI_MANIFEST)
        for number in range(20_000 if bench.full else 2000)
    ]
    return ["inspect", bench.top(place, bench.document(place, _index(children), OCI_INDEX))]


def _large_manifests(bench: Bench) -> list[str]:
    """Manifests of nearly 4 MiB, of what takes most memory when it is read."""
    place = bench.folder / "layout"
    children = []
    for number in range(200 if bench.full else 20):
        junk = b"[]," * (DOCUMENT // 3 - 500) + b"%d" % number
        raw = json.dumps(_manifest(x=0)).encode().replace(b'"x": 0', b'"x": [%s]' % junk)
        children.append(bench.document(place, raw, OCI_MANIFEST))
    return ["inspect", bench.top(place, bench.document(place, _index(children), OCI_INDEX))]


def _large_configs(bench: Bench) -> list[str]:
    """The same in configs, which are read to be shown."""
    place = bench.folder / "layout"
    children = []
    for number in range(200 if bench.full else 20):
        junk = b"[]," * (DOCUMENT // 3 - 500) + b"%d" % number
        raw = (
            b'{"architecture":"a","os":"b","rootfs":{"type":"layers","diff_ids":[]},"x":[%s]}'
            % junk
        )
        config = bench.document(place, raw, OCI_CONFIG)
        children.append(bench.document(place, _manifest(config=config), OCI_MANIFEST))
    return ["inspect", bench.top(place, bench.document(place, _index(children), OCI_INDEX))]


def _empty_objects(bench: Bench) -> list[str]:
    """One document of 4 MiB, that is a million and a half objects."""
    place = bench.folder / "layout"
    junk = b"{}," * (DOCUMENT // 3 - 500) + b"0"
    raw = json.dumps(_manifest(x=0)).encode().replace(b'"x": 0', b'"x": [%s]' % junk)
    return ["inspect", bench.top(place, bench.document(place, raw, OCI_MANIFEST))]


def _deep_json(bench: Bench) -> list[str]:
    place = bench.folder / "layout"
    raw = (
        json.dumps(_manifest(x=0))
        .encode()
        .replace(b'"x": 0', b'"x": ' + b"[" * 100_000 + b"]" * 100_000)
    )
    return ["inspect", bench.top(place, bench.document(place, raw, OCI_MANIFEST))]


def _tar(bench: Bench, members: Iterable[bytes], name: str = "archive.tar") -> Path:
    path = bench.folder / name
    with path.open("wb") as out:
        for member in chain(members, [END]):
            out.write(member)
    return path


def _members(bench: Bench) -> Iterable[bytes]:
    count = 1_000_000 if bench.full else 110_000
    return (file(f"blobs/{number}") for number in range(count))


def _archive_of_many(bench: Bench) -> list[str]:
    return ["inspect", f"oci-archive:{_tar(bench, _members(bench))}:t"]


def _docker_archive_of_many(bench: Bench) -> list[str]:
    return ["inspect", f"docker-archive:{_tar(bench, _members(bench))}:t"]


def _archive_gzip(bench: Bench) -> list[str]:
    path = bench.folder / "archive.tar"
    path.write_bytes(gzip.compress(bytes(MIB), 9, mtime=0) * 1024)
    return ["inspect", f"oci-archive:{path}:t"]


def _archive_zstd(bench: Bench) -> list[str]:
    path = bench.folder / "archive.tar"
    path.write_bytes(FRAME + RLE * (1 << (23 if bench.full else 18)) + b"\x01\0\0")
    return ["inspect", f"oci-archive:{path}:t"]


def _docker_manifest(bench: Bench) -> list[str]:
    """A manifest.json of 64 MiB."""
    item = json.dumps([{"Config": "c", "RepoTags": ["x" * (64 * MIB)], "Layers": []}]).encode()
    return ["inspect", f"docker-archive:{_tar(bench, [file('manifest.json', item)])}:t"]


def _docker_items(bench: Bench) -> list[str]:
    """40,000 images in 4 MiB, whose config is one large document."""
    config = json.dumps({"x": "x" * (DOCUMENT - 100)}).encode()
    items = b"[%s]" % b",".join(repeat(b'{"Config":"c","RepoTags":["a/b:t"],"Layers":[]}', 40_000))
    members = [file("manifest.json", items), file("c", config)]
    return ["inspect", f"docker-archive:{_tar(bench, members)}:t"]


def _docker_layers(bench: Bench) -> list[str]:
    """900 layers that are one compressed file, which is hashed to name it."""
    blob = gzip.compress(bytes(1024)) + b"x" * (4 * MIB)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"] * 900},
    }
    item = [{"Config": "c", "RepoTags": ["a/b:t"], "Layers": ["l"] * 900}]
    members = [
        file("manifest.json", json.dumps(item).encode()),
        file("c", json.dumps(config).encode()),
        file("l", blob),
    ]
    return ["inspect", f"docker-archive:{_tar(bench, members)}:t"]


def _layers_named_twice(bench: Bench) -> list[str]:
    """A copy of a manifest that names one layer 20,000 times."""
    place = bench.folder / "layout"
    blob = {**NOTHING, "mediaType": OCI_LAYER}
    blob["digest"], blob["size"] = bench.blob(place, [END])
    config = bench.document(
        place,
        {"architecture": "a", "os": "b", "rootfs": {"type": "layers", "diff_ids": []}},
        OCI_CONFIG,
    )
    manifest = _manifest(config=config, layers=[blob] * 20_000)
    top = bench.top(place, bench.document(place, manifest, OCI_MANIFEST))
    return ["copy", top, f"oci:{bench.output}:t", "-q"]


_HEAVY: Final = frozenset({0, 7})

DOCUMENTS: Final = (
    Bomb("an index.json of 1 TiB", _huge_index_file, "bytes of JSON"),
    Bomb("a manifest of 64 MiB in a layout", _huge_manifest, "documents"),
    Bomb("indexes 100 deep", _nested, "nested deeper"),
    Bomb("indexes of 9,000^3, inspected", _doubling_inspected, "more than 10000 entries"),
    Bomb("indexes of 9,000^3, copied", _doubling_copied, "more than 10000 entries"),
    Bomb("indexes of 9,000^3, selected from", _doubling_selected, "nested deeper"),
    Bomb("indexes of 9,000^3 in a docker-archive", _doubling_archive, "no file", frozenset({3})),
    Bomb("10^5 manifests in an index", _many_manifests, "documents"),
    Bomb("20,000 small manifests", _many_small_manifests, "more than 1000 documents"),
    Bomb("manifests of 4 MiB", _large_manifests, "MiB of documents"),
    Bomb("configs of 4 MiB", _large_configs, "MiB of configs"),
    Bomb("a million empty objects", _empty_objects, "", _HEAVY),
    Bomb("JSON 10^5 deep", _deep_json, "nested deeper"),
    Bomb("an oci-archive of 10^6 files", _archive_of_many, "more than 100000 files"),
    Bomb("a docker-archive of 10^6 files", _docker_archive_of_many, "more than 100000 files"),
    Bomb("an archive in gzip", _archive_gzip, "inflates to more than"),
    Bomb("an archive in zstd", _archive_zstd, "inflates to more than"),
    Bomb("a manifest.json of 64 MiB", _docker_manifest, "documents at most"),
    Bomb("40,000 images of one config", _docker_items, "", frozenset({3, 7})),
    Bomb("900 layers of one file", _docker_layers, "", _HEAVY),
    Bomb("a layer named 20,000 times", _layers_named_twice, "", _HEAVY),
)
