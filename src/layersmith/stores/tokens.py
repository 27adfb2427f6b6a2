"""Authorization at one registry origin: what is sent, and what a 401 is answered with.

The rules, each of which somebody has broken (RELIABILITY, 1.2 and rows 8-18):

- credentials are sent to the registry's own origin and to its checked realm only;
- a challenge counts only if the registry's own origin gave it;
- tokens are kept by (realm, service, scopes) of this origin; one that covers more
  than is asked serves too, and threads that need the same one ask for it once;
- a token is used for 80 % of its life; what a request brings is refused
  twice at most: a new token may not be known everywhere yet.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from layersmith.errors import LayersmithError, Unauthorized
from layersmith.stores.auth import (
    Scopes,
    TokenService,
    main_repository,
    parse_challenges,
    parse_scopes,
)
from layersmith.stores.credentials import Credential, login_name, stored_credential
from layersmith.stores.registry_urls import Origin
from layersmith.stores.token_server import fetch_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layersmith.stores.auth import Challenge
    from layersmith.stores.registry_scheme import Scheme
    from layersmith.stores.retries import Patience
    from layersmith.stores.transport import Transport

__all__ = ["Authorizer"]


class _Key(NamedTuple):
    """What a token was asked for."""

    service: TokenService
    scopes: Scopes
    repository: str

    @classmethod
    def of(cls, service: TokenService, scopes: Scopes) -> _Key:
        """Return the key for `scopes`; whose credentials ask is the main repository's matter."""
        return cls(service, scopes, main_repository(scopes))


class _Token(NamedTuple):
    """A token, and the times (monotonic) when it was asked for and until which it is used."""

    text: str
    asked: float
    until: float


class Authorizer:
    """Holds what one origin wants; for any number of threads."""

    def __init__(self, host: str, scheme: Scheme, transport: Transport, patience: Patience) -> None:
        self._host = host
        self._scheme = scheme
        self._transport = transport
        self._patience = patience
        self._lock = threading.Lock()
        self._pending: dict[_Key, Future[str]] = {}
        self._tokens: dict[_Key, _Token] = {}
        self._wanted: TokenService | str | None = None
        self._chosen: Credential | None = None
        self._credentials: dict[str, Credential | None] = {}

    @property
    def _origin(self) -> Origin:
        return self._scheme.origin

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
        credential = self.credential(main_repository(scopes))
        if not isinstance(wanted, TokenService):
            return {"Authorization": credential.basic} if credential and credential.basic else {}
        if credential and credential.registry:
            return {"Authorization": f"Bearer {credential.registry}"}
        return {"Authorization": f"Bearer {self._token(_Key.of(wanted, scopes))}"}

    def answer(self, header: str, scopes: Scopes, rejected: str, sent: float) -> dict[str, str]:
        """Return the headers that answer a 401's ``WWW-Authenticate`` value.

        `rejected` is the ``Authorization`` that was `sent` then (monotonic).

        Raises :class:`Unauthorized` if there is nothing else to send.
        """
        challenges = parse_challenges(header)
        repository = main_repository(scopes)
        ours = ""
        if bearer := _first(challenges, "bearer"):
            service = TokenService.of(bearer, self._origin)
            self._wanted = service
            credential = self.credential(repository)
            if credential is None or not credential.registry:
                more = scopes | parse_scopes(bearer.parameters.get("scope", ""))
                key = _Key(service, more, repository)
                return {"Authorization": f"Bearer {self._token(key, sent if rejected else 0.0)}"}
            ours = f"Bearer {credential.registry}"
        elif _first(challenges, "basic") and (credential := self.credential(repository)):
            self._wanted = "basic"
            ours = credential.basic
        if not ours or ours == rejected:
            says = "refuses the" if rejected else "wants"
            raise Unauthorized(
                f"{self._origin}: the registry {says} credentials", hint=self.hint(repository)
            )
        return {"Authorization": ours}

    def hint(self, repository: str = "") -> str:
        """Say what to try after a 401 or 403; without a repository, by what was used."""
        with self._lock:  # another thread may be looking up credentials
            used = next(filter(None, self._credentials.values()), None)
        if credential := self.credential(repository) if repository else self._chosen or used:
            return f"the credentials used are those of {credential.source}: check what they allow"
        name = login_name(self._host)
        return f"there are no credentials for {name}: 'layersmith login {name}' stores some"

    @property
    def was_asked(self) -> bool:
        """Tell whether the registry has wanted to know who we are."""
        return self._wanted is not None

    def use(self, credential: Credential) -> None:
        """Be this one everywhere at this host, whatever is stored."""
        self._chosen = credential

    def credential(self, repository: str) -> Credential | None:
        """Return the user's credentials for a repository of this host, looked up once."""
        if self._chosen:
            return self._chosen
        with self._lock:
            if repository not in self._credentials:
                self._credentials[repository] = stored_credential(self._host, repository)
            return self._credentials[repository]

    @property
    def secrets(self) -> frozenset[str]:
        """Everything that was or may be sent and must not be shown."""
        with self._lock:
            found = {token.text for token in self._tokens.values()}
            for credential in (self._chosen, *self._credentials.values()):
                found |= credential.secrets if credential else set()
            return frozenset(found)

    def _token(self, key: _Key, after: float = 0.0) -> str:
        """Return a token that covers `key` and was asked for `after` a refusal's request.

        One thread fetches it; the others wait for what comes of that, be it an error.
        """
        with self._lock:
            if found := self._find(key, after):
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
            # Whoever waits gets a copy: each names in it what was being done.
            pending.set_exception(copy(error) if isinstance(error, LayersmithError) else error)
            raise
        finally:
            with self._lock:
                del self._pending[key]
        return token.text

    def _find(self, key: _Key, after: float) -> str | None:
        """Return a kept token that serves; forget those that no longer do.

        With the one that was refused go all for the repository that are no younger: they
        would be refused one by one.
        """
        now, about = time.monotonic(), (key.service, key.repository)
        for old, token in list(self._tokens.items()):
            refused = token.asked < after and (old.service, old.repository) == about
            if refused or token.until <= now:
                del self._tokens[old]
        fitting = (
            token.text
            for have, token in self._tokens.items()
            if (have.service, have.repository) == about and have.scopes >= key.scopes
        )
        return next(fitting, None)

    def _fetch(self, key: _Key) -> _Token:
        credential = self.credential(key.repository)
        asked = time.monotonic()
        token = fetch_token(
            self._transport,
            self._patience,
            key.service,
            key.scopes,
            credential,
            what=f"{self._origin}: asking {Origin.of(key.service.realm)} for a token",
            hint=self.hint(key.repository),
            secrets=self.secrets,
        )
        return _Token(token.text, asked, asked + token.life)


def _outcome(pending: Future[str]) -> str:
    """Wait for another thread's token; its error becomes one of our own."""
    try:
        return pending.result()
    except LayersmithError as error:
        raise copy(error) from None


def _first(challenges: Iterable[Challenge], scheme: str) -> Challenge | None:
    return next((c for c in challenges if c.scheme == scheme), None)
