"""The options that say how registries are spoken to, and what the environment adds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.errors import RecipeError, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["CaFile", "Mirror", "PlainHttp", "Unverified", "mirror_pairs", "network_of"]

PANEL = "Network and cache"
_VARIABLE = "LAYERSMITH_MIRRORS"

Mirror = Annotated[
    list[str] | None,
    typer.Option(
        help="Read a registry elsewhere, like docker.io=127.0.0.1:5000[/prefix]; repeatable, "
        "several for one registry are tried in order.",
        rich_help_panel=PANEL,
        metavar="HOST=HOST",
    ),
]
PlainHttp = Annotated[
    list[str] | None,
    typer.Option(
        help="Speak plain HTTP to this host (loopback is anyway, unless TLS answers); repeatable.",
        rich_help_panel=PANEL,
        metavar="HOST",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        help="Trust these CA certificates (PEM) and no others.",
        rich_help_panel=PANEL,
        metavar="FILE",
    ),
]
Unverified = Annotated[
    list[str] | None,
    typer.Option(
        "--insecure-skip-tls-verify",
        help="Do not check this host's certificate: anyone on the way can pose as it. Repeatable.",
        rich_help_panel=PANEL,
        metavar="HOST",
    ),
]


def mirror_pairs(texts: Iterable[str], where: str) -> dict[str, str]:
    """Read ``HOST=HOST`` texts, those of one registry together; raises :class:`RecipeError`."""
    found: dict[str, str] = {}
    for text in texts:
        registry, equals, mirror = text.partition("=")
        if not equals or not registry:
            raise RecipeError(f"{where} {typed(text, 60)!r} is not HOST=HOST")
        found[registry] = f"{found[registry]},{mirror}" if registry in found else mirror
    return found


def network_of(
    mirrors: Mapping[str, str],
    plain_http: Sequence[str],
    ca_file: Path | None,
    unverified: Sequence[str],
) -> RegistryOptions:
    """Return the options for registries; mirrors of the environment come below `mirrors`.

    Raises :class:`RecipeError` for what is no host.
    """
    from layersmith.oci.reference import valid_registry
    from layersmith.stores.registry_options import RegistryOptions

    for option, hosts in (
        ("--plain-http", plain_http),
        ("--insecure-skip-tls-verify", unverified),
    ):
        for host in hosts:
            if not valid_registry(host):
                raise RecipeError(f"{typed(host, 60)!r} is not a host for {option}")
    for host in unverified:
        _warn(host)
    environment = mirror_pairs(os.environ.get(_VARIABLE, "").split(), _VARIABLE)
    return RegistryOptions(
        mirrors={**_checked(environment), **_checked(mirrors)},
        plain_http=frozenset(plain_http),
        unverified=frozenset(unverified),
        ca_file=ca_file,
    )


def _checked(mirrors: Mapping[str, str]) -> dict[str, str]:
    """Return `mirrors` by the names that references have; raises for what is none.

    Also a mirror that this run does not need is looked at: a mistake shows at once.
    """
    from layersmith.oci.reference import registry_name
    from layersmith.stores.registry_options import RegistryOptions, endpoint_for

    found = {}
    for registry, places in mirrors.items():
        name = registry_name(registry)
        if name is None:
            raise RecipeError(f"{typed(registry, 60)!r} is not a registry to be mirrored")
        for place in places.split(","):
            endpoint_for(name, RegistryOptions(mirrors={name: place.strip()}))
        found[name] = places
    return found


def _warn(host: str) -> None:
    print(  # noqa: T201 - stderr, before any progress is shown
        f"layersmith: WARNING: the certificate of {host} is NOT checked: anyone on the way can "
        "pose as it, and read and change what is sent, passwords included",
        file=sys.stderr,
    )
