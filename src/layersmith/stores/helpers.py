"""Docker's credential helpers: programs that keep secrets for us.

``docker-credential-NAME get`` reads a server's name and writes JSON. The name comes
from a file and the server from a reference: both are checked before a process is
made of them, there is no shell, and the program has 30 seconds. One that fails is an
error: going on with other credentials, or none, could hand a secret to the wrong host
(CVE-2021-41092).
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import DocumentError, InvalidInput, StoreError, one_line
from layersmith.oci.reference import valid_registry
from layersmith.oci.strictjson import decode, encode

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ask_helper", "erase_by_helper", "server_name", "store_by_helper"]

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_SECONDS: Final = 30.0
_LARGEST: Final = 1024 * 1024
_NONE: Final = b"credentials not found"
_HUB: Final = "https://index.docker.io/v1/"


def server_name(host: str, *, hub: bool) -> str:
    """Return what helpers call a registry; raises :class:`InvalidInput` for an odd host."""
    if not valid_registry(host.partition("/")[0]) or not host.isprintable() or " " in host:
        raise InvalidInput(f"{one_line(host, 100)!r} is no registry to ask a helper about")
    return _HUB if hub else host


def ask_helper(name: str, server: str, path: Path) -> tuple[str, str] | None:
    """Return user name and secret that a helper has for `server`, none if it has none.

    `path` is the file that names the helper, for messages. Raises :class:`StoreError` if
    the helper cannot be run, fails, or says what cannot be understood.
    """
    status, output = _run(name, "get", server.encode(), path)
    if status:
        if _NONE in output[:4096]:
            return None
        raise _failed(name, path, f"ends with status {status}")
    try:
        found = decode(output, "a helper's answer", limit=_LARGEST)
    except DocumentError:
        raise _failed(name, path, "does not answer with JSON") from None
    user, secret = (found.get(k) if isinstance(found, dict) else None for k in _FIELDS)
    if not isinstance(user, str) or not isinstance(secret, str):
        raise _failed(name, path, "does not name a user and a secret")
    return (user, secret) if secret else None


def store_by_helper(name: str, server: str, user: str, secret: str, path: Path) -> None:
    """Give a helper credentials to keep; raises :class:`StoreError`."""
    value: dict[str, Any] = {"ServerURL": server, "Username": user, "Secret": secret}
    status, _ = _run(name, "store", encode(value), path)
    if status:
        raise _failed(name, path, f"ends with status {status}")


def erase_by_helper(name: str, server: str, path: Path) -> bool:
    """Let a helper forget credentials; tell whether it had any."""
    if ask_helper(name, server, path) is None:
        return False
    status, _ = _run(name, "erase", server.encode(), path)
    if status:
        raise _failed(name, path, f"ends with status {status}")
    return True


_FIELDS: Final = ("Username", "Secret")


def _run(name: str, action: str, data: bytes, path: Path) -> tuple[int, bytes]:
    import subprocess  # noqa: PLC0415 - few users have helpers

    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise InvalidInput(f"{path}: {one_line(str(name), 60)!r} is no name of a helper")
    program = shutil.which(f"docker-credential-{name}")
    if program is None:
        raise _failed(name, path, "is not on the PATH")
    try:
        done = subprocess.run(  # noqa: S603 - checked above, and no shell
            [program, action],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what it says there may be secret
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(name, path, f"takes more than {_SECONDS:.0f} s") from None
    except OSError as error:
        raise _failed(name, path, f"cannot be run: {error.strerror}") from None
    return done.returncode, done.stdout


def _failed(name: str, path: Path, why: str) -> StoreError:
    return StoreError(
        f"the credential helper docker-credential-{name} {why}",
        hint=f"{path} names it: mend it, or take it out there",
    )
