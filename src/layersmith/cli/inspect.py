"""``layersmith inspect``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.options import Json, OnePlatform, Ref, takes_network

if TYPE_CHECKING:
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["inspect"]

Raw = Annotated[bool, typer.Option("--raw", help="Print the exact bytes of the index or manifest.")]


@takes_network
def inspect(
    network: RegistryOptions,
    ref: Ref,
    platform: OnePlatform = "",
    raw: Raw = False,
    json: Json = False,
) -> None:
    """Show what a reference stands for: index, manifests, configs and layers.

    Examples:

    ```
    layersmith inspect python:3.13
    layersmith inspect oci-archive:python.tar --platform linux/arm64
    layersmith inspect registry.example/team/python:3.13 --raw | sha256sum
    ```
    """
    from layersmith.assemble.copying import find_top
    from layersmith.assemble.places import Place
    from layersmith.cli import tree
    from layersmith.errors import intention
    from layersmith.oci.content import read_document
    from layersmith.oci.documents import Platform
    from layersmith.oci.graph import walk
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    one = Platform.parse(platform) if platform else None
    with Registries(network) as registries, intention(f"reading {place}"):
        source = place.source(registries)
        top = find_top(source, place.identifier, one)
        if raw:
            sys.stdout.buffer.write(read_document(source, top))
            return
        shown = tree.read(source, walk(source, top))
    typer.echo(tree.as_json(place, shown) if json else tree.as_text(place, shown))
