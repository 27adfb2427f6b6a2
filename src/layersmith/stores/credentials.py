"""Who we are at a registry: the one place that answers it, :func:`stored_credential`.

In order: ``LAYERSMITH_USERNAME`` and ``LAYERSMITH_PASSWORD``, for just the registry that
``LAYERSMITH_REGISTRY`` names; then the files of :mod:`layersmith.stores.auth_files`, in
each of which ``credHelpers`` go before ``auths`` and these before ``credsStore``. What is
found first is used; nothing is ever tried at a host that it is not for.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from layersmith.errors import InvalidInput, one_line
from layersmith.oci.reference import valid_registry
from layersmith.stores.auth_files import auth_paths, fitting, is_hub, read_auth_file
from layersmith.stores.helpers import ask_helper, server_name

if TYPE_CHECKING:
    from layersmith.stores.auth_files import AuthFile

__all__ = ["Credential", "login_name", "stored_credential"]

_VARIABLES: Final = ("LAYERSMITH_USERNAME", "LAYERSMITH_PASSWORD")
_WHERE: Final = "LAYERSMITH_REGISTRY"
_TOKEN_USER: Final = "<token>"  # noqa: S105 - how helpers mark an identity token


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and a password, or a token; none of it shows in a representation.

    An `identity` token gets tokens from the registry's token server (OAuth 2.0), a
    `registry` token is sent to the registry as it is.
    """

    username: str = field(repr=False)
    password: str = field(repr=False)
    source: str = ""
    identity: str = field(default="", repr=False)
    registry: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header (RFC 7617, in UTF-8); may be empty."""
        if not self.username:
            return ""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    @property
    def secrets(self) -> frozenset[str]:
        """What must never appear in a message, in the writings that peers may use."""
        plain = tuple(filter(None, (self.password, self.identity, self.registry)))
        encoded = (base64.b64encode(text.encode()).decode("ascii") for text in plain)
        escaped = (json.dumps(text)[1:-1] for text in plain)
        twice = (json.dumps(json.dumps(text)[1:-1])[1:-1] for text in plain)
        quoted = (quote(text, safe=safe) for text in plain for safe in ("", "/"))
        basic = filter(None, [self.basic.partition(" ")[2]])
        return frozenset((*plain, *encoded, *escaped, *twice, *quoted, *basic))


def login_name(host: str) -> str:
    """Return what people call the registry at `host`."""
    return "docker.io" if is_hub(host) else host


def stored_credential(host: str, repository: str = "") -> Credential | None:
    """Return the credentials for this ``host[:port]`` and repository, if there are any.

    Raises :class:`InvalidInput` for variables or a file that cannot be understood, and
    :class:`StoreError` for a credential helper that fails.
    """
    if found := _of_environment(host):
        return found
    for path in auth_paths():
        file = read_auth_file(path)
        if file is not None and (found := _of_file(file, host, repository)):
            return found
    return None


def _of_environment(host: str) -> Credential | None:
    username, password = (os.environ.get(name, "") for name in _VARIABLES)
    if not username and not password:
        return None
    where = os.environ.get(_WHERE, "")
    if not (username and password and valid_registry(where)):
        raise InvalidInput(
            f"{' and '.join(_VARIABLES)} are for the registry that {_WHERE} names",
            hint=f"set all three; {_WHERE} is HOST or HOST:PORT, without a scheme",
        )
    ours = where.lower() == host or (is_hub(where.lower()) and is_hub(host))
    return _checked(Credential(username, password, _VARIABLES[0])) if ours else None


def _of_file(file: AuthFile, host: str, repository: str) -> Credential | None:
    for key in fitting(file.helpers, host, repository):
        return _of_helper(file, file.helpers[key], host)
    for key in fitting(file.auths, host, repository):
        if found := _of_entry(file.auths[key], f"{file.path}, {one_line(key, 100)}"):
            return found
    return _of_helper(file, file.store, host) if file.store else None


def _of_helper(file: AuthFile, name: Any, host: str) -> Credential | None:
    if name == "":  # containers' way to say: no helper for this one
        return None
    found = ask_helper(name, server_name(host, hub=is_hub(host)), file.path)
    if found is None:
        return None
    source = f"docker-credential-{name}"
    username, secret = found
    if username == _TOKEN_USER:
        return _checked(Credential("", "", source, identity=secret))
    return _checked(Credential(username, secret, source))


def _of_entry(entry: Any, where: str) -> Credential | None:
    if not isinstance(entry, dict):
        return None
    username, password = _text(entry, "username"), _text(entry, "password")
    if encoded := entry.get("auth"):
        username, password = _decoded(encoded, where)
    found = Credential(
        username,
        password if username else "",
        where,
        identity=_text(entry, "identitytoken"),
        registry=_text(entry, "registrytoken"),
    )
    return _checked(found) if username or found.identity or found.registry else None


def _checked(credential: Credential) -> Credential:
    """Refuse what could not be sent, or would be read as something else (RFC 7617)."""
    texts = (credential.username, credential.password, credential.identity, credential.registry)
    if ":" in credential.username or not "".join(texts).isprintable():
        where = one_line(credential.source)
        raise InvalidInput(f"{where}: a user name, password or token that cannot be sent")
    return credential


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _decoded(encoded: Any, where: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(str(encoded), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        text = ""
    username, colon, password = text.partition(":")
    if not colon:
        raise InvalidInput(f"{one_line(where)}: 'auth' is not the base64 of user:password")
    return username, password.rstrip("\0")
