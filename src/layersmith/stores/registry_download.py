"""Reading content from a registry (distribution-spec, "Pull").

:class:`Download` is the one place where bytes come off the wire. A body that is cut
off, resets or stalls is continued where it broke: the bytes are addressed by their
digest and hashed as they pass, so that any source of the rest will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from urllib3.exceptions import HTTPError

from layersmith.errors import RegistryError, intention
from layersmith.oci.content import CHUNK
from layersmith.stores.registry_answers import discard
from layersmith.stores.registry_checks import check_answer, is_rest, plain_body
from layersmith.stores.transport import wire_error

if TYPE_CHECKING:
    import requests

    from layersmith.oci.content import Progress
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.auth import Scopes
    from layersmith.stores.registry_client import RegistryClient

__all__ = ["Download"]

_CUT: Final = RegistryError("the answer ended", temporary=True)
_PROGRESS: Final = 64 * 1024  # so much more and a broken connection counts as a new one


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
        self._accept = accept
        self._scopes = scopes
        self._progress = progress
        self._task = f"pull {where} {descriptor.digest}"
        self._what = f"{where}: fetching {descriptor.digest}"
        self._tries = client.patience.tries()
        self._got = 0  # bytes that were handed out
        self._since = 0  # those of them that came since the last connection began
        self._skip = 0  # bytes to come that were handed out before
        self._ranges = True
        self._response = self._whole()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the connection."""
        self._response.close()

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes as they came over the wire.

        Raises :class:`RegistryError` if the connection breaks for good.
        """
        size = CHUNK if size < 0 else size
        data = b""
        while size and not data:
            try:
                data = self._piece(size)
            except RegistryError as error:
                if not self._resumed(error):
                    raise
                continue
            if not data and not (self._is_cut() and self._resumed(_CUT)):
                break
        if data:
            self._got += len(data)
            self._since += len(data)
            self._progress.advance(self._task, len(data), self._descriptor.size)
        return data

    def _piece(self, size: int) -> bytes:
        """Return what has arrived; empty at the end of the answer.

        Less than `size` may come: a connection that breaks while one waits for more
        would take with it what had arrived.
        """
        raw = self._response.raw
        try:
            while self._skip:
                seen = raw.read1(min(self._skip, CHUNK), decode_content=False)
                if not seen:
                    return b""
                self._skip -= len(seen)
                self._progress.advance(self._task, 0, self._descriptor.size)
            data: bytes = raw.read1(size, decode_content=False)
        except (HTTPError, OSError) as error:
            if self._got >= self._descriptor.size:
                return b""  # all is there, and its digest was right: nothing is missing
            with intention(self._what):
                raise wire_error(error, self._url) from None
        return data

    def _is_cut(self) -> bool:
        """Tell whether an answer that has ended may have been longer.

        One without a length ends with its connection, and nobody knows why.
        """
        headers = self._response.headers
        framed = "Content-Length" in headers or "Transfer-Encoding" in headers
        return self._got < self._descriptor.size and not framed

    def _resumed(self, error: RegistryError) -> bool:
        """Connect again, to go on where it broke; false when patience has ended."""
        self._response.close()
        if self._since >= _PROGRESS:
            self._tries.progressed()
        if not self._tries.after(error):
            return False
        self._since = 0
        self._response = self._rest() if self._got and self._ranges else self._whole()
        return True

    def _whole(self) -> requests.Response:
        """Ask for all of it; what was handed out before is skipped."""
        response = self._ask({})
        self._skip = self._got
        return self._checked(response)

    def _rest(self) -> requests.Response:
        """Ask for the bytes from where it broke (RFC 9110, 14.2: Range may be ignored)."""
        response = self._ask({"Range": f"bytes={self._got}-"})
        if response.status_code == 200:
            self._skip = self._got
            return self._checked(response)
        self._skip = 0
        if response.status_code == 206 and is_rest(response, self._got, self._descriptor.size):
            try:
                plain_body(response, self._what)
            except BaseException:
                response.close()
                raise
            return response
        if response.status_code in (206, 416):  # other bytes than we need, or none
            self._ranges = False
            discard(response, self._client.limits.error_body)
            return self._whole()
        raise self._client.refusal(response, self._what, missing="it has vanished there")

    def _ask(self, headers: dict[str, str]) -> requests.Response:
        response: requests.Response = self._client.do_request(
            self._url,
            headers={"Accept": self._accept, **headers},
            scopes=self._scopes,
            what=self._what,
        )
        return response

    def _checked(self, response: requests.Response) -> requests.Response:
        if response.status_code != 200:
            raise self._client.refusal(
                response, self._what, missing="the image is incomplete there"
            )
        try:
            plain_body(response, self._what)
            check_answer(response, self._descriptor, self._what)
        except BaseException:
            response.close()
            raise
        return response
