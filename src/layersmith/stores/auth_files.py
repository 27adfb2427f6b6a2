"""The files that hold credentials: which ones, in what order, and what they say.

``REGISTRY_AUTH_FILE`` and ``DOCKER_CONFIG`` name a file each; where either is set, only
what they name is read. Otherwise, in this order (containers-auth.json(5), Docker)::

    $XDG_RUNTIME_DIR/containers/auth.json
    ${XDG_CONFIG_HOME:-~/.config}/containers/auth.json
    ~/.docker/config.json

A key is a host (``ghcr.io``, or an old URL like ``https://index.docker.io/v1/``) or a
path below it (``ghcr.io/team/app``); the longest that fits decides.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import DocumentError, InvalidInput
from layersmith.oci.strictjson import decode
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "AuthFile",
    "auth_paths",
    "config_path",
    "fitting",
    "is_hub",
    "read_auth_file",
    "writable_path",
]

_LARGEST: Final = 1024 * 1024
_HUB_HOSTS: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class AuthFile:
    """What one file says; secrets are in `config`, which does not show."""

    path: Path
    config: Mapping[str, Any] = field(repr=False)

    @property
    def auths(self) -> Mapping[str, Any]:
        """Entries by key."""
        found = self.config.get("auths")
        return found if isinstance(found, dict) else {}

    @property
    def helpers(self) -> Mapping[str, Any]:
        """Names of credential helpers by key."""
        found = self.config.get("credHelpers")
        return found if isinstance(found, dict) else {}

    @property
    def store(self) -> str:
        """The name of the helper for all registries, or nothing."""
        found = self.config.get("credsStore")
        return found if isinstance(found, str) else ""


def is_hub(host: str) -> bool:
    """Tell whether `host` is one of Docker Hub's names."""
    return host in _HUB_HOSTS


def config_path() -> Path | None:
    """Return Docker's config file: in ``$DOCKER_CONFIG``, or in ``~/.docker``."""
    if directory := os.environ.get("DOCKER_CONFIG"):
        return Path(directory) / "config.json"
    home = _home()
    return home / ".docker" / "config.json" if home else None


def auth_paths() -> list[Path]:
    """Return the files to look at, in order; they may not be there."""
    named = os.environ.get("REGISTRY_AUTH_FILE", "")
    docker = config_path()
    if named or os.environ.get("DOCKER_CONFIG"):
        return [*([Path(named)] if named else []), *_docker_if_named(docker)]
    return [*_containers(), *([docker] if docker else [])]


def writable_path() -> Path | None:
    """Return the file that a login changes: the one that is named, else Docker's.

    Docker's is there after a reboot, and every tool reads it.
    """
    named = os.environ.get("REGISTRY_AUTH_FILE", "")
    return Path(named) if named else config_path()


def read_auth_file(path: Path) -> AuthFile | None:
    """Read one file, none if it is not there.

    Raises :class:`InvalidInput` for one that cannot be read: going on without it could
    send others' credentials, or none, where some were meant.
    """
    try:
        raw = read_file(path, _LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    try:
        config = decode(raw, str(path), limit=_LARGEST) if raw.strip() else {}
    except DocumentError as error:  # it is no document of an image
        raise InvalidInput(error.message, hint="mend it, or log in anew") from None
    if not isinstance(config, dict):
        raise InvalidInput(f"{path}: not a JSON object")
    return AuthFile(path, config)


def fitting(table: Mapping[str, Any], host: str, repository: str) -> Iterator[str]:
    """Yield the keys of `table` that are for the repository, the longest first."""
    wanted = f"{repository}/"
    found = []
    for key in table:
        of, path = _key(key)
        same = of == host or (is_hub(of) and is_hub(host))
        if same and (not path or wanted.startswith(f"{path}/")):
            found.append((-len(path), key))
    return (key for _, key in sorted(found))


def _key(key: str) -> tuple[str, str]:
    """Return host and path of a key like ``host/path`` or ``https://host/v1/``."""
    rest = key.partition("://")[2] or key
    host, _, path = rest.partition("/")
    path = path.strip("/")
    return host.lower(), "" if path in ("v1", "v2") else path


def _docker_if_named(docker: Path | None) -> list[Path]:
    return [docker] if docker and os.environ.get("DOCKER_CONFIG") else []


def _containers() -> Iterator[Path]:
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    home = _home()
    configured = os.environ.get("XDG_CONFIG_HOME")
    directory = Path(configured) if configured else home / ".config" if home else None
    if directory:
        yield directory / "containers" / "auth.json"


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # a user without a home directory
        return None
