"""``layersmith assemble``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.beside import BesideWished  # noqa: TC001 - typer reads the annotations
from layersmith.cli.locks import BundleFile, Locked, LockFile, settled_recipe
from layersmith.cli.options import RecipeFile, takes_wish, target_of
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["assemble"]

Output = Annotated[
    str,
    typer.Option(
        help="A layout or an archive to write: oci:DIR, oci-archive:FILE or "
        "docker-archive:FILE, with or without :TAG. Default: oci:dist/TARGET (a hyphen for the "
        "colon of builder:), unless --push is given.",
        metavar="PLACE",
    ),
]
Push = Annotated[
    list[str] | None,
    typer.Option(
        help="A repository to push to; without a tag it gets two. Repeatable.", metavar="REF"
    ),
]


@takes_wish
def assemble(
    recipe: Recipe,
    network: RegistryOptions,
    *,
    file: RecipeFile = None,
    locked: Locked = False,
    lock_file: LockFile = None,
    bundle: BundleFile = None,
    output: Output = "",
    push: Push = None,
    beside: BesideWished,
    run: Run,
) -> None:
    """Make an image for every platform, one new layer on the base, and deliver it.

    Examples:

    ```
    layersmith assemble 3.13-debian13
    layersmith assemble 3.13-debian13 --push registry.example/team/python
    layersmith assemble 3.13-debian13-debug --platform linux/arm64 --output oci:out
    layersmith assemble --file layersmith.toml --locked --json
    layersmith assemble builder:3.13-debian13 --push registry.example/team/builder
    layersmith assemble 3.13-debian13 --push registry.example/team/python --sbom --provenance
    layersmith assemble 3.13-debian13 --push registry.example/team/python --sign layersmith.key
    layersmith assemble --bundle python.bundle --push registry.site.example/team/python
    ```
    """
    from msgspec import structs

    from layersmith.assemble import assembling
    from layersmith.cli import render

    recipe = structs.replace(
        recipe, output=output or recipe.output, push=tuple(push or recipe.push)
    )
    attached = beside.beside
    recipe, pinned = settled_recipe(recipe, file, lock_file, bundle, locked=locked)
    target, signing = target_of(recipe), beside.signing()
    with run.workshop(network) as workshop:
        done = assembling.assemble(workshop, target, recipe, pinned, attached, signing)
        beside.write(workshop.cache, done.attached, target.folder)
    show = render.assembled_json if run.json else render.summary
    typer.echo(show(done, workshop.timings))
