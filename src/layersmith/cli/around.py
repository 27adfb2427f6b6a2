"""``layersmith tree``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from layersmith.cli.options import Json, Ref, takes_network
from layersmith.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.assemble.around import Around
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["tree"]

_MOST = 120


@takes_network
def tree(network: RegistryOptions, ref: Ref, json: Json = False) -> None:
    """Show what is said about an image: referrers and cosign's tags, of each platform too.

    Nothing of it is verified: layersmith verify does that.

    Examples:

    ```
    layersmith tree registry.example/team/python:3.13
    layersmith tree oci:dist/3.13-debian13 --json
    ```
    """
    from layersmith.assemble.around import around
    from layersmith.assemble.places import Place
    from layersmith.stores.registry import Registries

    place = Place.parse(ref)
    with Registries(network) as registries:
        found = around(registries, place)
    if json:
        from json import dumps

        typer.echo(dumps({"reference": str(place), **_json(found)}, indent=2))
    else:
        typer.echo("\n".join([one_line(str(place), _MOST), *_lines(found, "")]))


def _lines(one: Around, indent: str) -> Iterator[str]:
    from layersmith.cli.progress import size

    notes = (one_line(text, _MOST) for text in (one.artifact_type, *one.predicate_types) if text)
    words = (one_line(one.what, 90), one.descriptor.digest, size(one.descriptor.size), *notes)
    yield indent + " ".join(words)
    for other in (*one.about, *one.below):
        yield from _lines(other, indent + "  ")


def _json(one: Around) -> dict[str, Any]:
    found: dict[str, Any] = {
        "what": one.what,
        "mediaType": one.descriptor.media_type,
        "digest": one.descriptor.digest,
        "size": one.descriptor.size,
    }
    if one.artifact_type:
        found["artifactType"] = one.artifact_type
    if one.predicate_types:
        found["predicateTypes"] = list(one.predicate_types)
    for key, others in (("about", one.about), ("below", one.below)):
        if others:
            found[key] = [_json(other) for other in others]
    return found
