"""What an answer claims, held against what was asked for, before a byte is believed.

Lengths, digests and types in headers only ever refuse: what is accepted is decided by
the bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    InvalidDigest,
    RegistryError,
    SizeMismatch,
    one_line,
)
from layersmith.oci.content import is_manifest
from layersmith.oci.digest import Digest
from layersmith.oci.documents import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from layersmith.stores.registry_answers import content_length, read_whole
from layersmith.stores.transport import wire_error

if TYPE_CHECKING:
    import requests

    from layersmith.stores.registry_client import RegistryClient

__all__ = [
    "DOCUMENT_TYPES",
    "check_answer",
    "check_digest",
    "described",
    "digest_of",
    "is_rest",
    "plain_body",
    "read_manifest",
]

DOCUMENT_TYPES: Final = INDEX_TYPES | MANIFEST_TYPES
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII)


def described(
    response: requests.Response, wanted: Digest | None, what: str, limit: int
) -> Descriptor | None:
    """Return the descriptor that the headers of a HEAD give, None if they do not suffice.

    A manifest of more than `limit` bytes is not believed in.

    Raises :class:`DigestMismatch` if it is not for the digest that was `wanted`.
    """
    media_type = media_type_of(response)
    length = content_length(response)
    if media_type not in DOCUMENT_TYPES or length is None or length > limit:
        return None
    if (digest := digest_of(response)) is None:
        return None
    if wanted is not None:
        check_digest(response, wanted, what)
    return Descriptor(media_type=media_type, digest=wanted or digest, size=length)


def read_manifest(
    client: RegistryClient, response: requests.Response, wanted: Digest | None, what: str
) -> tuple[Descriptor, bytes]:
    """Read the answer to a GET; the digest is computed, the type must be said.

    Raises :class:`DocumentError` for what is too large or no manifest, and
    :class:`DigestMismatch` if the bytes are not those `wanted` or announced.
    """
    with response:
        plain_body(response, what)
        limit = client.limits.document
        try:
            raw = read_whole(response, limit)
        except (HTTPError, OSError) as error:
            raise wire_error(error, response.url) from None
    if len(raw) > limit:
        raise DocumentError(f"{what}: more than {limit} bytes for a manifest")
    digest = Digest.of(raw, wanted.algorithm if wanted else "sha256")
    if wanted not in (None, digest):
        raise DigestMismatch(what, expected=wanted or "", got=digest)
    check_digest(response, digest, what)
    media_type = media_type_of(response)
    if media_type not in DOCUMENT_TYPES:
        raise DocumentError(
            f"{what}: {one_line(media_type, 80) or 'no type'} is not an image's",
            hint="is this a registry? (images of Docker's schema 1 are not read)",
        )
    return Descriptor(media_type=media_type, digest=digest, size=len(raw)), raw


def media_type_of(response: requests.Response) -> str:
    """Return the Content-Type without its parameters."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def plain_body(response: requests.Response, what: str) -> None:
    """Refuse a Content-Encoding: the digest is of the bytes as they are stored."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise RegistryError(
            f"{what}: sent with Content-Encoding {one_line(encoding, 40)}, which was not asked for"
        )


def check_answer(response: requests.Response, descriptor: Descriptor, what: str) -> None:
    """Compare what the headers claim with the descriptor, before any byte is read.

    Raises :class:`DigestMismatch` or :class:`SizeMismatch`.
    """
    check_digest(response, descriptor.digest, what)
    media_type = media_type_of(response)
    if media_type in DOCUMENT_TYPES and is_manifest(descriptor):
        _check_type(media_type, descriptor, what)
    length = content_length(response)
    if length not in (None, descriptor.size):
        raise SizeMismatch(what, expected=descriptor.size, got=length or 0)


def is_rest(response: requests.Response, start: int, size: int) -> bool:
    """Tell whether a 206 holds just the bytes from `start` to the end of `size`.

    RFC 9110, 14.4: what it holds is what Content-Range says, not what was asked for.
    """
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or match[3] not in ("*", str(size)):
        return False
    return (int(match[1]), int(match[2])) == (start, size - 1) and (
        content_length(response) in (None, size - start)
    )


def _check_type(media_type: str, descriptor: Descriptor, what: str) -> None:
    """Refuse a manifest that is called an index, or the other way (CVE-2021-41190)."""
    if media_type != descriptor.media_type:
        raise DocumentError(
            f"{what}: ambiguous: sent as {media_type}, described as {descriptor.media_type}"
        )


def check_digest(response: requests.Response, expected: Digest, what: str) -> None:
    """Refuse another digest of the same algorithm; any other header says nothing.

    Raises :class:`DigestMismatch`.
    """
    said = digest_of(response)
    if said and said.algorithm == expected.algorithm and said != expected:
        raise DigestMismatch(f"{what}: Docker-Content-Digest", expected=expected, got=said)


def digest_of(response: requests.Response) -> Digest | None:
    """Return what Docker-Content-Digest says, if it says anything that can be checked."""
    try:
        return Digest(response.headers.get("Docker-Content-Digest", ""))
    except InvalidDigest:
        return None
