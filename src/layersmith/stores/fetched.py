"""Files by URL, kept in the cache for as long as their server says that they are the same.

What is fetched has no digest to be held against: TLS vouches for where it came from, and the
caller shows its SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from layersmith.errors import DocumentError, InvalidInput, Unauthorized
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Descriptor
from layersmith.oci.reference import valid_registry
from layersmith.oci.strictjson import decode, encode, typed
from layersmith.stores.registry_urls import Origin, redacted
from layersmith.stores.web import Web

if TYPE_CHECKING:
    from layersmith.oci.content import Progress
    from layersmith.stores.cache import Cache
    from layersmith.stores.registry_options import RegistryOptions
    from layersmith.stores.retries import Clock
    from layersmith.stores.web import Answer

__all__ = ["MOST", "fetch"]

MOST: Final = 2 << 30
_TYPE: Final = "application/octet-stream"
_LONGEST_TAG: Final = 200


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

    Raises :class:`InvalidInput` for a URL that is not gone to or gives more than `most` bytes,
    and what :meth:`Web.get` raises.
    """
    _check(url, options)
    what = f"fetching {redacted(url)}"
    key = f"fetched {url}"
    known = _known(cache, key)

    def take(answer: Answer) -> _Known:
        if known is not None and answer.is_same:
            return known
        return _Known(answer.etag, _kept(answer, cache, progress, what, most))

    web = Web(options, progress=progress, clock=clock)
    try:
        found = web.get(url, "*/*", take, what, known.etag if known else "")
    except Unauthorized as error:
        hint = "put user and password in netrc, or fetch it yourself and name the file"
        raise Unauthorized(error.message, hint=hint) from None
    finally:
        web.close()
    if found is not known and 0 < len(found.etag) <= _LONGEST_TAG and found.etag.isprintable():
        cache.remember(key, encode(found))
    return found.content


def _known(cache: Cache, key: str) -> _Known | None:
    """Return what a URL gave before, if all of it is still there, intact."""
    kept = cache.recall(key)
    try:
        known = typed(decode(kept, "fetched"), _Known, "fetched") if kept else None
    except DocumentError:
        return None
    return known if known is not None and cache.hold(known.content) else None


def _kept(answer: Answer, cache: Cache, progress: Progress, what: str, most: int) -> Descriptor:
    """Write an answer's body into the cache."""
    hasher, size = hashlib.sha256(), 0
    with cache.new_blob() as new:
        for data in answer.chunks():
            size += len(data)
            if max(size, answer.size) > most:
                raise InvalidInput(f"{what}: more than {most >> 20} MiB")
            hasher.update(data)
            new.file.write(data)
            progress.advance(f"fetch {what}", len(data), answer.size)
        new.digest = str(Digest.of_hasher(hasher))
    return Descriptor(media_type=_TYPE, digest=Digest(new.digest), size=size)


def _check(url: str, options: RegistryOptions) -> None:
    """Refuse a URL that is none, has a password in it, or could be changed on the way."""
    shown = redacted(url)[:200]
    try:
        origin, host = Origin.of(url), urlsplit(url).netloc
    except ValueError:
        raise InvalidInput(f"{shown!r} is not a URL") from None
    if not valid_registry(host) or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput(
            f"{shown!r} is malformed, or has a user in it", hint="a user belongs in netrc"
        )
    if origin.scheme == "http" and not origin.is_loopback and host not in options.plain_http:
        raise InvalidInput(
            f"{shown} is not https: anyone on the way could leave vulnerabilities out",
            hint=f"write https://, or allow it: --plain-http {host}",
        )
