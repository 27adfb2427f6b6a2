"""The password of a private key: from the environment, stdin or a prompt, never an argument."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from layersmith.errors import InvalidKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from layersmith.attest.keys import PrivateKey, PublicKey

__all__ = ["FromStdin", "Key", "new_password", "private_key", "public_key"]

_LONGEST: Final = 64 * 1024
_VARIABLES: Final = ("LAYERSMITH_KEY_PASSWORD", "COSIGN_PASSWORD")
_ELSEWHERE: Final = f"set {_VARIABLES[0]} or {_VARIABLES[1]}, or use --password-stdin"

Key = Annotated[str, typer.Option("--key", "-k", help="A key: FILE or env://NAME.", metavar="KEY")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the key's password from stdin.")
]


def private_key(where: str, *, from_stdin: bool = False) -> PrivateKey:
    """Read a private key, and ask for its password if it has one; raises :class:`InvalidKey`."""
    from layersmith.attest.keys import PrivateKey
    from layersmith.stores.keyfiles import key_name, read_key

    return PrivateKey.read(read_key(where), key_name(where), lambda: _password(from_stdin, _prompt))


def public_key(where: str) -> PublicKey:
    """Read a public key; raises :class:`InvalidKey`."""
    from layersmith.attest.keys import read_public
    from layersmith.stores.keyfiles import key_name, read_key

    return read_public(read_key(where), key_name(where))


def new_password(*, from_stdin: bool) -> bytes:
    """Return the password for a new key; asked twice, and empty for none."""

    def ask() -> str:
        answer: str = typer.prompt(
            "password of the key (empty: none)", hide_input=True, err=True, default="",
            show_default=False, confirmation_prompt=True,
        )  # fmt: skip
        return answer

    return _password(from_stdin, ask)


def _password(from_stdin: bool, ask: Callable[[], str]) -> bytes:
    if from_stdin:
        text = sys.stdin.read(_LONGEST).removesuffix("\n").removesuffix("\r")
        return text.encode(errors="surrogateescape")
    for name in _VARIABLES:
        if name in os.environ:
            return os.environ[name].encode(errors="surrogateescape")
    if not sys.stdin.isatty():
        raise InvalidKey("no password for the key, and nobody to ask", hint=_ELSEWHERE)
    return ask().encode(errors="surrogateescape")


def _prompt() -> str:
    answer: str = typer.prompt("password of the key", hide_input=True, err=True)
    return answer
