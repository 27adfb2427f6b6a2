"""``layersmith plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from layersmith.cli.cachedir import cache_directory
from layersmith.cli.locks import BundleFile, Locked, LockFile, settled_recipe
from layersmith.cli.options import CacheDir, Json, Quiet, RecipeFile, takes_wish, target_of

if TYPE_CHECKING:
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["plan"]


@takes_wish
def plan(
    recipe: Recipe,
    network: RegistryOptions,
    file: RecipeFile = None,
    locked: Locked = False,
    lock_file: LockFile = None,
    bundle: BundleFile = None,
    cache_dir: CacheDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Do everything but write: what goes into each platform's layer, and why.

    Examples:

    ```
    layersmith plan 3.13-debian13
    layersmith plan 3.13-debian13 --platform linux/arm64 --json
    layersmith plan --file layersmith.toml --locked
    ```
    """
    from layersmith.assemble.inputs import resolve
    from layersmith.assemble.pipeline import plan as run
    from layersmith.assemble.workshop import Workshop
    from layersmith.cli import render_plan as render
    from layersmith.cli.progress import shown

    recipe, pinned = settled_recipe(recipe, file, lock_file, bundle, locked=locked)
    target = target_of(recipe)
    with (
        cache_directory(cache_dir) as cache,
        shown(quiet=quiet) as progress,
        Workshop(cache, network, progress) as workshop,
    ):
        planned = run(workshop, target, recipe, resolve(workshop, target, recipe, pinned), pinned)
    typer.echo(render.plan_json(planned) if json else render.plan_text(planned))
