"""Reading content from a registry (distribution-spec, "Pull").

:class:`Download` is the one place where bytes come off the wire: retries and Range
resume belong there and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from urllib3.exceptions import HTTPError

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    InvalidDigest,
    RegistryError,
    SizeMismatch,
    one_line,
)
from layersmith.oci.content import CHUNK, is_manifest
from layersmith.oci.digest import Digest
from layersmith.oci.documents import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from layersmith.stores.registry_answers import content_length, read_whole
from layersmith.stores.transport import wire_error

if TYPE_CHECKING:
    import requests

    from layersmith.oci.content import Progress
    from layersmith.stores.auth import Scopes
    from layersmith.stores.registry_client import RegistryClient

DOCUMENT_TYPES: Final = INDEX_TYPES | MANIFEST_TYPES

__all__ = ["DOCUMENT_TYPES", "Download", "check_digest", "described", "read_manifest"]


class Download:
    """The raw bytes of one descriptor; wrap it in a VerifiedReader."""

    def __init__(
        self,
        client: RegistryClient,
        url: str,
        descriptor: Descriptor,
        *,
        where: str,
        accept: str,
        scopes: Scopes,
        progress: Progress,
    ) -> None:
        self._client = client
        self._url = url
        self._descriptor = descriptor
        self._where = where
        self._accept = accept
        self._scopes = scopes
        self._progress = progress
        self._task = f"pull {where} {descriptor.digest}"
        self._response = self._connect()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the connection."""
        self._response.close()

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes as they came over the wire.

        Raises :class:`RegistryError` if the connection breaks.
        """
        try:
            data: bytes = self._response.raw.read(
                size if size >= 0 else CHUNK, decode_content=False
            )
        except (HTTPError, OSError) as error:
            raise wire_error(error, self._url) from None
        if data:
            self._progress.advance(self._task, len(data), self._descriptor.size)
        return data

    def _connect(self) -> requests.Response:
        response: requests.Response = self._client.do_request(
            self._url, headers={"Accept": self._accept}, scopes=self._scopes
        )
        what = f"{self._where}: fetching {self._descriptor.digest}"
        if response.status_code != 200:
            raise self._client.refusal(response, what, missing="the image is incomplete there")
        try:
            plain_body(response, what)
            check_answer(response, self._descriptor, what)
        except BaseException:
            response.close()
            raise
        return response


def described(response: requests.Response, wanted: Digest | None, what: str) -> Descriptor | None:
    """Return the descriptor that the headers of a HEAD give, None if they do not suffice.

    Raises :class:`DigestMismatch` if it is not for the digest that was `wanted`.
    """
    media_type = media_type_of(response)
    length = content_length(response)
    if media_type not in DOCUMENT_TYPES or length is None:
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
