"""JSON documents: of images, and what registries answer with."""

from __future__ import annotations

import io
import json
from functools import partial
from typing import TYPE_CHECKING, Final

import requests
from tests.build import hostile_json as made
from tests.fakes.memory import Memory
from tests.fuzz.target import Target, refused
from urllib3 import HTTPResponse

from layersmith.oci.digest import Digest
from layersmith.oci.documents import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Document,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)
from layersmith.oci.graph import walk
from layersmith.oci.image import load, select
from layersmith.oci.strictjson import decode, encode, refuse_twins, typed
from layersmith.stores.refnames import REF_NAME, RefNames
from layersmith.stores.registry_answers import error_of
from layersmith.stores.token_server import read_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AMD64: Final = Platform(os="linux", architecture="amd64")
_BLOBS: Final[dict[str, bytes]] = {
    Digest.of(raw): raw for raw in (made.RAW_CONFIG, made.RAW_MANIFEST, *made.NESTED, *made.LAYERS)
}
_TOP: Final = Descriptor(
    media_type=OCI_MANIFEST, digest=Digest.of(made.RAW_MANIFEST), size=len(made.RAW_MANIFEST)
)


def _json(data: bytes) -> None:
    value = decode(data, "any")
    assert json.loads(data) == value
    assert decode(encode(value), "again") == value
    refused(partial(refuse_twins, value, "any", frozenset()))
    refused(partial(typed, value, list[Descriptor], "any"))


def _document(kind: type[Manifest | Index | ImageConfig], media_type: str, data: bytes) -> None:
    """Read a document for what it is taken for, and once more as we would write it."""
    described = Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))
    first = Document[Manifest | Index | ImageConfig].parse(data, described, kind)
    again = Document[Manifest | Index | ImageConfig].write(first.json, media_type, kind)
    assert again.value == first.value
    assert again.json == first.json


def _image(media_type: str, data: bytes) -> None:
    """Read an image with this document on top, or as the config below."""
    memory = Memory()
    memory.blobs |= _BLOBS
    raw = data
    if media_type == OCI_CONFIG:
        memory.blobs[Digest.of(data)] = data
        config = made.described(data, OCI_CONFIG)
        raw, media_type = json.dumps({**made.MANIFEST, "config": config}).encode(), OCI_MANIFEST
    memory.blobs[Digest.of(raw)] = raw
    top = Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))
    memory.tags["t"] = top
    refused(lambda: [node.blobs for node in walk(memory, top).nodes()])
    image = select(memory, load(memory, "t"), _AMD64)
    assert len(image.layers) == len(image.manifest.value.layers)
    assert image.platform.key[:2] == _AMD64.key[:2]
    image.config.value.environment()


def _documents(data: bytes) -> None:
    reads: list[Callable[[bytes], object]] = [_names]
    for kind, media_type in (
        (Manifest, OCI_MANIFEST),
        (Index, OCI_INDEX),
        (ImageConfig, OCI_CONFIG),
    ):
        reads += [partial(_document, kind, media_type), partial(_image, media_type)]
    kinds = sum(not refused(partial(read, data)) for read in reads[1:5:2])
    assert kinds < 2, "a manifest and an index at once"
    for read in reads:
        refused(partial(read, data))


def _names(data: bytes) -> None:
    """Read an index.json, and what it is when a name was added."""
    found = RefNames.parse(data, "index.json")
    entries = found.entries
    again = RefNames.parse(found.tagged("new", _TOP).raw, "index.json")
    memory = Memory()
    memory.blobs |= _BLOBS
    assert again.resolve("new", memory, "").digest == _TOP.digest
    assert set(again.names) == {"new", *found.names}
    kept = {d.digest for d in entries if d.annotations.get(REF_NAME) != "new"}
    assert kept <= {d.digest for d in again.entries}
    for identifier in (_TOP.digest, "latest"):
        refused(partial(found.resolve, identifier, memory, ""))


def _answers(data: bytes) -> None:
    """Read the body of an error, then of a token."""
    response = requests.Response()
    for status in (400, 401, 404, 503):
        response.status_code = status
        response.raw = HTTPResponse(io.BytesIO(data), preload_content=False)
        error = error_of(response, "asking", secrets=frozenset({"s3cret"}), incomplete=True)
        assert error.message.isprintable()
        assert "s3cret" not in error.message
    token = read_token(data, "asking", len(data))
    assert token.text.isprintable()
    assert 0 < token.life < 1e9


def _of(*roles: str) -> Iterator[bytes]:
    return (case.raw for case in made.cases() if case.role in roles)


TARGETS: Final = (
    Target(
        "json",
        _json,
        lambda: (case.raw for case in made.cases() if case.role in ("tags", "referrers")),
        ("oci.strictjson",),
        (b'"\\ud800"', b"1e999", b"-0", b"[[[[[[[[", b'{"a":', b"NaN", b"null", b"1E-1", b"\\u"),
    ),
    Target(
        "documents",
        _documents,
        lambda: _of("manifest", "index", "config", "names", "nested"),
        ("oci.documents", "oci.strictjson", "oci.graph", "stores.refnames"),
        (
            b'"mediaType":', b'"manifests":[', b'"layers":[', b'"config":{', b'"digest":"sha256:',
            b'"size":', b'"platform":{', b'"annotations":{', b'"data":"', b"null", b'"rootfs":{',
            b'"created":"2026-01-01T00:00:00Z"', OCI_INDEX.encode(), OCI_MANIFEST.encode(),
        ),
    ),
    Target(
        "answers",
        _answers,
        lambda: (*_of("error", "token"), b'{"errors":[{"code":"BLOB_UNKNOWN"}]}'),
        ("stores.registry_answers",),
        (b'{"errors":[', b'"code":"', b'"message":"', b"s3cret", b'"token":"', b'"expires_in":'),
    ),
)  # fmt: skip
