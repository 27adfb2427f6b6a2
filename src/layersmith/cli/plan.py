"""``layersmith plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from layersmith.cli.locks import BundleFile, Locked, LockFile, settled_recipe
from layersmith.cli.options import RecipeFile, takes_wish, target_of
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["plan"]


@takes_wish
def plan(
    recipe: Recipe,
    network: RegistryOptions,
    *,
    file: RecipeFile = None,
    locked: Locked = False,
    lock_file: LockFile = None,
    bundle: BundleFile = None,
    run: Run,
) -> None:
    """Do everything but write: what goes into each platform's layer, and why.

    Examples:

    ```
    layersmith plan 3.13-debian13
    layersmith plan 3.13-debian13 --platform linux/arm64 --json
    layersmith plan --file layersmith.toml --locked
    ```
    """
    from layersmith.assemble import pipeline
    from layersmith.assemble.inputs import resolve
    from layersmith.cli import render_plan as render

    recipe, pinned = settled_recipe(recipe, file, lock_file, bundle, locked=locked)
    target = target_of(recipe)
    with run.workshop(network) as workshop:
        inputs = resolve(workshop, target, recipe, pinned)
        planned = pipeline.plan(workshop, target, recipe, inputs, pinned)
    typer.echo(render.plan_json(planned) if run.json else render.plan_text(planned))
