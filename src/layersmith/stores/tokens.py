"""Authorization at one registry origin: what is sent, and what a 401 is answered with.

The rules, each of which somebody has broken (RELIABILITY, 1.2 and rows 8-18):

- credentials are sent to the registry's own origin and to its checked realm only;
- a challenge counts only if the registry's own origin gave it;
- tokens are kept by (realm, service, scopes) of this origin; one that covers more
  than is asked serves too, and threads that need the same one ask for it once;
- a token is used for 80 % of its life; a request is answered once.
"""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import Future
from copy import copy
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from urllib3.exceptions import HTTPError

from layersmith.errors import DocumentError, LayersmithError, RegistryError, Unauthorized
from layersmith.oci.strictjson import decode
from layersmith.stores.auth import Scopes, TokenService, parse_challenges, parse_scopes
from layersmith.stores.credentials import Credential, login_name, stored_credential
from layersmith.stores.registry_answers import error_of, is_temporary, read_whole
from layersmith.stores.registry_checks import plain_body
from layersmith.stores.registry_urls import Origin
from layersmith.stores.transport import wire_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layersmith.stores.auth import Challenge
    from layersmith.stores.registry_options import Endpoint
    from layersmith.stores.retries import Patience
    from layersmith.stores.transport import Transport

__all__ = ["Authorizer"]

_TOKEN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_USUAL_LIFE: Final = 60
_USED_LIFE: Final = 0.8


class _Key(NamedTuple):
    """What a token was asked for."""

    service: TokenService
    scopes: Scopes


class _Token(NamedTuple):
    """A token and the time (monotonic) until which it is used."""

    text: str
    until: float


class Authorizer:
    """Holds what one origin wants; for any number of threads."""

    def __init__(self, endpoint: Endpoint, transport: Transport, patience: Patience) -> None:
        self._host = endpoint.host
        self._origin = Origin.of(endpoint.origin)
        self._transport = transport
        self._patience = patience
        self._lock = threading.Lock()
        self._pending: dict[_Key, Future[str]] = {}
        self._tokens: dict[_Key, _Token] = {}
        self._wanted: TokenService | str | None = None
        self._credential: Credential | None = None
        self._looked_up = False

    def __repr__(self) -> str:
        """Name the host, and nothing that is secret."""
        return f"<{type(self).__name__} {self._host}>"

    def headers(self, scopes: Scopes) -> dict[str, str]:
        """Return the headers for a request to the origin, by what it wanted before.

        Raises :class:`Unauthorized` or :class:`RegistryError` if a token is refused.
        """
        wanted = self._wanted
        if wanted is None:
            return {}
        if isinstance(wanted, TokenService):
            return {"Authorization": f"Bearer {self._token(_Key(wanted, scopes), '')}"}
        credential = self.credential()
        return {"Authorization": credential.basic} if credential else {}

    def answer(self, header: str, scopes: Scopes, rejected: str) -> dict[str, str]:
        """Return the headers that answer a 401's ``WWW-Authenticate`` value.

        `rejected` is the ``Authorization`` that was sent.

        Raises :class:`Unauthorized` if there is nothing else to send.
        """
        challenges = parse_challenges(header)
        if bearer := _first(challenges, "bearer"):
            service = TokenService.of(bearer, self._origin)
            scopes |= parse_scopes(bearer.parameters.get("scope", ""))
            token = self._token(_Key(service, scopes), rejected.partition(" ")[2])
            self._wanted = service
            return {"Authorization": f"Bearer {token}"}
        credential = self.credential()
        if _first(challenges, "basic") and credential and credential.basic != rejected:
            self._wanted = "basic"
            return {"Authorization": credential.basic}
        raise Unauthorized(f"{self._origin}: the registry wants credentials", hint=self.hint())

    def hint(self) -> str:
        """Say what to try after a 401 or 403."""
        if credential := self.credential():
            return f"the credentials used are those of {credential.source}: check what they allow"
        name = login_name(self._host)
        return f"there are no credentials for {name}: 'docker login {name}' stores some"

    def credential(self) -> Credential | None:
        """Return the user's credentials for this host, looked up once."""
        with self._lock:
            if not self._looked_up:
                self._credential = stored_credential(self._host)
                self._looked_up = True
            return self._credential

    @property
    def secrets(self) -> frozenset[str]:
        """Everything that was or may be sent and must not be shown."""
        with self._lock:
            tokens = {token.text for token in self._tokens.values()}
            return frozenset(tokens | (self._credential.secrets if self._credential else set()))

    def _token(self, key: _Key, rejected: str) -> str:
        """Return a token that covers `key` and is not `rejected`.

        One thread fetches it; the others wait for what comes of that, be it an error.
        """
        with self._lock:
            if found := self._find(key, rejected):
                return found
            pending = self._pending.get(key)
            if mine := pending is None:
                pending = self._pending[key] = Future()
        if not mine:
            return _outcome(pending)
        try:
            token = self._fetch(key)
            with self._lock:
                self._tokens[key] = token
            pending.set_result(token.text)
        except BaseException as error:
            pending.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._pending[key]
        return token.text

    def _find(self, key: _Key, rejected: str) -> str | None:
        """Return a kept token that serves; forget those that no longer do."""
        now = time.monotonic()
        stale = [k for k, t in self._tokens.items() if t.until <= now or t.text == rejected]
        for old in stale:
            del self._tokens[old]
        fitting = (
            token.text
            for have, token in self._tokens.items()
            if have.service == key.service and have.scopes >= key.scopes
        )
        return next(fitting, None)

    def _fetch(self, key: _Key) -> _Token:
        """Ask the realm (GET, as every registry's token server understands)."""
        credential = self.credential()
        headers = {"Accept": "application/json"}
        if credential:
            headers["Authorization"] = credential.basic
        asked = time.monotonic()
        response = self._transport.send("GET", key.service.url(key.scopes), headers)
        what = f"{self._origin}: asking {Origin.of(key.service.realm)} for a token"
        if response.status_code in (401, 403):
            raise error_of(response, what, hint=self.hint(), secrets=self.secrets)
        if response.status_code != 200:
            error = error_of(response, what, secrets=self.secrets)
            status = response.status_code
            raise RegistryError(
                error.message,
                status=status,
                temporary=is_temporary(status),
                wait=self._patience.asked(response.headers),
                hint="the registry's challenge names this token server: ask who runs them",
            )
        limit = self._transport.limits.token
        with response:
            plain_body(response, what)
            try:
                body = read_whole(response, limit)
            except (HTTPError, OSError) as error:
                raise wire_error(error, key.service.realm) from None
        try:
            value = decode(body, what, limit=limit)
        except DocumentError as error:
            raise RegistryError(f"{error.message}: not a token") from None
        return _parsed(value, asked, what)


def _outcome(pending: Future[str]) -> str:
    """Wait for another thread's token; its error becomes one of our own."""
    try:
        return pending.result()
    except LayersmithError as error:
        raise copy(error) from None


def _parsed(value: Any, asked: float, what: str) -> _Token:
    found = value if isinstance(value, dict) else {}
    text = found.get("token") or found.get("access_token")
    if not isinstance(text, str) or _TOKEN.fullmatch(text) is None:
        raise RegistryError(f"{what}: the answer has no token")
    life = found.get("expires_in")
    seconds = life if isinstance(life, int) and life > 0 else _USUAL_LIFE
    return _Token(text, asked + min(seconds, 86400) * _USED_LIFE)


def _first(challenges: Iterable[Challenge], scheme: str) -> Challenge | None:
    return next((c for c in challenges if c.scheme == scheme), None)
