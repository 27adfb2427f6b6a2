"""Bombs that a registry or its token server sends, over real sockets."""

from __future__ import annotations

import gzip
import itertools
import json
from typing import TYPE_CHECKING, Final

from tests.build.image import compressed
from tests.build.tar import archive, file
from tests.fakes.registry import Instead, Reply, digest_of
from tests.reliability.bombs_layers import MIB, Bomb

from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

if TYPE_CHECKING:
    from tests.fakes.registry import FakeRegistry, Request
    from tests.reliability.bench import Bench

__all__ = ["REGISTRY"]

NAME: Final = "team/bomb"
JSON: Final = {"Content-Type": "application/json"}
ENCODED: Final = {"Content-Encoding": "gzip"}
ZEROS: Final = gzip.compress(bytes(64 * MIB), 9, mtime=0)


def _image(registry: FakeRegistry) -> str:
    """Put a small image there; return its reference."""
    tar = archive(file("f", b"hello"))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
    }
    blobs = [
        (json.dumps(config).encode(), OCI_CONFIG),
        (compressed(tar, "gzip"), f"{OCI_LAYER}+gzip"),
    ]
    described = [
        {"mediaType": kind, "digest": registry.add_blob(NAME, data), "size": len(data)}
        for data, kind in blobs
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": described[0],
        "layers": described[1:],
    }
    registry.add_manifest(NAME, json.dumps(manifest).encode(), OCI_MANIFEST, "t")
    return f"{registry.host}/{NAME}:t"


def _served(bench: Bench, path: str, reply: Reply, *command: str) -> list[str]:
    """Return a command on an image, where one kind of answer is the bomb."""
    reference = _image(bench.registry)
    bench.registry.always("GET", path, reply)
    return [each.format(reference) for each in command or ("inspect", "{}")]


def _manifest(bench: Bench) -> list[str]:
    return _served(
        bench, "/manifests/", Reply(200, {"Content-Type": OCI_MANIFEST}, b" " * (64 * MIB))
    )


def _manifest_encoded(bench: Bench) -> list[str]:
    return _served(
        bench, "/manifests/", Reply(200, {"Content-Type": OCI_MANIFEST, **ENCODED}, ZEROS)
    )


def _blob_encoded(bench: Bench) -> list[str]:
    target = f"oci:{bench.output}:t"
    return _served(bench, "/blobs/", Reply(200, ENCODED, ZEROS), "copy", "{}", target, "-q")


def _blob_longer(bench: Bench) -> list[str]:
    target = f"oci:{bench.output}:t"
    return _served(bench, "/blobs/", Reply(200, {}, bytes(64 * MIB)), "copy", "{}", target, "-q")


def _error(bench: Bench) -> list[str]:
    return _served(bench, "/manifests/", Reply(400, JSON, b'{"errors":[' + b" " * (64 * MIB)))


def _error_encoded(bench: Bench) -> list[str]:
    return _served(bench, "/manifests/", Reply(400, {**JSON, **ENCODED}, ZEROS))


def _headers(bench: Bench) -> list[str]:
    return _served(bench, "/manifests/", Reply(200, {**JSON, "X-Bomb": "x" * MIB}))


def _many_headers(bench: Bench) -> list[str]:
    return _served(bench, "/manifests/", Reply(200, {f"X-{n}": "x" for n in range(10_000)}))


def _challenge(bench: Bench) -> list[str]:
    parts = ",".join(f'k{n}="{n}"' for n in range(5000))
    return _served(bench, "/manifests/", Reply(401, {"WWW-Authenticate": f"Bearer {parts}"}))


def _scopes(bench: Bench) -> list[str]:
    """A challenge that asks for thousands of scopes."""
    scopes = " ".join(f"repository:r{n}:pull" for n in range(2500))
    realm = f'realm="{bench.registry.url}/token"'
    return _served(
        bench, "/manifests/", Reply(401, {"WWW-Authenticate": f'Bearer {realm},scope="{scopes}"'})
    )


def _token(body: bytes, headers: dict[str, str], bench: Bench) -> list[str]:
    reference = _image(bench.registry)
    challenge = f'Bearer realm="{bench.registry.url}/token",service="s"'
    bench.registry.always("GET", "/manifests/", Reply(401, {"WWW-Authenticate": challenge}))
    bench.registry.always("GET", "/token", Reply(200, {**JSON, **headers}, body))
    return ["inspect", reference]


def _large_token(bench: Bench) -> list[str]:
    return _token(b'{"token":"' + b"x" * (64 * MIB) + b'"}', {}, bench)


def _encoded_token(bench: Bench) -> list[str]:
    return _token(ZEROS, ENCODED, bench)


def _pages(bench: Bench, tags: list[str], more: str = "") -> list[str]:
    """Pages of tags without an end, each at a URL of its own."""
    numbers = itertools.count(1)
    body = json.dumps({"name": NAME, "tags": tags, "more": more}).encode()

    def answer(_: Request) -> Reply:
        link = f"</v2/{NAME}/tags/list?last={next(numbers)}>; rel=next"
        return Reply(200, {**JSON, "Link": link}, body)

    bench.registry.weather = lambda request: Instead(answer) if "/tags/" in request.target else None
    return ["tags", f"{bench.registry.host}/{NAME}"]


def _empty_pages(bench: Bench) -> list[str]:
    return _pages(bench, [])


def _full_pages(bench: Bench) -> list[str]:
    return _pages(bench, [f"v{n:0120}" for n in range(30_000)])


def _short_tags(bench: Bench) -> list[str]:
    numbers = itertools.count()

    def answer(_: Request) -> Reply:
        page = next(numbers)
        body = json.dumps({"tags": [f"{page}-{n}" for n in range(300_000)]}).encode()
        link = f"</v2/{NAME}/tags/list?last={page}>; rel=next"
        return Reply(200, {**JSON, "Link": link}, body)

    bench.registry.weather = lambda request: Instead(answer) if "/tags/" in request.target else None
    return ["tags", f"{bench.registry.host}/{NAME}"]


def _long_link(bench: Bench) -> list[str]:
    link = "<" * 60_000
    return _served(
        bench,
        "/tags/",
        Reply(200, {**JSON, "Link": link}, b'{"tags":[]}'),
        "tags",
        bench.registry.host + "/" + NAME,
    )


def _referrers(bench: Bench) -> list[str]:
    """As many referrers as a page of 4 MiB holds."""
    entries = [
        {"mediaType": OCI_MANIFEST, "digest": f"sha256:{n:064x}", "size": 1} for n in range(25_000)
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    target = f"oci:{bench.output}:t"
    reply = Reply(200, {"Content-Type": OCI_INDEX}, body)
    return _served(bench, "/referrers/", reply, "copy", "{}", target, "--referrers", "-q")


def _loop(bench: Bench) -> list[str]:
    """An index that names itself: the digest cannot be right, and is checked first."""
    digest = f"sha256:{'1' * 64}"
    entry = {"mediaType": OCI_INDEX, "digest": digest, "size": 300}
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    padded = body[:-1] + b" " * (300 - len(body)) + b"}"
    headers = {"Content-Type": OCI_INDEX}
    bench.registry.always("HEAD", "/manifests/", Reply(405))
    bench.registry.always("GET", "/manifests/", Reply(200, headers, padded))
    return ["inspect", f"{bench.registry.host}/{NAME}:t"]


_WRONG: Final = frozenset({5, 6, 7})

REGISTRY: Final = (
    Bomb("a manifest of 64 MiB", _manifest, "", _WRONG),
    Bomb("a manifest in Content-Encoding", _manifest_encoded, "Content-Encoding", _WRONG),
    Bomb("a blob in Content-Encoding", _blob_encoded, "Content-Encoding", _WRONG),
    Bomb("a blob longer than it was said to be", _blob_longer, "", _WRONG),
    Bomb("an error of 64 MiB", _error, "400", _WRONG),
    Bomb("an error in Content-Encoding", _error_encoded, "400", _WRONG),
    Bomb("a header of 1 MiB", _headers, "", _WRONG),
    Bomb("10,000 headers", _many_headers, "", _WRONG),
    Bomb("a challenge of 5,000 parameters", _challenge, "", frozenset({4, 5})),
    Bomb("a challenge of 2,500 scopes", _scopes, "", frozenset({4, 5})),
    Bomb("a token of 64 MiB", _large_token, "", frozenset({4, 5})),
    Bomb("a token in Content-Encoding", _encoded_token, "Content-Encoding", frozenset({4, 5})),
    Bomb("pages without an end", _empty_pages, "no end", _WRONG),
    Bomb("pages of 4 MiB without an end", _full_pages, "MiB of pages", _WRONG),
    Bomb("millions of tags", _short_tags, "more than 500000 tags", _WRONG),
    Bomb("a Link of 60 KB", _long_link, "", frozenset({0, 5, 7})),
    Bomb("25,000 referrers", _referrers, "", _WRONG),
    Bomb("an index that names itself", _loop, "digest", _WRONG),
)
