"""``layersmith verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.options import Json, Ref, takes_network
from layersmith.cli.passwords import public_key
from layersmith.errors import InvalidInput, one_line

if TYPE_CHECKING:
    from layersmith.assemble.verifying import Demand, Verified
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["verify"]

Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key", "-k", help="A public key: FILE or env://NAME; repeatable, one is enough.",
        metavar="KEY",
    ),
]  # fmt: skip
Attestation = Annotated[
    str,
    typer.Option(help="Ask for an attestation of this type, not for a signature.", metavar="TYPE"),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--repository",
        help="Accept what is signed as this repository's, in place of REF's own; repeatable.",
        metavar="NAME",
    ),
]
AnyName = Annotated[
    bool,
    typer.Option(
        "--any-repository",
        help="Accept what is signed for any repository, or names none, as cosign does.",
    ),
]
LowS = Annotated[
    bool,
    typer.Option(
        "--low-s",
        help="Refuse ECDSA signatures with the higher S also of others; cosign writes such.",
    ),
]


@takes_network
def verify(
    network: RegistryOptions,
    ref: Ref,
    key: Keys = None,
    attestation: Attestation = "",
    repository: Names = None,
    any_repository: AnyName = False,
    low_s: LowS = False,
    json: Json = False,
) -> None:
    """Check that an image is signed, for its repository, or what is attested of it.

    Ends with 11 if nobody who is trusted has signed it. A signature names a repository and a
    digest, no tag: an older image under the same tag passes too. With `--json` the verified
    predicates are printed.

    Examples:

    ```
    layersmith verify registry.example/team/python:3.13 --key layersmith.pub
    layersmith verify registry.example/team/python:3.13 --key cosign.pub --attestation spdx --json
    layersmith verify oci:python --key k.pub --repository registry.example/team/python
    ```
    """
    from layersmith.assemble.places import Place
    from layersmith.assemble.verifying import verify as run
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    demand = _demand(place, key or (), attestation, repository or (), any_repository, low_s)
    with Registries(network) as registries:
        found = run(registries, place, demand)
    typer.echo(_json(found) if json else _text(found))


def _demand(
    place: Any, keys: Any, attestation: str, names: Any, any_name: bool, low_s: bool
) -> Demand:
    from layersmith.assemble.signing import named_repository
    from layersmith.assemble.verifying import Demand
    from layersmith.attest.claims import SIGNED, predicate_type
    from layersmith.attest.judging import KeyVoice

    if not keys:
        raise InvalidInput("by whom should it be signed?", hint="give --key FILE")
    if any_name and names:
        raise InvalidInput("--any-repository beside --repository", hint="give one of them")
    repositories = None
    if not any_name:
        repositories = frozenset(named_repository(place, name) for name in names or ("",))
    return Demand(
        voices=[KeyVoice(public_key(key)) for key in keys],
        repositories=repositories,
        predicate_type=predicate_type(attestation) if attestation else SIGNED,
        low_s=low_s,
    )


def _text(found: Verified) -> str:
    lines = [f"{found.digest} is vouched for"]
    for one in found.accepted:
        names = ", ".join(sorted(filter(None, one.claim.names(found.digest)))) or "no repository"
        lines.append(f"  {one_line(one.by)}: {names}, {one_line(one.document.where)}")
    return "\n".join(lines)


def _json(found: Verified) -> str:
    from json import dumps

    accepted = [
        {
            "by": one.by,
            "where": one.document.where,
            "repositories": sorted(filter(None, one.claim.names(found.digest))),
            "predicateType": one.claim.predicate_type,
            "predicate": one.claim.predicate,
        }
        for one in found.accepted
    ]
    return dumps({"digest": found.digest, "accepted": accepted}, indent=2)
