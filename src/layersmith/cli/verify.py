"""``layersmith verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.options import Json, Ref, takes_network
from layersmith.cli.passwords import public_key
from layersmith.cli.words import not_empty
from layersmith.errors import InvalidInput, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.places import Place
    from layersmith.assemble.verifying import Verified
    from layersmith.attest.judging import Voice
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["verify"]

Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key", "-k", help="A public key: FILE or env://NAME; repeatable, one is enough.",
        metavar="KEY",
    ),
]  # fmt: skip
PolicyFile = Annotated[
    str,
    typer.Option(
        "--policy",
        callback=not_empty,
        help="A policy (TOML): whom to believe about which repository, see the README.",
        metavar="FILE",
    ),
]
Identity = Annotated[
    str,
    typer.Option(
        help="Accept what this identity has signed without a key of its own.",
        callback=not_empty,
        metavar="NAME",
    ),
]
Issuer = Annotated[
    str,
    typer.Option(
        help="Who knows the identity, like https://accounts.google.com.",
        callback=not_empty,
        metavar="URL",
    ),
]
TrustRoot = Annotated[
    str,
    typer.Option(
        "--trust-root",
        callback=not_empty,
        help="The authorities and logs to believe: sigstore's trusted_root.json. Nothing is "
        "asked of the network.",
        metavar="FILE",
    ),
]
Attestation = Annotated[
    str,
    typer.Option(
        help="Ask for an attestation of this type, not for a signature. SBOMs are attested of each "
        "platform: give REF its digest, which `layersmith tree` shows.",
        callback=not_empty,
        metavar="TYPE",
    ),
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
    policy: PolicyFile = "",
    identity: Identity = "",
    issuer: Issuer = "",
    trust_root: TrustRoot = "",
    attestation: Attestation = "",
    repository: Names = None,
    any_repository: AnyName = False,
    low_s: LowS = False,
    json: Json = False,
) -> None:
    r"""Check that an image is signed, for its repository, or what is attested of it.

    Ends with 11 if nobody who is trusted has signed it. A signature names a repository and a
    digest, no tag: an older image under the same tag passes too. With `--json` the verified
    predicates are printed.

    Examples:

    ```
    layersmith verify registry.example/team/python:3.13 --key layersmith.pub
    layersmith verify registry.example/team/python:3.13 --key cosign.pub --attestation spdx --json
    layersmith verify oci:python --key k.pub --repository registry.example/team/python
    layersmith verify gcr.io/distroless/cc-debian13 --policy policy.toml
    layersmith verify gcr.io/distroless/cc-debian13 --trust-root trusted_root.json \\
        --identity keyless@distroless.iam.gserviceaccount.com --issuer https://accounts.google.com
    ```
    """
    from layersmith.assemble.places import Place
    from layersmith.assemble.signing import named_repository
    from layersmith.assemble.verifying import Demand
    from layersmith.assemble.verifying import verify as run
    from layersmith.attest.claims import SIGNED, predicate_type
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    keyless = (identity, issuer, trust_root)
    if policy:
        if key or any(keyless) or repository or attestation or any_repository or low_s:
            raise InvalidInput("--policy says it all", hint="leave the other options out")
        _by_policy(network, place, policy, as_document=json)
        return
    voices = _voices(key or (), keyless)
    kind = predicate_type(attestation) if attestation else SIGNED
    if any_repository and repository:
        raise InvalidInput("--any-repository beside --repository", hint="give one of them")
    names = None
    if not any_repository:
        names = frozenset(named_repository(place, name) for name in repository or ("",))
    demand = Demand(voices=voices, repositories=names, predicate_type=kind, low_s=low_s)
    with Registries(network) as registries:
        found = run(registries, place, demand)
    typer.echo(_json(found) if json else _text(found))


def _voices(keys: Sequence[str], keyless: tuple[str, str, str]) -> Sequence[Voice]:
    """Return who is believed; raises :class:`InvalidInput` for nobody."""
    from layersmith.attest.judging import KeyVoice

    found: list[Voice] = [KeyVoice(public_key(key)) for key in keys]
    if any(keyless):
        if not all(keyless):
            raise InvalidInput("--identity, --issuer and --trust-root go together")
        from layersmith.attest.keyless import KeylessVoice
        from layersmith.attest.trustroot import read_root
        from layersmith.stores.keyfiles import key_name, read_key

        identity, issuer, path = keyless
        found.append(KeylessVoice(identity, issuer, read_root(read_key(path), key_name(path))))
    if not found:
        raise InvalidInput("by whom should it be signed?", hint="give --key FILE, or --policy")
    return found


def _by_policy(network: RegistryOptions, place: Place, policy: str, *, as_document: bool) -> None:
    from layersmith.assemble.vouching import vouching
    from layersmith.errors import intention
    from layersmith.stores.registry import Registries

    demand = vouching(policy, place, "--policy")
    with Registries(network) as registries, intention(f"verifying {place}"):
        source = place.source(registries)
        digest = source.resolve(place.identifier).digest
        by = demand.check(source, digest)
    if as_document:
        from json import dumps

        typer.echo(dumps({"digest": digest, "by": list(by)}, indent=2))
        return
    typer.echo("\n".join([f"{digest} is vouched for", *(f"  {one_line(one)}" for one in by)]))


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
