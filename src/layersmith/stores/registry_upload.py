"""Writing content to a registry (distribution-spec, "Push").

:class:`Upload` is one upload session; restarts, chunks and the search for a lost
201 belong there.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from layersmith.oci.content import CHUNK, VerifiedReader
from layersmith.stores.registry_answers import discard
from layersmith.stores.registry_checks import check_digest
from layersmith.stores.registry_urls import follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from layersmith.oci.content import Opener, Progress, Readable
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.auth import Scopes
    from layersmith.stores.registry_client import RegistryClient

__all__ = ["UploadBody", "check_created", "start_upload", "upload"]

_CREATED: Final = frozenset({200, 201, 204})


class UploadBody:
    """A request body of exactly the descriptor's bytes, verified while they leave.

    A wrong byte raises before the last block is sent, so the registry never sees a
    complete request. Nothing is opened before the first byte is wanted.
    """

    def __init__(
        self, opener: Opener, descriptor: Descriptor, where: str, progress: Progress
    ) -> None:
        self._opener = opener
        self._descriptor = descriptor
        self._where = where
        self._task = f"push {where} {descriptor.digest}"
        self._progress = progress
        self._opened = ExitStack()
        self._stream: Readable | None = None
        self.sent = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the stream."""
        self._opened.close()

    def __len__(self) -> int:
        """Return the descriptor's size: the Content-Length."""
        return self._descriptor.size

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks."""
        return iter(lambda: self.read(CHUNK), b"")

    def read(self, size: int, /) -> bytes:
        """Return the next block."""
        if self._stream is None:
            stream = self._opened.enter_context(self._opener())
            verified = isinstance(stream, VerifiedReader)
            self._stream = (
                stream if verified else VerifiedReader(stream, self._descriptor, self._where)
            )
        data = self._stream.read(size)
        if data:
            self.sent += len(data)
            self._progress.advance(self._task, len(data), self._descriptor.size)
        return data

    def rewind(self) -> bool:
        """Go back to the start: what was sent is taken back from the progress."""
        self._opened.close()
        self._stream = None
        if self.sent:
            self._progress.advance(self._task, -self.sent, self._descriptor.size)
            self.sent = 0
        return True


def start_upload(client: RegistryClient, url: str, scopes: Scopes, what: str) -> str:
    """Open an upload session (POST) and return its location.

    Returns an empty string if the registry answered 201: the blob was mounted.
    """
    response: requests.Response = client.do_request(url, "POST", scopes=scopes)
    if response.status_code not in (201, 202):
        raise client.refusal(response, what, missing="the repository may have to be made first")
    location = response.headers.get("Location", "")
    discard(response, client.limits.error_body)
    if response.status_code == 201:
        return ""
    return follow(response.url, location, client.origin, f"{what}: the upload location")


def upload(
    client: RegistryClient,
    location: str,
    body: UploadBody,
    descriptor: Descriptor,
    scopes: Scopes,
    what: str,
) -> None:
    """Send the whole blob to an upload session with one PUT ("POST then PUT").

    The location may have a query, which is critical and stays as it is; our digest
    is appended to it.
    """
    if not descriptor.size:
        body.read(1)  # an empty body is never read by the transport, so never verified
    mark = "&" if "?" in location else "?"
    url = f"{location}{mark}digest={quote(descriptor.digest, safe='')}"
    headers = {"Content-Type": "application/octet-stream"}
    response = client.do_request(url, "PUT", data=body, headers=headers, scopes=scopes)
    check_created(client, response, descriptor, what)


def check_created(
    client: RegistryClient, response: requests.Response, descriptor: Descriptor, what: str
) -> None:
    """Take a 201 only if it is for our digest; raises for every other answer."""
    if response.status_code not in _CREATED:
        raise client.refusal(response, what)
    discard(response, client.limits.error_body)
    check_digest(response, descriptor.digest, what)
