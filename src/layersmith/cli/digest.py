"""``layersmith digest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from layersmith.cli.options import OnePlatform, Ref, takes_network

if TYPE_CHECKING:
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["digest"]


@takes_network
def digest(network: RegistryOptions, ref: Ref, platform: OnePlatform = "") -> None:
    """Print the digest that a reference stands for now: of an index, or one platform's.

    Examples:

    ```
    layersmith digest python:3.13
    layersmith digest oci:dist/3.13-debian13 --platform linux/arm64
    ```
    """
    from layersmith.assemble.copying import find_top
    from layersmith.assemble.places import Place
    from layersmith.oci.documents import Platform
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    one = Platform.parse(platform) if platform else None
    with Registries(network) as registries:
        typer.echo(find_top(place.source(registries), place.identifier, one).digest)
