"""``layersmith key``: generate, public."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layersmith.cli.helptext import Command, Commands
from layersmith.cli.passwords import FromStdin, new_password, private_key
from layersmith.errors import InvalidInput, one_line

__all__ = ["key"]

_TYPES = ("ecdsa-p256", "ed25519")
_FORMATS = ("pkcs8", "cosign")

key = typer.Typer(
    name="key",
    help="Make the keys that images are signed with.",
    rich_markup_mode=None,
    cls=Commands,
    add_completion=False,
)

Kind = Annotated[
    str, typer.Option("--type", help="ecdsa-p256 or ed25519.", metavar="TYPE", show_default=True)
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="Writes PREFIX.key and PREFIX.pub.", metavar="PREFIX"),
]
Format = Annotated[
    str,
    typer.Option(
        "--format", help="The private key's: pkcs8, or cosign (what cosign sign reads).",
        metavar="FORMAT", show_default=True,
    ),
]  # fmt: skip
Where = Annotated[str, typer.Argument(help="A private key: FILE or env://NAME.", metavar="KEY")]


@key.command(cls=Command)
def generate(
    kind: Kind = _TYPES[0],
    output: Output = Path("layersmith"),
    form: Format = _FORMATS[0],
    password_stdin: FromStdin = False,
) -> None:
    """Make a key pair. Nothing is ever written over.

    The password comes from LAYERSMITH_KEY_PASSWORD, COSIGN_PASSWORD, stdin or a prompt; with
    an empty one the key is whoever's has the file, in either format.

    Examples:

    ```
    layersmith key generate
    layersmith key generate --type ed25519 -o ci
    layersmith key generate --format cosign -o cosign
    ```
    """
    for value, known, option in ((kind, _TYPES, "--type"), (form, _FORMATS, "--format")):
        if value not in known:
            raise InvalidInput(f"{option} {one_line(value, 40)!r}: it is {' or '.join(known)}")
    from layersmith.attest.keys import PrivateKey
    from layersmith.stores.keyfiles import write_pair

    password = new_password(from_stdin=password_stdin)
    made = PrivateKey.generate(kind)
    paths = write_pair(output, made.written(form, password), made.public.pem)
    names = " and ".join(one_line(str(path)) for path in paths)
    typer.echo(f"{names}: {kind}, {made.public.fingerprint}")
    if not password:
        typer.echo("layersmith: the private key has no password", err=True)


@key.command(cls=Command)
def public(where: Where, password_stdin: FromStdin = False) -> None:
    """Print the public key of a private one.

    Examples:

    ```
    layersmith key public layersmith.key > layersmith.pub
    ```
    """
    pair = private_key(where, from_stdin=password_stdin).public
    typer.echo(pair.pem.decode(), nl=False)
