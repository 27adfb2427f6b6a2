"""Databases by URL: fetched once, asked about again, and never from where nobody was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.registry import Drop, FakeRegistry, Reply

from layersmith.errors import InvalidInput, LayersmithError, NotFound, RegistryError, Unauthorized
from layersmith.oci.content import NoProgress
from layersmith.stores.cache import Cache
from layersmith.stores.fetched import MOST, fetch
from layersmith.stores.registry_options import RegistryOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.oci.documents import Descriptor

DATA = b"PK all of it" * 1000
PATH = "/Debian/all.zip"


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


def fetched(server: FakeRegistry, cache: Path, *, url: str = "", most: int = MOST) -> bytes:
    kept = Cache(cache)
    found: Descriptor = fetch(
        url or server.url + PATH,
        RegistryOptions(),
        kept,
        NoProgress(),
        clock=FakeClock(),
        most=most,
    )
    with kept.open(found) as stream:
        return stream.read()


def test_what_did_not_change_is_not_fetched_again(server: FakeRegistry, tmp_path: Path) -> None:
    server.once("GET", PATH, Reply(200, {"ETag": '"1"'}, DATA))
    server.once("GET", PATH, Reply(304, {"ETag": '"1"'}))
    server.once("GET", PATH, Reply(200, {"ETag": '"2"'}, b"new"))
    assert fetched(server, tmp_path) == DATA
    assert fetched(server, tmp_path) == DATA
    assert fetched(server, tmp_path) == b"new"
    asked = [request.headers.get("if-none-match") for request in server.log]
    assert asked == [None, '"1"', '"1"']
    assert not any("authorization" in request.headers for request in server.log)


def test_what_rotted_in_the_cache_is_fetched_again(server: FakeRegistry, tmp_path: Path) -> None:
    server.once("GET", PATH, Reply(200, {"ETag": '"1"'}, DATA), times=2)
    fetched(server, tmp_path)
    (blob,) = (tmp_path / "v1/blobs/sha256").iterdir()
    blob.write_bytes(DATA[:-1] + b"!")
    assert fetched(server, tmp_path) == DATA
    assert "if-none-match" not in server.log[1].headers


def test_without_an_etag_it_is_fetched_each_time(server: FakeRegistry, tmp_path: Path) -> None:
    server.once("GET", PATH, Reply(200, {}, DATA), times=2)
    assert fetched(server, tmp_path) == fetched(server, tmp_path) == DATA


@pytest.mark.parametrize(
    "fault", [Reply(503), Reply(429, {"Retry-After": "1"}), Drop(), Drop(after=5000)]
)
def test_what_may_pass_is_tried_again(
    server: FakeRegistry, tmp_path: Path, fault: Reply | Drop
) -> None:
    if isinstance(fault, Drop) and fault.after:
        server.once(
            "GET", PATH, Reply(200, {"Content-Length": str(len(DATA))}, DATA[:5000], len(DATA))
        )
    else:
        server.once("GET", PATH, fault)
    server.once("GET", PATH, Reply(200, {}, DATA))
    assert fetched(server, tmp_path) == DATA


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Reply(404), NotFound), (Reply(403), Unauthorized), (Reply(401), Unauthorized),
        (Reply(400), RegistryError), (Reply(304), RegistryError),
        (Reply(200, {"Content-Encoding": "gzip"}, DATA), RegistryError),
        (Reply(302, {"Location": "http://169.254.169.254/x"}), RegistryError),
        (Reply(302, {"Location": "file:///etc/passwd"}), RegistryError),
        (Reply(302), RegistryError),
        (Reply(200, {}, DATA), InvalidInput),
        (Reply(200, {}, DATA, -1), InvalidInput),
    ],
)  # fmt: skip
def test_what_will_stay_is_not(
    server: FakeRegistry, tmp_path: Path, answer: Reply, kind: type[LayersmithError]
) -> None:
    server.always("GET", PATH, answer)
    most = 1000 if kind is InvalidInput else 1 << 20
    with pytest.raises(kind) as caught:
        fetched(server, tmp_path, url=f"{server.url}{PATH}?token=s3cret", most=most)
    assert "s3cret" not in caught.value.message
    assert server.url in caught.value.message
    assert len(server.log) == 1
    kept = [path for path in (tmp_path / "v1").rglob("*") if path.is_file()]
    assert kept == []


def test_redirects_are_followed_but_not_for_ever(server: FakeRegistry, tmp_path: Path) -> None:
    server.once("GET", PATH, Reply(302, {"Location": "/storage"}))
    server.once("GET", "/storage", Reply(200, {}, DATA))
    assert fetched(server, tmp_path) == DATA
    server.always("GET", PATH, Reply(302, {"Location": PATH}))
    with pytest.raises(RegistryError, match="more than 5 redirects"):
        fetched(server, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "http://osv.example/all.zip", "https://user:s3cret@osv.example/x", "https://", "https:///x",
        "https://osv.example:x/", "ftp://osv.example/x", "https://osv.example/a b",
        "https://osv.example/\x1b", "https://osv.example/\N{SNOWMAN}",
    ],
)  # fmt: skip
def test_urls_that_are_not_gone_to(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fetch(url, RegistryOptions(), Cache(tmp_path), NoProgress())
    assert "s3cret" not in caught.value.message
