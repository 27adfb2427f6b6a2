"""Files and pages at URLs: what a package index is made of.

Redirects are followed, but no further than :func:`follow` goes. A user name and password go
to the origin whose URL had them, or whose host netrc names, and to no other.
"""

from __future__ import annotations

import base64
import netrc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from urllib3.exceptions import HTTPError

from layersmith.errors import InvalidInput, NotFound, RegistryError, Unauthorized
from layersmith.oci.content import NoProgress
from layersmith.stores.registry_answers import discard, is_temporary
from layersmith.stores.registry_checks import plain_body
from layersmith.stores.registry_urls import Origin, follow, redacted
from layersmith.stores.retries import Patience
from layersmith.stores.transport import Transport, wire_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import requests

    from layersmith.oci.content import Progress
    from layersmith.stores.registry_options import RegistryOptions
    from layersmith.stores.retries import Clock

__all__ = ["Answer", "Web"]

_T = TypeVar("_T")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PIECE: Final = 64 * 1024


class Answer:
    """A page or a file that is arriving: its URL in the end, its type, and its bytes.

    With `is_same` there are none: it has not changed since it had the `etag` that was asked about.
    """

    def __init__(self, response: requests.Response) -> None:
        self.url = str(response.url)
        self.kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.etag = response.headers.get("ETag", "")
        self.is_same = response.status_code == 304
        self._response = response

    @property
    def size(self) -> int:
        """How many bytes it said it has; 0 where it did not."""
        text = self._response.headers.get("Content-Length", "")
        return int(text[:18]) if text.isascii() and text.isdecimal() else 0

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes; raises :class:`RegistryError` where it breaks off."""
        got, size = 0, self.size
        try:
            while piece := self._response.raw.read1(_PIECE, decode_content=False):
                got += len(piece)
                yield piece
        except (HTTPError, OSError) as error:
            raise wire_error(error, self.url) from None
        if size and got < size:
            raise RegistryError(f"{Origin.of(self.url)}: the answer was cut off", temporary=True)

    def whole(self, most: int) -> bytes:
        """Return all its bytes, of which there may be so many."""
        data = bytearray()
        for piece in self.chunks():
            data += piece
            if len(data) > most:
                raise RegistryError(f"{redacted(self.url)}: more than {most} bytes")
        return bytes(data)


class Web:
    """Reads URLs, for any number of threads; `trusted` hosts are believed without TLS.

    Without `known_users` nobody gets what netrc has.
    """

    def __init__(
        self,
        options: RegistryOptions,
        trusted: frozenset[str] = frozenset(),
        cert: str = "",
        progress: Progress | None = None,
        clock: Clock | None = None,
        *,
        known_users: bool = True,
    ) -> None:
        ca_file = options.ca_file or (Path(cert) if cert else None)
        self._options = options
        self._trusted = trusted | options.plain_http
        self._transport = Transport(options.limits, ca_file, options.unverified | trusted)
        self._progress = progress or NoProgress()
        self._clock = clock
        self._moods: dict[Origin, Patience] = {}
        self._users: dict[Origin, str] = {}
        self._netrc = _read_netrc(os.environ) if known_users else {}

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def cut(self) -> None:
        """End what is under way, whoever waits for it."""
        self._transport.cut()

    def known(self, url: str) -> str:
        """Return `url` without the user and password in it; they are kept for its origin.

        Raises :class:`InvalidInput` for what is no URL of a web server.
        """
        try:
            parts = urlsplit(url)
            origin = Origin.of(url)
        except ValueError:
            raise InvalidInput(f"{redacted(url)!r} is no http or https URL") from None
        if "@" not in parts.netloc:
            return url
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        self._users.setdefault(origin, _basic(unquote(name), unquote(password)))
        return urlunsplit(parts._replace(netloc=host))

    def get(
        self, url: str, accept: str, take: Callable[[Answer], _T], what: str, etag: str = ""
    ) -> _T:
        """Return what `take` makes of the answer; it is called again if the answer breaks.

        With `etag` the server is asked whether it has changed since (RFC 9110, 13.1.2).

        Raises :class:`NotFound`, :class:`Unauthorized` or :class:`RegistryError`.
        """
        url = self.known(url)
        origin = self._allowed(url)
        mood = self._moods.setdefault(origin, self._new_mood())
        tries = mood.tries()
        while True:
            mood.wait()
            try:
                response = self._follow(url, accept, origin, etag)
                try:
                    taken = self._taken(response, take, what, mood, etag)
                finally:
                    response.close()
            except RegistryError as error:
                if not tries.after(error):
                    raise
                continue
            mood.succeeded()
            return taken

    def _new_mood(self) -> Patience:
        return Patience(self._options.limits, self._clock, self._progress)

    def _taken(
        self,
        response: requests.Response,
        take: Callable[[Answer], _T],
        what: str,
        mood: Patience,
        etag: str,
    ) -> _T:
        status, where = response.status_code, Origin.of(str(response.url))
        if status == 200:
            plain_body(response, what)
            return take(Answer(response))
        if status == 304 and etag:
            return take(Answer(response))
        discard(response, self._options.limits.error_body)
        if status in (404, 410):
            raise NotFound(f"{what}: {where} does not have it")
        if status in (401, 403):
            raise Unauthorized(
                f"{what}: {where} refuses ({status})",
                hint="put the index's user and password in its URL in pip's configuration, or "
                "in netrc",
            )
        wait = mood.asked(response.headers)
        raise RegistryError(
            f"{what}: {where} answers {status}",
            status=status,
            temporary=is_temporary(status),
            wait=wait,
        )

    def _follow(self, url: str, accept: str, origin: Origin, etag: str) -> requests.Response:
        condition = {"If-None-Match": etag} if etag else {}
        for _ in range(self._options.limits.redirects + 1):
            headers = {"Accept": accept, **condition, **self._authorization(Origin.of(url))}
            response = self._transport.send("GET", url, headers)
            if response.status_code not in _REDIRECTS:
                return response
            target = response.headers.get("Location", "")
            discard(response, self._options.limits.error_body)
            url = follow(url, target, origin, f"{origin}: the target of a redirect")
        raise RegistryError(f"{origin}: more than {self._options.limits.redirects} redirects")

    def _authorization(self, origin: Origin) -> dict[str, str]:
        basic = self._users.get(origin) or self._netrc.get(origin.host, "")
        return {"Authorization": basic} if basic else {}

    def _allowed(self, url: str) -> Origin:
        origin = Origin.of(url)
        port = urlsplit(url).port
        names = {origin.host, f"{origin.host}:{port}"}
        if origin.scheme == "http" and not origin.is_loopback and not names & self._trusted:
            raise InvalidInput(
                f"{origin} speaks plain HTTP, which anybody on the way can change",
                hint="use https, or name it as trusted-host in pip's configuration",
            )
        return origin


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")


def _read_netrc(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what netrc has for each host it names; its default is for nobody."""
    home = Path(variables.get("HOME") or "/nonexistent")
    named = variables.get("NETRC")
    for path in [Path(named)] if named else [home / ".netrc", home / "_netrc"]:
        try:
            hosts = netrc.netrc(str(path)).hosts
        except (OSError, UnicodeDecodeError):
            continue
        except netrc.NetrcParseError:
            raise InvalidInput(f"{path}: this is no netrc") from None
        return {
            host.lower(): _basic(login or account or "", password or "")
            for host, (login, account, password) in hosts.items()
            if host != "default"
        }
    return {}
