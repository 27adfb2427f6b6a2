"""The credentials that the user has stored for a registry, read and never written.

One place answers "who are we at this host": :func:`stored_credential`. Other
sources (helpers, identity tokens, other files) belong there, in order of precedence.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from layersmith.errors import InvalidInput, one_line
from layersmith.oci.strictjson import decode

__all__ = ["Credential", "config_path", "login_name", "stored_credential"]

_LARGEST: Final = 1024 * 1024
_HUB_HOSTS: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and a password; neither shows in a representation."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    source: str = ""

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header (RFC 7617, in UTF-8)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"

    @property
    def secrets(self) -> frozenset[str]:
        """What must never appear in a message."""
        return frozenset({self.password, self.basic.partition(" ")[2]})


def login_name(host: str) -> str:
    """Return what `docker login` calls the registry at `host`."""
    return "docker.io" if host in _HUB_HOSTS else host


def config_path() -> Path | None:
    """Return Docker's config file: in ``$DOCKER_CONFIG``, or in ``~/.docker``."""
    if directory := os.environ.get("DOCKER_CONFIG"):
        return Path(directory) / "config.json"
    try:
        return Path.home() / ".docker" / "config.json"
    except RuntimeError:  # a user without a home directory
        return None


def stored_credential(host: str) -> Credential | None:
    """Return the credentials stored for exactly this ``host[:port]``, if any.

    Raises :class:`InvalidInput` for a config file that cannot be read: going on
    without it could send others' credentials, or none, where some were meant.
    """
    path = config_path()
    if path is None or (config := _read(path)) is None:
        return None
    auths = config.get("auths")
    if not isinstance(auths, dict):
        return None
    names = _HUB_HOSTS if host in _HUB_HOSTS else (host,)
    entries = [entry for key, entry in auths.items() if _host(key) in names]
    found = (_credential(entry, f"{path}, {host}") for entry in entries)
    return next(filter(None, found), None)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    config = decode(raw, str(path), limit=_LARGEST)
    if not isinstance(config, dict):
        raise InvalidInput(f"{path}: not a JSON object")
    return config


def _host(key: str) -> str:
    """Return the host of a key like ``host``, ``https://host`` or ``https://host/v1/``.

    A key with another path is for one repository only and matches no host.
    """
    rest = key.partition("://")[2] or key
    host, _, path = rest.partition("/")
    return host.lower() if path.strip("/") in ("", "v1", "v2") else ""


def _credential(entry: Any, where: str) -> Credential | None:
    if not isinstance(entry, dict):
        return None
    username, password = entry.get("username"), entry.get("password")
    if encoded := entry.get("auth"):
        username, password = _decoded(encoded, where)
    if not isinstance(username, str) or not isinstance(password, str) or not username:
        return None
    if ":" in username or not f"{username}{password}".isprintable():
        raise InvalidInput(f"{one_line(where)}: a user name or password that cannot be sent")
    return Credential(username, password, where)


def _decoded(encoded: Any, where: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(str(encoded), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        text = ""
    username, colon, password = text.partition(":")
    if not colon:
        raise InvalidInput(f"{one_line(where)}: 'auth' is not the base64 of user:password")
    return username, password.rstrip("\0")
