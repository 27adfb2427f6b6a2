"""Blobs in chunks (distribution-spec, "Pushing a blob in chunks").

A PATCH is never simply sent again: some registries append whatever comes. After a
failure the session is asked how much it has (GET: 204 with Range), and what is missing
is sent from there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from layersmith.errors import LayersmithError, RegistryError
from layersmith.stores.registry_answers import discard
from layersmith.stores.registry_checks import check_digest
from layersmith.stores.registry_urls import follow

if TYPE_CHECKING:
    import requests

    from layersmith.oci.documents import Descriptor
    from layersmith.stores.auth import Scopes
    from layersmith.stores.registry_body import UploadBody
    from layersmith.stores.registry_client import RegistryClient
    from layersmith.stores.retries import Tries

__all__ = ["Failure", "Session", "check_created", "closed", "closing_url", "send_in_chunks"]

_CREATED: Final = 201
_LARGEST: Final = 64 * 1024 * 1024  # a chunk is held in memory
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,18})", re.ASCII)


class Session(NamedTuple):
    """An upload session: where it is now, and the least size of a chunk (0: none is said)."""

    location: str
    least: int = 0


class Failure(NamedTuple):
    """What came in place of success; the status is 0 where no answer came."""

    error: LayersmithError
    status: int


def closing_url(location: str, descriptor: Descriptor) -> str:
    """Return the URL of the PUT that ends a session.

    The location may have a query, which is critical and stays as it is; our digest is
    appended to it.
    """
    mark = "&" if "?" in location else "?"
    return f"{location}{mark}digest={quote(descriptor.digest, safe='')}"


def check_created(
    client: RegistryClient,
    response: requests.Response,
    descriptor: Descriptor,
    what: str,
    *,
    incomplete: bool = False,
) -> None:
    """Take a 201 only if it is for our digest; raises for every other answer.

    A proxy that wants a login, for one, answers 200 to everything.
    """
    if response.status_code != _CREATED:
        raise client.refusal(response, what, incomplete=incomplete)
    discard(response, client.limits.error_body)
    check_digest(response, descriptor.digest, what)


def closed(
    client: RegistryClient, response: requests.Response, descriptor: Descriptor, what: str
) -> Failure | None:
    """Return what is wrong with the answer to the PUT that ends a session."""
    try:
        check_created(client, response, descriptor, what)
    except LayersmithError as error:
        return Failure(error, response.status_code)
    return None


def send_in_chunks(
    client: RegistryClient,
    session: Session,
    body: UploadBody,
    chunk: int,
    tries: Tries,
    scopes: Scopes,
    what: str,
) -> Failure | None:
    """Send the blob, and close the session; returns none when the registry has it."""
    if chunk > _LARGEST:
        error = RegistryError(f"{what}: the registry wants chunks of {chunk} bytes or more")
        return Failure(error, 0)
    sender = _Chunks(client, session.location, tries, scopes, what)
    try:
        while data := body.take(chunk):
            sender.send(data)
        sender.close(body.descriptor)
    except _Failed as failed:
        return failed.failure
    return None


class _Failed(Exception):
    """Carries a failure out of the loops; never leaves this module."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


class _Chunks:
    """The state of one session: where it is, and how much it has."""

    def __init__(
        self, client: RegistryClient, location: str, tries: Tries, scopes: Scopes, what: str
    ) -> None:
        self._client = client
        self._location = location
        self._tries = tries
        self._scopes = scopes
        self._what = what
        self._has = 0

    def send(self, data: bytes) -> None:
        """Send one chunk, from wherever the registry is in it."""
        start, end = self._has, self._has + len(data)
        while self._has < end:
            if self._has < start:  # it has lost what it had said to have
                error = RegistryError(f"{self._what}: the upload session went back")
                raise _Failed(Failure(error, 416))
            failure = self._patch(data[self._has - start :], end)
            if failure is None:
                self._tries.progressed()
            elif failure.status == 416 or _is_temporary(failure.error):
                self._look(failure)
            else:
                raise _Failed(failure)

    def close(self, descriptor: Descriptor) -> None:
        """End the session with an empty PUT."""
        url = closing_url(self._location, descriptor)
        headers = {"Content-Type": "application/octet-stream"}
        response = self._ask("PUT", url, headers)
        if failure := closed(self._client, response, descriptor, self._what):
            raise _Failed(failure)

    def _patch(self, data: bytes, end: int) -> Failure | None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{self._has}-{end - 1}",
        }
        try:
            response = self._client.do_request(
                self._location,
                "PATCH",
                data,
                headers,
                scopes=self._scopes,
                once=True,
                what=self._what,
            )
        except RegistryError as error:
            return Failure(error, 0)
        if response.status_code not in (202, 204):
            return self._refused(response)
        self._note(response, end)
        return None

    def _look(self, failure: Failure) -> None:
        """After a failure, wait and ask the session how much it has."""
        error = failure.error
        wait, most = (error.wait, error.tries) if isinstance(error, RegistryError) else (0.0, 0)
        if not self._tries.worth(failure.status, wait, most):
            raise _Failed(failure)
        self._tries.rest()
        response = self._ask("GET", self._location, {})
        if response.status_code not in (200, 202, 204):
            raise _Failed(self._refused(response))
        self._note(response, 0)

    def _note(self, response: requests.Response, otherwise: int) -> None:
        """Take over location and progress; without a Range it has got to `otherwise`."""
        match = _RANGE.fullmatch(response.headers.get("Range", ""))
        last = int(match[1]) if match else otherwise - 1
        self._has = last + 1 if last > 0 else min(max(otherwise, 0), 1)
        target = response.headers.get("Location", "")
        discard(response, self._client.limits.error_body)
        if target:
            what = f"{self._what}: the upload location"
            self._location = follow(response.url, target, self._client.origin, what)

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> requests.Response:
        try:
            response: requests.Response = self._client.do_request(
                url, method, headers=headers, scopes=self._scopes, what=self._what
            )
        except RegistryError as error:
            raise _Failed(Failure(error, 0)) from None
        return response

    def _refused(self, response: requests.Response) -> Failure:
        status = response.status_code
        return Failure(self._client.refusal(response, self._what), status)


def _is_temporary(error: LayersmithError) -> bool:
    return isinstance(error, RegistryError) and error.temporary
