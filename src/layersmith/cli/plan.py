"""``layersmith plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from layersmith.cli.locks import BundleFile, Locked, LockFile, settled_recipe
from layersmith.cli.options import RecipeFile, takes_wish, target_of
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from layersmith.assemble.builder_image import PlannedBuilder
    from layersmith.assemble.pipeline import Planned
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
    layersmith plan builder:3.13-debian13
    layersmith plan --file layersmith.toml --locked
    ```
    """
    from layersmith.assemble import making
    from layersmith.assemble.inputs import resolve

    recipe, pinned = settled_recipe(recipe, file, lock_file, bundle, locked=locked)
    target = target_of(recipe)
    with run.workshop(network) as workshop:
        inputs = resolve(workshop, target, recipe, pinned)
        planned = making.plan(workshop, target, recipe, inputs, pinned)
    typer.echo(_shown(planned, as_document=run.json))


def _shown(planned: Planned | PlannedBuilder, *, as_document: bool) -> str:
    from layersmith.assemble.pipeline import Planned

    if isinstance(planned, Planned):
        from layersmith.cli.render_plan import plan_json, plan_text

        return plan_json(planned) if as_document else plan_text(planned)
    from layersmith.cli.render_builder import builder_plan_json, builder_plan_text

    return builder_plan_json(planned) if as_document else builder_plan_text(planned)
