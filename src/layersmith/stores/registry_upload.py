"""Writing blobs to a registry (distribution-spec, "Pushing blobs").

A blob goes up with one PUT to an upload session. Sessions get lost, answers too: then
the registry is asked whether the blob is there before a new session is opened, because
in most such cases it is (a lost 201). Where one PUT is refused for its size or form,
or a link breaks it time and again, the blob goes up in chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import RegistryError
from layersmith.stores.registry_answers import discard
from layersmith.stores.registry_chunks import (
    Failure,
    Session,
    closed,
    closing_url,
    send_in_chunks,
)
from layersmith.stores.registry_urls import follow

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from layersmith.oci.documents import Descriptor
    from layersmith.stores.auth import Scopes
    from layersmith.stores.registry_body import UploadBody
    from layersmith.stores.registry_client import RegistryClient

__all__ = ["Habits", "Upload", "start_upload"]

# The session is gone, or an answer that says nothing: the blob may be there (see `run`).
_LOST: Final = frozenset({200, 201, 202, 204, 404, 410, 416})
_LOST_IF_RESENT: Final = _LOST | {400, 409}  # what came of the first try is in its way
_TOO_MUCH: Final = frozenset({405, 411, 413, 501})
_SESSIONS: Final = 3
_BREAKS: Final = 2
_CHUNK: Final = 4 * 1024 * 1024
_SMALLEST_CHUNK: Final = 256 * 1024


@dataclass(slots=True)
class Habits:
    """What a repository has been found to want; 0: a blob in one piece."""

    chunk: int = 0


def start_upload(client: RegistryClient, url: str, scopes: Scopes, what: str) -> Session | None:
    """Open an upload session (POST).

    Returns none if the registry answered 201: the blob was mounted.
    """
    response: requests.Response = client.do_request(url, "POST", scopes=scopes, what=what)
    if response.status_code not in (201, 202):
        raise client.refusal(response, what, missing="the repository may have to be made first")
    discard(response, client.limits.error_body)
    if response.status_code == 201:
        return None
    least = response.headers.get("OCI-Chunk-Min-Length", "")
    target = response.headers.get("Location", "")
    location = follow(response.url, target, client.origin, f"{what}: the upload location")
    return Session(location, int(least) if least.isdecimal() and len(least) < 12 else 0)


class Upload:
    """One blob on its way; :meth:`run` returns when it is there."""

    def __init__(
        self,
        client: RegistryClient,
        url: str,
        descriptor: Descriptor,
        body: UploadBody,
        *,
        scopes: Scopes,
        what: str,
        has: Callable[[Descriptor], bool],
        habits: Habits,
    ) -> None:
        self._client = client
        self._url = url
        self._descriptor = descriptor
        self._body = body
        self._scopes = scopes
        self._what = what
        self._has = has
        self._habits = habits
        self._tries = client.patience.tries()
        self._chunk = habits.chunk
        self._lost = self._breaks = 0
        self._resent = False

    def run(self, session: Session | None = None) -> None:
        """Store the blob, in `session` if there is one already.

        Raises what the last answer stands for, and :class:`VerificationError` if the
        bytes are not the descriptor's: then no whole request has been sent.
        """
        while True:
            session = session or self._open()
            failure = self._send(session)
            if failure is None:
                return
            session = self._judge(failure, session)
            self._body.rewind()
            if session is None and self._has(self._descriptor):
                return

    def _open(self) -> Session:
        session = start_upload(self._client, self._url, self._scopes, self._what)
        if session is None:
            raise RegistryError(f"{self._what}: the registry answers 201 and opens no session")
        return session

    def _send(self, session: Session) -> Failure | None:
        chunk = max(self._chunk, session.least)
        if chunk and self._descriptor.size:
            return send_in_chunks(
                self._client, session, self._body, chunk, self._tries, self._scopes, self._what
            )
        if not self._descriptor.size:
            self._body.read(1)  # the transport never reads an empty body, so nothing verifies it
        return self._close(session)

    def _close(self, session: Session) -> Failure | None:
        """Send the whole blob with one PUT ("POST then PUT")."""
        url = closing_url(session.location, self._descriptor)
        headers = {"Content-Type": "application/octet-stream"}
        try:
            response = self._client.do_request(
                url, "PUT", data=self._body, headers=headers, scopes=self._scopes, what=self._what
            )
        except RegistryError as error:
            return Failure(error, 0)
        return closed(self._client, response, self._descriptor, self._what)

    def _judge(self, failure: Failure, session: Session) -> Session | None:
        """Return the session to try again in, none for a new one; raises if all is vain."""
        error, status = failure
        resent, self._resent = self._resent, False
        if status in (_LOST_IF_RESENT if resent else _LOST):
            self._lost += 1
            if self._lost > _SESSIONS:
                raise error
            return None
        if status in _TOO_MUCH and self._take_less(session.least):
            return None
        if not isinstance(error, RegistryError) or not self._tries.after(error):
            raise error
        if status and not self._chunk:  # it has answered: the session may still be good
            self._resent = True
            return session
        self._breaks += 1
        if self._breaks >= _BREAKS and self._descriptor.size > _CHUNK:
            self._chunk = self._chunk or _CHUNK
        return None

    def _take_less(self, least: int) -> bool:
        """Go over to chunks, or to smaller ones; tell whether there is something to try."""
        sent = max(self._chunk, least)
        less = max(sent // 4, _SMALLEST_CHUNK, least) if sent else _CHUNK
        if sent and less >= sent:
            return False
        self._chunk = self._habits.chunk = less
        return True
