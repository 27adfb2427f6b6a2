"""What a registry says in headers: challenges, links, places, ranges, and when to come back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import requests
from tests.fuzz.target import Target, refused

from layersmith.errors import one_line
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST, Descriptor
from layersmith.stores.auth import (
    Challenge,
    Scopes,
    TokenService,
    main_repository,
    parse_challenges,
    parse_scopes,
    scope_texts,
)
from layersmith.stores.registry_answers import content_length
from layersmith.stores.registry_checks import check_answer, is_rest, media_type_of, plain_body
from layersmith.stores.registry_tags import next_page
from layersmith.stores.registry_urls import Origin, follow, redacted
from layersmith.stores.retries import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterator

_REGISTRIES: Final = (Origin("https", "r.example", 443), Origin("http", "localhost", 5000))
_BLOB: Final = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b"hello"), size=5)
_NOW, _MOST = 1_790_000_000.0, 120.0
_SECRET: Final = "s3cret"


def _headers(data: bytes) -> None:
    """Read an answer's headers, a line each."""
    response = requests.Response()
    for line in data.decode("latin-1").split("\n"):
        name, _, value = line.partition(":")
        response.headers[name.strip().lower()] = value.strip()
    said = response.headers.get
    _challenges(said("www-authenticate", ""))
    for registry in _REGISTRIES:
        for read in (_link, _location):
            refused(partial(read, said("link", ""), said("location", ""), registry))
    assert 0 <= retry_after(said("retry-after", ""), _NOW, _MOST) <= _MOST
    _lengths(response)


def _challenges(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()
        scopes = parse_scopes(challenge.parameters.get("scope", ""))
        assert parse_scopes(" ".join(scope_texts(scopes))) == scopes
        main_repository(scopes)
        for registry in _REGISTRIES:
            refused(partial(_token_service, challenge, registry, scopes))


def _token_service(challenge: Challenge, registry: Origin, scopes: Scopes) -> None:
    service = TokenService.of(challenge, registry)
    url = service.url(scopes)
    place = Origin.of(url)
    assert url.isascii()
    assert url.isprintable()
    assert place.scheme == "https" or registry.scheme == "http"
    assert place == Origin.of(service.realm), "the query leads elsewhere"


def _link(link: str, _location: str, registry: Origin) -> None:
    url = next_page(f"{registry}/v2/x/tags/list", link, registry, "tags")
    assert not url or Origin.of(url) == registry


def _location(_link: str, location: str, registry: Origin) -> None:
    url = follow(f"{registry}/v2/x/blobs/uploads/", location, registry, "the upload")
    place = Origin.of(url)
    assert place.scheme == "https" or registry.scheme == "http"
    assert "#" not in url
    assert "@" not in url.split("/")[2]
    assert one_line(redacted(url), 1 << 20) == redacted(url)


def _lengths(response: requests.Response) -> None:
    length = content_length(response)
    assert length is None or length >= 0
    for start, size in ((0, 5), (2, 5), (7, 7)):
        if is_rest(response, start, size):
            assert start < size
            assert length in (None, size - start)
    media_type_of(response)
    refused(partial(plain_body, response, "a blob"))
    refused(partial(check_answer, response, _BLOB, "a blob"))


_URLS: Final = (
    "https://auth.example/token", "http://auth.example", "https://u:p@r.example/", "//evil.example",
    "https://169.254.169.254/", "https://[::1]/x", "/v2/x?a=b#c", "x/../y", "https://127.1/", "",
    "https://[::ffff:10.0.0.1]/", "https://0x7f.1/", "https://r.example:99999/", "https://[x/",
    "http://localhost:5000/v2/", "https://r.example/v2/x/?n=1&last=a%20b", "\\\\evil", "https:///x",
)  # fmt: skip
_TIMES: Final = (
    "5", "0", "-1", "1e9", "9" * 30, "\u0665", "Wed, 21 Oct 2026 07:28:00 GMT", "21 Oct 2026",
    "Wed, 21 Oct 99999 07:28:00 GMT", "Sun Nov  6 08:49:37 1994", "Wed, 21 Oct 2026 07:28 -9999",
    ",", "0 Jan 0000 00:00:00", "Wed, 21 Oct 2026 25:61:61 +99999999999",
)  # fmt: skip
_RANGES: Final = ("bytes 0-4/5", "bytes 2-4/*", "bytes 5-4/5", "bytes */5", f"bytes {'9' * 40}-9/9")
_CHALLENGES: Final = (
    'Bearer realm="{0}",service="r",scope="repository:a/b:pull,push repository:c:*"',
    'Bearer realm="https://10.0.0.1/",scope="x :y a:"', 'Basic realm="x", Bearer realm={0}, error="invalid_token"', 'bearer realm="{0}?a=b",scope=""',
    'Negotiate dG9rZW4=, Bearer realm="a\\"b",realm="c"', 'Bearer realm="{0}', 'Bearer ,,=,"',
)  # fmt: skip


def _answers() -> Iterator[bytes]:
    texts = []
    for number, url in enumerate(_URLS):
        lines = [
            "WWW-Authenticate: " + _CHALLENGES[number % len(_CHALLENGES)].replace("{0}", url),
            f'Link: <{url}>; rel="next"',
            f"Location: {url}",
            f"Retry-After: {_TIMES[number % len(_TIMES)]}",
            f"Content-Range: {_RANGES[number % len(_RANGES)]}",
            f"Content-Length: {(5, 3, -1, 1 << 70)[number % 4]}",
            f"Content-Type: {OCI_MANIFEST}; charset=utf-8",
            f"Content-Encoding: {('identity', 'gzip', '')[number % 3]}",
            f"Docker-Content-Digest: {(_BLOB.digest, Digest.of(b''), 'x')[number % 3]}",
        ]
        texts.append("\n".join(lines))
        texts += lines
    return (text.encode("latin-1", "replace") for text in texts)


TARGETS: Final = (
    Target(
        "headers",
        _headers,
        _answers,
        ("stores.auth", "stores.registry_urls"),
        (
            b"Bearer ", b'realm="', b"scope=", b"repository:", b"https://", b"@", b"[::1]", b"\\",
            b"rel=next", b"bytes ", b"127.0.0.1", b" GMT", b"; ", b"WWW-Authenticate:", b"%0a",
        ),
        2048,
    ),
)  # fmt: skip
