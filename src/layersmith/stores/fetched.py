"""Files by URL, kept in the cache for as long as their server says that they are the same.

A server that gives an ETag is asked whether it changed (RFC 9110, 13.1.2). What is fetched
has no digest to be held against: TLS vouches for where it came from, and the caller shows its
SHA-256. Nothing of the environment but proxies and CA certificates goes along: no credentials.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec
from urllib3.exceptions import HTTPError

from layersmith.errors import (
    DocumentError,
    InvalidInput,
    LayersmithError,
    NotFound,
    RegistryError,
    Unauthorized,
)
from layersmith.oci.content import CHUNK
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Descriptor
from layersmith.oci.reference import valid_registry
from layersmith.oci.strictjson import decode, encode
from layersmith.oci.strictjson import typed as converted
from layersmith.stores.registry_answers import content_length, discard, is_temporary
from layersmith.stores.registry_urls import Origin, follow, redacted
from layersmith.stores.retries import Patience
from layersmith.stores.transport import Transport, wire_error

if TYPE_CHECKING:
    import requests

    from layersmith.oci.content import Progress
    from layersmith.stores.cache import Cache
    from layersmith.stores.registry_options import RegistryOptions
    from layersmith.stores.retries import Clock

__all__ = ["MOST", "fetch"]

MOST: Final = 2 << 30
_TYPE: Final = "application/octet-stream"
_LONGEST_TAG: Final = 200
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class _Known(msgspec.Struct, frozen=True):
    """What a URL gave the last time."""

    etag: str
    content: Descriptor


def fetch(
    url: str,
    options: RegistryOptions,
    cache: Cache,
    progress: Progress,
    *,
    most: int = MOST,
    clock: Clock | None = None,
) -> Descriptor:
    """Return what is at `url`: a blob of the cache, held open.

    Raises :class:`InvalidInput` for a URL that is not gone to, and as registries' answers do.
    """
    return _Fetch(url, options, cache, progress, most, clock).content()


class _Fetch:
    def __init__(
        self,
        url: str,
        options: RegistryOptions,
        cache: Cache,
        progress: Progress,
        most: int,
        clock: Clock | None,
    ) -> None:
        self._origin = _checked(url, options)
        self._url = url.partition("#")[0]
        self._cache = cache
        self._progress = progress
        self._most = most
        self._limits = options.limits
        self._transport = Transport(options.limits, options.ca_file, options.unverified)
        self._patience = Patience(options.limits, clock, progress)
        self._what = f"fetching {redacted(self._url)}"

    def content(self) -> Descriptor:
        """Ask, as often as it makes sense."""
        tries = self._patience.tries()
        try:
            while True:
                self._patience.wait()
                try:
                    return self._once()
                except RegistryError as error:
                    if not tries.after(error):
                        raise RegistryError(
                            f"{self._what}: {error.message}", status=error.status, hint=error.hint
                        ) from None
        finally:
            self._transport.close()

    def _once(self) -> Descriptor:
        key = f"fetched {self._url}"
        known = self._known(key)
        response = self._asked({"If-None-Match": known.etag} if known else {})
        try:
            if known is not None and response.status_code == 304:
                return known.content
            if response.status_code != 200:
                raise self._refusal(response)
            content = self._kept(response)
        finally:
            response.close()
        etag = response.headers.get("ETag", "")
        if 0 < len(etag) <= _LONGEST_TAG and etag.isprintable():
            self._cache.remember(key, encode(_Known(etag, content)))
        return content

    def _known(self, key: str) -> _Known | None:
        """Return what this URL gave before, if all of it is still there, intact."""
        kept = self._cache.recall(key)
        try:
            known = converted(decode(kept, "fetched"), _Known, "fetched") if kept else None
        except DocumentError:
            return None
        return known if known is not None and self._cache.hold(known.content) else None

    def _asked(self, headers: dict[str, str]) -> requests.Response:
        """Send the request, and follow redirects to where a registry's would be followed."""
        url = self._url
        for _ in range(self._limits.redirects + 1):
            response = self._transport.send("GET", url, headers)
            if response.status_code not in _REDIRECTS:
                return response
            target = response.headers.get("Location", "")
            discard(response, self._limits.error_body)
            url = follow(url, target, self._origin, "the target of a redirect")
        raise RegistryError(f"more than {self._limits.redirects} redirects")

    def _kept(self, response: requests.Response) -> Descriptor:
        """Write the body into the cache."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise RegistryError("the answer is encoded, which was not asked for")
        length = content_length(response)
        if length is not None and length > self._most:
            raise self._too_much()
        hasher, size = hashlib.sha256(), 0
        with self._cache.new_blob() as new:
            while data := self._piece(response):
                size += len(data)
                if size > self._most:
                    raise self._too_much()
                hasher.update(data)
                new.file.write(data)
                self._progress.advance(f"fetch {self._url}", len(data), length or 0)
            if length is not None and size != length:
                raise RegistryError("the answer was cut off", temporary=True)
            new.digest = str(Digest.of_hasher(hasher))
        return Descriptor(media_type=_TYPE, digest=Digest(new.digest), size=size)

    def _piece(self, response: requests.Response) -> bytes:
        try:
            data: bytes = response.raw.read1(CHUNK, decode_content=False)
        except (HTTPError, OSError) as error:
            raise wire_error(error, self._url) from None
        return data

    def _too_much(self) -> InvalidInput:
        return InvalidInput(f"{self._what}: more than {self._most >> 20} MiB")

    def _refusal(self, response: requests.Response) -> LayersmithError:
        status = response.status_code
        message = f"the server answers {status}"
        if status in (404, 410):
            return NotFound(f"{self._what}: {message}", hint="check the URL")
        if status in (401, 403):
            return Unauthorized(f"{self._what}: {message}", hint="fetch it yourself: --db FILE")
        return RegistryError(
            message,
            status=status,
            temporary=is_temporary(status),
            wait=self._patience.asked(response.headers),
        )


def _checked(url: str, options: RegistryOptions) -> Origin:
    """Return the origin of a URL that may be gone to; raises :class:`InvalidInput`."""
    shown = redacted(url)[:200]
    try:
        origin, host = Origin.of(url), urlsplit(url).netloc
    except ValueError:
        raise InvalidInput(f"{shown!r} is not a URL") from None
    if not valid_registry(host) or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput(f"{shown!r} has user information, or is malformed")
    if origin.scheme == "http" and not origin.is_loopback and host not in options.plain_http:
        raise InvalidInput(
            f"{shown} is not https: anyone on the way could leave vulnerabilities out",
            hint=f"write https://, or allow it: --plain-http {host}",
        )
    return origin
