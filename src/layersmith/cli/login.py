"""``layersmith login``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from layersmith.errors import InvalidInput

__all__ = ["login"]

_LONGEST = 64 * 1024

Host = Annotated[str, typer.Argument(help="The registry: HOST[:PORT].", metavar="HOST")]
User = Annotated[str, typer.Option("--username", "-u", help="The user's name.", metavar="NAME")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password or token from stdin.")
]
PlainHttp = Annotated[
    bool,
    typer.Option("--plain-http", help="Speak plain HTTP (loopback is anyway, unless TLS answers)."),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", help="Trust these certificates (PEM).", metavar="FILE"),
]
Unverified = Annotated[
    bool,
    typer.Option(
        "--insecure-skip-tls-verify",
        help="Do not check its certificate: who poses as it gets the password.",
    ),
]
More = Annotated[list[str] | None, typer.Argument(hidden=True)]


def login(
    host: Host,
    username: User = "",
    password_stdin: FromStdin = False,
    plain_http: PlainHttp = False,
    ca_file: CaFile = None,
    unverified: Unverified = False,
    more: More = None,
) -> None:
    """Try credentials at a registry, and keep them where Docker and skopeo find them too.

    A password is never an argument: it is asked for, or read from stdin.

    Examples:

    ```
    layersmith login registry.example --username ci --password-stdin < token
    layersmith login docker.io
    ```
    """
    from layersmith.cli.network import network_of
    from layersmith.stores.credentials import Credential
    from layersmith.stores.login import keep, named_registry, verify
    from layersmith.stores.registry import Registries

    if more:  # what is too much is often a password: it is not repeated
        raise InvalidInput(
            "login takes a registry and nothing else",
            hint="the password comes from stdin or a prompt",
        )
    registry = named_registry(host)
    username = username or _asked("user name", "--username")
    password = _from_stdin() if password_stdin else _asked("password", "--password-stdin")
    if ":" in username or not f"{username}{password}".isprintable() or not password:
        raise InvalidInput("a user name or password that cannot be sent, or none")
    only = [registry]
    options = network_of({}, only if plain_http else (), ca_file, only if unverified else ())
    with Registries(options) as registries:
        wanted = verify(registries, registry, Credential(username, password, "this login"))
    where = keep(registry, username, password)
    if not wanted:
        typer.echo(f"layersmith: {registry} lets everybody in: it did not check them", err=True)
    typer.echo(f"logged in to {registry} as {username}; kept in {where}")


def _from_stdin() -> str:
    text = sys.stdin.read(_LONGEST)
    return text.removesuffix("\n").removesuffix("\r")


def _asked(what: str, option: str) -> str:
    if not sys.stdin.isatty():
        raise InvalidInput(f"no {what}, and nobody to ask", hint=f"use {option}")
    answer: str = typer.prompt(what, hide_input=what == "password", err=True)
    return answer
