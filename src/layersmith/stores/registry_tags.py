"""What a registry lists: tags, and the referrers of a digest (distribution-spec 1.1).

Lists come in pages, each naming the next by a Link header. The registry chooses that
URL: it is followed only within the registry's own origin, to a page not seen yet, and
to a bound (oras-py follows one that leads to itself for ever).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from urllib3.exceptions import HTTPError

from layersmith.errors import DocumentError, RegistryError, one_line
from layersmith.oci.documents import OCI_INDEX, Descriptor
from layersmith.oci.reference import valid_tag
from layersmith.oci.strictjson import decode, typed
from layersmith.stores.registry_answers import discard, read_whole
from layersmith.stores.registry_checks import media_type_of, plain_body
from layersmith.stores.registry_urls import Origin, follow
from layersmith.stores.transport import wire_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from layersmith.oci.digest import Digest
    from layersmith.stores.registry_repository import RegistryRepository

__all__ = ["RegistryListing", "next_page"]

_PAGE: Final = 1000
_MAX_PAGES: Final = 1000
_MAX_TAGS: Final = 500_000
_MAX_TOGETHER: Final = 64 << 20
_MAX_REFERRERS: Final = 1000
# How registries from before 1.1 say that they do not know the referrers API.
_NO_API: Final = frozenset({400, 404, 405, 501})
_NEXT: Final = re.compile(r"\s*<([^<>]{0,4096})>\s*;[^,]*?\brel\s*=\s*\"?next\b", re.IGNORECASE)


class RegistryListing:
    """Lists of one repository."""

    def __init__(self, repository: RegistryRepository) -> None:
        self._repository = repository
        self._client = repository._client  # noqa: SLF001 - one client for all of a repository
        self._base = f"{self._client.endpoint.host}/v2/{repository._path}"  # noqa: SLF001
        self._bytes = 0

    def tags(self) -> list[str]:
        """Return every tag, sorted ("Listing Tags").

        Raises :class:`NotFound`, :class:`Unauthorized`, :class:`RegistryError`, or
        :class:`DocumentError` for a list that is none.
        """
        what = f"{self._repository.name}: listing tags"
        found: set[str] = set()
        for response in self._pages(f"{self._base}/tags/list?n={_PAGE}", "application/json", what):
            if response.status_code != 200:
                raise self._client.refusal(response, what, missing="check the name")
            tags = self._json(response, what).get("tags") or []
            for tag in typed(tags, list[str], what):
                if not valid_tag(tag):
                    raise DocumentError(f"{what}: {one_line(tag, 140)!r} is not a tag")
                found.add(tag)
            if len(found) > _MAX_TAGS:
                raise DocumentError(f"{what}: more than {_MAX_TAGS} tags")
        return sorted(found)

    def referrers(self, digest: Digest) -> list[Descriptor] | None:
        """Return what refers to `digest` ("Listing Referrers"), in its order.

        None where the registry has no such API: then the referrers tag may know.
        """
        what = f"{self._repository.name}: listing the referrers of {digest}"
        found: dict[str, Descriptor] = {}
        for response in self._pages(f"{self._base}/referrers/{digest}", OCI_INDEX, what):
            if response.status_code in _NO_API or (
                response.status_code == 200 and media_type_of(response) != OCI_INDEX
            ):
                discard(response, self._client.limits.error_body)
                return None
            if response.status_code != 200:
                raise self._client.refusal(response, what)
            manifests = self._json(response, what).get("manifests") or []
            for descriptor in typed(manifests, list[Descriptor], what):
                found.setdefault(descriptor.digest, descriptor)
            if len(found) > _MAX_REFERRERS:
                raise DocumentError(f"{what}: more than {_MAX_REFERRERS}")
        return list(found.values())

    def _pages(self, path: str, accept: str, what: str) -> Iterator[requests.Response]:
        """Ask for page after page; the one who takes a response reads it."""
        url, seen = self._client.url(path), set[str]()
        while url:
            if url in seen or len(seen) >= _MAX_PAGES:
                raise RegistryError(f"{what}: the pages have no end")
            seen.add(url)
            response: requests.Response = self._client.do_request(
                url,
                headers={"Accept": accept},
                scopes=self._repository._pull,  # noqa: SLF001 - as above
                what=what,
            )
            yield response
            url = next_page(
                self._client.scheme.of(url),
                response.headers.get("Link", ""),
                self._client.origin,
                what,
            )

    def _json(self, response: requests.Response, what: str) -> dict[str, Any]:
        limit = self._client.limits.document
        with response:
            plain_body(response, what)
            try:
                raw = read_whole(response, limit)
            except (HTTPError, OSError) as error:
                raise wire_error(error, response.url) from None
        self._bytes += len(raw)
        if self._bytes > _MAX_TOGETHER:
            raise DocumentError(f"{what}: more than {_MAX_TOGETHER >> 20} MiB of pages")
        json = decode(raw, what, limit=limit)
        if not isinstance(json, dict):
            raise DocumentError(f"{what}: not a list")
        return json


def next_page(url: str, link: str, ours: Origin, what: str) -> str:
    """Return the page behind the one at `url` that a Link header names (RFC 8288), or nothing.

    Raises :class:`RegistryError` for one that is not at `ours`, the registry's own origin.
    """
    match = _NEXT.match(link)
    if match is None:
        return ""
    following = follow(url, match[1], ours, f"{what}: the next page")
    if Origin.of(following) != ours:
        raise RegistryError(f"{what}: the next page is said to be at another registry")
    return following
