"""One question to a token server, and what its answer means.

With a password, or anonymously: GET, as every registry's server understands. With an
identity token: POST (OAuth 2.0, RFC 6749 section 6), so that it is in no URL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from urllib3.exceptions import HTTPError

from layersmith.errors import DocumentError, RegistryError
from layersmith.oci.strictjson import decode
from layersmith.stores.auth import scope_texts
from layersmith.stores.registry_answers import error_of, is_temporary, read_whole
from layersmith.stores.registry_checks import plain_body
from layersmith.stores.transport import wire_error

if TYPE_CHECKING:
    import requests

    from layersmith.stores.auth import Scopes, TokenService
    from layersmith.stores.credentials import Credential
    from layersmith.stores.retries import Patience
    from layersmith.stores.transport import Transport

__all__ = ["Token", "fetch_token", "read_token"]

_TOKEN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_USUAL_LIFE: Final = 60
_LONGEST_LIFE: Final = 86400
_USED_LIFE: Final = 0.8
_CLIENT: Final = "layersmith"


class Token(NamedTuple):
    """A token, and for how many seconds after it was asked for it is used."""

    text: str
    life: float


def fetch_token(
    transport: Transport,
    patience: Patience,
    service: TokenService,
    scopes: Scopes,
    credential: Credential | None,
    *,
    what: str,
    hint: str,
    secrets: frozenset[str],
) -> Token:
    """Ask for a token; `hint` is for a refusal, `secrets` appear in no message.

    Raises :class:`Unauthorized` or :class:`RegistryError`.
    """
    response = _ask(transport, service, scopes, credential)
    if response.status_code in (401, 403):
        raise error_of(response, what, hint=hint, secrets=secrets)
    if response.status_code != 200:
        error = error_of(response, what, secrets=secrets)
        status = response.status_code
        raise RegistryError(
            error.message,
            status=status,
            temporary=is_temporary(status),
            wait=patience.asked(response.headers),
            hint="the registry's challenge names this token server: ask who runs them",
        )
    limit = transport.limits.token
    with response:
        plain_body(response, what)
        try:
            body = read_whole(response, limit)
        except (HTTPError, OSError) as error:
            raise wire_error(error, service.realm) from None
    return read_token(body, what, limit)


def read_token(body: bytes, what: str, limit: int) -> Token:
    """Read a token server's answer; raises :class:`RegistryError` for one that is none."""
    try:
        return _parsed(decode(body, what, limit=limit), what)
    except DocumentError as error:
        raise _no_token(f"{error.message}: not a token") from None


def _ask(
    transport: Transport, service: TokenService, scopes: Scopes, credential: Credential | None
) -> requests.Response:
    headers = {"Accept": "application/json"}
    if credential is None or not credential.identity:
        if credential and credential.basic:
            headers["Authorization"] = credential.basic
        return transport.send("GET", service.url(scopes), headers)
    form = {
        "grant_type": "refresh_token",
        "service": service.service,
        "scope": " ".join(scope_texts(scopes)),
        "client_id": _CLIENT,
        "refresh_token": credential.identity,
    }
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return transport.send("POST", service.realm, headers, urlencode(form).encode())


def _parsed(value: Any, what: str) -> Token:
    found = value if isinstance(value, dict) else {}
    text = found.get("token") or found.get("access_token")
    if not isinstance(text, str) or _TOKEN.fullmatch(text) is None:
        raise _no_token(f"{what}: the answer has no token")
    life = found.get("expires_in")
    seconds = life if isinstance(life, int) and life > 0 else _USUAL_LIFE
    return Token(text, min(seconds, _LONGEST_LIFE) * _USED_LIFE)


def _no_token(message: str) -> RegistryError:
    """Return the error for an answer that is something else; it may have been cut: twice more."""
    return RegistryError(message, temporary=True, tries=3)
