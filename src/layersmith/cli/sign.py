"""``layersmith sign`` and ``layersmith attest``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.options import Json, Ref, takes_network
from layersmith.cli.passwords import FromStdin, Key, private_key
from layersmith.errors import DocumentError, InvalidInput, one_line
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.signing import Written
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["Carrier", "attest", "sign", "signer"]

_CARRIERS = ("referrer", "tag", "both")
_LARGEST = 32 << 20

Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive", "-r",
        help="Sign each platform's manifest too: podman and skopeo ask for that.",
    ),
]  # fmt: skip
Carrier = Annotated[
    str,
    typer.Option(
        help="referrer (a sigstore bundle, as cosign 3 has it), tag (sha256-....sig or .att, as "
        "cosign 2 and containers' tools have it) or both.",
        metavar="CARRIER", show_default=True,
    ),
]  # fmt: skip
As = Annotated[
    str,
    typer.Option(
        "--repository", help="Sign as this repository's. Default: REF's own.", metavar="NAME"
    ),
]
Kind = Annotated[
    str,
    typer.Option(
        "--type",
        help="spdx, cyclonedx, slsaprovenance1, another short name of cosign's, or a URI.",
        metavar="TYPE",
    ),
]
Predicate = Annotated[
    Path, typer.Option("--predicate", help="The JSON object to attest.", metavar="FILE")
]


@takes_network
def sign(
    network: RegistryOptions,
    ref: Ref,
    key: Key,
    recursive: Recursive = False,
    carrier: Carrier = _CARRIERS[0],
    repository: As = "",
    password_stdin: FromStdin = False,
    json: Json = False,
) -> None:
    """Sign an image with a private key.

    Signing again puts nothing there that there is already. Nothing is sent to any log.

    Examples:

    ```
    layersmith sign registry.example/team/python:3.13 --key layersmith.key --recursive
    layersmith sign registry.example/team/python@sha256:... --key env://KEY --carrier both
    layersmith sign oci:dist/3.13-debian13 --key k.key --repository registry.example/team/python
    ```
    """
    from layersmith.assemble.places import Place
    from layersmith.assemble.signing import Word, named_repository
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    word = Word(named_repository(place, repository))
    who = signer(key, carrier, from_stdin=password_stdin)
    with Registries(network) as registries:
        done = who.sign(place, registries, word, recursive=recursive)
    _show(done, "signed", as_document=json)


@takes_network
def attest(
    network: RegistryOptions,
    ref: Ref,
    kind: Kind,
    predicate: Predicate,
    key: Key,
    carrier: Carrier = _CARRIERS[0],
    repository: As = "",
    password_stdin: FromStdin = False,
    json: Json = False,
) -> None:
    """Say something about an image, signed: an SBOM, its provenance, anything in JSON.

    Examples:

    ```
    layersmith attest registry.example/team/python:3.13 --type spdx --predicate sbom.json --key K
    layersmith attest registry.example/a:1 --type https://example/tests --predicate t.json --key K
    ```
    """
    from layersmith.assemble.places import Place
    from layersmith.assemble.signing import Word, named_repository, read_predicate
    from layersmith.attest.claims import SIGNED, predicate_type
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    uri = predicate_type(kind)
    if uri == SIGNED:
        raise InvalidInput("an attestation of this type is a signature", hint="layersmith sign")
    try:
        what = read_predicate(_read(predicate), one_line(str(predicate)))
    except DocumentError as error:  # a file that was named, not an image's
        raise InvalidInput(error.message, hint="--predicate takes one JSON object") from None
    word = Word(named_repository(place, repository), uri, what)
    who = signer(key, carrier, from_stdin=password_stdin)
    with Registries(network) as registries:
        done = who.sign(place, registries, word)
    _show(done, "attested", as_document=json)


def signer(key: str, carrier: str, *, from_stdin: bool = False) -> Any:
    """Return who signs; raises :class:`InvalidKey` or :class:`InvalidInput`."""
    from layersmith.assemble.signing import Signer

    if carrier not in _CARRIERS:
        known = ", ".join(_CARRIERS)
        raise InvalidInput(f"--carrier {one_line(carrier, 40)!r}: it is one of {known}")
    return Signer(private_key(key, from_stdin=from_stdin), carrier)


def _read(path: Path) -> bytes:
    try:
        raw = read_file(path, _LARGEST)
    except OSError as error:
        raise InvalidInput(f"{one_line(str(path))} cannot be read: {error.strerror}") from None
    if len(raw) > _LARGEST:
        raise InvalidInput(f"{one_line(str(path))} is larger than {_LARGEST >> 20} MiB")
    return raw


def _show(done: Sequence[Written], verb: str, *, as_document: bool) -> None:
    if as_document:
        from json import dumps

        found = [
            {"digest": one.subject.digest, "carrier": one.carrier, "known": one.known}
            for one in done
        ]
        typer.echo(dumps(found, indent=2))
        return
    for one in done:
        note = " (it was there already)" if one.known else ""
        typer.echo(f"{verb} {one.subject.digest}, {one.carrier}{note}")
