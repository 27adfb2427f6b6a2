"""``layersmith copy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.options import Json, OnePlatform, Quiet, takes_network
from layersmith.cli.words import counted

if TYPE_CHECKING:
    from layersmith.assemble.copying import Copied
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["copy"]

_PLACE = "a registry reference, oci:DIR, oci-archive:FILE or docker-archive:FILE."
From = Annotated[str, typer.Argument(help=f"What to copy: {_PLACE}", metavar="SRC")]
To = Annotated[str, typer.Argument(help=f"Where to: {_PLACE}", metavar="DST")]
Referrers = Annotated[
    bool,
    typer.Option(
        "--referrers",
        help="Copy what is about the images too: signatures, SBOMs, attestations, whether they are "
        "referrers or have tags of cosign's (sha256-....sig, .att, .sbom).",
    ),
]


@takes_network
def copy(
    network: RegistryOptions,
    src: From,
    dst: To,
    platform: OnePlatform = "",
    referrers: Referrers = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy an image, all its platforms, from anywhere to anywhere, digest for digest.

    Without a tag the destination gets the source's. An archive is written anew.

    Examples:

    ```
    layersmith copy oci:dist/3.13-debian13 registry.example/team/python
    layersmith copy registry.example/team/python:3.13 oci-archive:python.tar --referrers
    layersmith copy python:3.13 docker-archive:python.tar --platform linux/amd64
    ```
    """
    from layersmith.assemble.copying import copy as run
    from layersmith.assemble.crew import Crew
    from layersmith.assemble.places import Place as Parsed
    from layersmith.cli.progress import shown
    from layersmith.oci.documents import Platform
    from layersmith.stores.registry import Registries

    places = Parsed.parse(src), Parsed.parse(dst)
    one = Platform.parse(platform) if platform else None
    with shown(quiet=quiet) as progress:
        crew = Crew(progress)
        with Registries(network, crew) as registries:
            crew.at_stop(registries.cut)
            done = run(registries, crew, places, one, referrers=referrers)
    typer.echo(_json(done) if json else _text(done))


def _text(done: Copied) -> str:
    from layersmith.cli.progress import size

    counts = (
        f"{counted(done.manifests, 'manifest')}, {counted(done.blobs, 'blob')}, {size(done.size)}"
    )
    lines = [done.name, f"  {done.top.digest}", f"  {counts}"]
    if done.referrers:
        lines.append(f"  {len(done.referrers)} of them refer to the others")
    lines += [f"  left out, not to be distributed: {blob.digest}" for blob in done.left]
    return "\n".join(lines)


def _json(done: Copied) -> str:
    import json

    document = {
        "name": done.name,
        **_described(done.top),
        "manifests": done.manifests,
        "blobs": done.blobs,
        "bytes": done.size,
        "referrers": [_described(one) for one in done.referrers],
        "left": [_described(one) for one in done.left],
    }
    return json.dumps(document, indent=2)


def _described(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "digest": descriptor.digest,
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
    }
