"""Logging in and out: credentials are tried at the registry, then kept, or forgotten.

They are kept where Docker and containers' tools look too: by the credential helper that
the file names for this registry, else in the file itself, which is replaced at once,
readable by its owner only, with all else in it as it was.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from layersmith.errors import InvalidInput, Unauthorized, typed
from layersmith.oci.reference import DOCKER_HUB, valid_registry
from layersmith.stores.auth_files import (
    AuthFile,
    auth_paths,
    fitting,
    is_hub,
    read_auth_file,
    writable_path,
)
from layersmith.stores.files import appearing, disk_errors
from layersmith.stores.helpers import erase_by_helper, server_name, store_by_helper
from layersmith.stores.locks import sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.stores.credentials import Credential
    from layersmith.stores.registry import Registries

__all__ = ["forget", "keep", "named_registry", "verify"]

_REFUSED = "check user name and password; many registries want an access token for a password"
_HUB_KEY = "https://index.docker.io/v1/"


def named_registry(text: str) -> str:
    """Return the registry that a user names, in lower case; raises :class:`InvalidInput`."""
    host = text.removeprefix("https://").rstrip("/").lower()
    if not valid_registry(host):
        raise InvalidInput(f"{typed(text, 100)!r} is no registry", hint="write HOST[:PORT]")
    return DOCKER_HUB if is_hub(host) else host


def verify(registries: Registries, host: str, credential: Credential) -> bool:
    """Try the credentials (``GET /v2/``); tell whether the registry wanted to see them.

    Raises :class:`Unauthorized` if it refuses them, :class:`RegistryError` if it is none.
    """
    client = registries.client(host)
    client.authorizer.use(credential)
    url = client.url(f"{client.endpoint.host}/v2/")
    try:
        response = client.do_request(url)
    except Unauthorized as error:
        raise Unauthorized(f"logging in to {host}: {error.message}", hint=_REFUSED) from None
    if response.status_code != 200:
        raise client.refusal(response, f"logging in to {host}", missing="is this a registry?")
    response.close()
    return client.authorizer.was_asked


def keep(host: str, username: str, password: str) -> str:
    """Store credentials; return where.

    Raises :class:`OutputError`, :class:`StoreError` (a helper) or :class:`InvalidInput`.
    """
    path = writable_path()
    if path is None:
        raise InvalidInput("there is no home directory", hint="set REGISTRY_AUTH_FILE")
    file = read_auth_file(path) or AuthFile(path, {})
    if name := _helper(file, host):
        store_by_helper(name, server_name(host, hub=is_hub(host)), username, password, path)
        return f"docker-credential-{name}"
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    auths = {k: v for k, v in file.auths.items() if k not in _own(file, host)}
    _write(file, {**auths, _HUB_KEY if is_hub(host) else host: {"auth": encoded}})
    return str(path)


def forget(host: str) -> list[str]:
    """Remove the registry's credentials from every file and helper; return from where."""
    found = []
    for path in auth_paths():
        file = read_auth_file(path)
        if file is None:
            continue
        name = _helper(file, host)
        if name and erase_by_helper(name, server_name(host, hub=is_hub(host)), path):
            found.append(f"docker-credential-{name}")
        if own := _own(file, host):
            _write(file, {k: v for k, v in file.auths.items() if k not in own})
            found.append(str(path))
    return found


def _helper(file: AuthFile, host: str) -> str:
    key = next(fitting(file.helpers, host, ""), None)
    return str(file.helpers[key]) if key is not None else file.store


def _own(file: AuthFile, host: str) -> list[str]:
    """Return the keys that are for the registry as a whole."""
    return list(fitting(file.auths, host, ""))


def _write(file: AuthFile, auths: Mapping[str, Any]) -> None:
    path = file.path
    with suppress(OSError):
        path = path.resolve()  # a link to the file stays a link
    text = json.dumps({**file.config, "auths": dict(auths)}, indent=2) + "\n"
    with disk_errors(f"writing {path}"):
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o700)
        sweep(path.parent)  # a killed login may have left a file, with a password in it
        with appearing(path, durable=True, last=True, mode=0o600) as new:
            new.write(text.encode())
