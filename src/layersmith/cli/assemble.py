"""``layersmith assemble``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.cachedir import cache_directory
from layersmith.cli.options import CacheDir, Json, Quiet, takes_recipe

if TYPE_CHECKING:
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["assemble"]

Output = Annotated[
    str,
    typer.Option(
        help="A layout or an archive to write: oci:DIR, oci-archive:FILE or "
        "docker-archive:FILE, with or without :TAG. Default: oci:dist/TARGET, unless "
        "--push is given.",
        metavar="PLACE",
    ),
]
Push = Annotated[
    list[str] | None,
    typer.Option(
        help="A repository to push to; without a tag it gets two. Repeatable.", metavar="REF"
    ),
]

Compression = Annotated[
    str,
    typer.Option(
        help="How the new layer is compressed: gzip, zstd or none, with or without :LEVEL. "
        "Default: gzip:6.",
        metavar="CODEC",
    ),
]


@takes_recipe
def assemble(
    target: Target,
    recipe: Recipe,
    network: RegistryOptions,
    output: Output = "",
    push: Push = None,
    compression: Compression = "",
    cache_dir: CacheDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make an image for every platform, one new layer on the base, and deliver it.

    Examples:

    ```
    layersmith assemble 3.13-debian13
    layersmith assemble 3.13-debian13 --push registry.example/team/python
    layersmith assemble 3.13-debian13-debug --platform linux/arm64 --output oci:out
    layersmith assemble --file layersmith.toml --json
    ```
    """
    from msgspec import structs

    from layersmith.assemble.assembling import assemble as run
    from layersmith.assemble.workshop import Workshop
    from layersmith.cli import render
    from layersmith.cli.progress import shown

    recipe = structs.replace(
        recipe,
        output=output or recipe.output,
        push=tuple(push or recipe.push),
        compression=compression or recipe.compression,
    ).check()
    with (
        cache_directory(cache_dir) as cache,
        shown(quiet=quiet) as progress,
        Workshop(cache, network, progress) as workshop,
    ):
        done = run(workshop, target, recipe)
    if json:
        typer.echo(render.assembled_json(done, workshop.timings))
    else:
        typer.echo(render.summary(done, workshop.timings))
