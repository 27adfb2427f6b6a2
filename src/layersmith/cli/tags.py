"""``layersmith tags``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from layersmith.cli.options import Json, Ref, takes_network
from layersmith.errors import one_line

if TYPE_CHECKING:
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["tags"]


@takes_network
def tags(network: RegistryOptions, ref: Ref, json: Json = False) -> None:
    """List the tags of a repository, or the names in a layout or an archive.

    Examples:

    ```
    layersmith tags registry.example/team/python
    layersmith tags oci:dist/3.13-debian13 --json
    ```
    """
    from layersmith.assemble.places import Place
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    with Registries(network) as registries:
        found = place.tags(registries)
    if json:
        from json import dumps

        typer.echo(dumps({"repository": place.name, "tags": found}, indent=2))
    else:
        for tag in found:
            typer.echo(one_line(tag))
