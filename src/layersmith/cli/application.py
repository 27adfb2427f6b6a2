"""``layersmith app``: Python applications on top of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.appwish import AppWish, AppWished, NeedsWished  # noqa: TC001 - typer reads the annotations
from layersmith.cli.beside import BesideWished  # noqa: TC001 - as above
from layersmith.cli.helptext import Command, Commands
from layersmith.cli.locks import LockFile, TargetLocked, locked_recipe
from layersmith.cli.options import RecipeFile, takes_app_wish
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations

if TYPE_CHECKING:
    from layersmith.assemble.orders import Order
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["application"]


application = typer.Typer(
    name="app",
    help="Put Python applications on top of an image: no pip, no compiler, nothing of theirs run.",
    epilog="Try: layersmith app build 3.13-debian13 --dependencies pylock.toml --source src",
    cls=Commands,
    rich_markup_mode=None,
    add_completion=False,
)

Output = Annotated[
    str,
    typer.Option(
        help="A layout or an archive to write, as for assemble. Default: oci:dist/app, unless "
        "--push is given.",
        metavar="PLACE",
    ),
]
Push = Annotated[
    list[str] | None,
    typer.Option(
        help="A repository to push to; without a tag it gets latest. Repeatable.", metavar="REF"
    ),
]


@application.command("build", cls=Command)
@takes_app_wish
def build(
    recipe: Recipe,
    network: RegistryOptions,
    *,
    file: RecipeFile = None,
    app: AppWished,
    locked: TargetLocked = False,
    lock_file: LockFile = None,
    output: Output = "",
    push: Push = None,
    beside: BesideWished,
    run: Run,
) -> None:
    """Build an application's image: a layer of dependencies, and one of the application.

    The recipe is layersmith.toml, if there is one; its table [app] says what options say here.

    Examples:

    ```
    layersmith app build
    layersmith app build --push registry.example/team/shop:1.4
    layersmith app build 3.13-debian13 -d pylock.toml --source src --entrypoint shop.main:run
    layersmith app build --base-image registry.example/team/python:3.13 --wheel dist/shop.whl
    layersmith app build --push registry.example/team/shop:1.4 --sign layersmith.key --provenance
    ```
    """
    from msgspec import structs

    from layersmith.assemble import applying
    from layersmith.cli import render_app

    recipe = structs.replace(
        recipe, output=output or recipe.output, push=tuple(push or recipe.push)
    )
    order = _order(recipe, network, file, app, locked=locked, lock_file=lock_file)
    attached, signing = beside.beside, beside.signing()
    with run.workshop(network) as workshop:
        done = applying.build(workshop, order, attached, signing)
        beside.write(workshop.cache, done.published.attached, "app")
    timings = workshop.timings
    show = render_app.built_json if run.json else render_app.built
    typer.echo(show(done, timings))


@application.command("wheels", cls=Command)
@takes_app_wish
def wheels(
    recipe: Recipe,
    network: RegistryOptions,
    *,
    file: RecipeFile = None,
    needs: NeedsWished,
    run: Run,
) -> None:
    """Say which wheels have to be built, and for which tags: those that no index has.

    Build them where you build software, and give their directory as --wheel-dir.

    Examples:

    ```
    layersmith app wheels
    layersmith app wheels 3.13-debian13 -d requirements.txt --platform linux/arm64 --json
    ```
    """
    from layersmith.assemble import applying
    from layersmith.cli import render_app

    order = _order(recipe, network, file, needs)
    with run.workshop(network) as workshop:
        missing = applying.to_build(workshop, order)
    typer.echo(render_app.missing_json(missing) if run.json else render_app.missing(missing))


def _order(
    recipe: Recipe,
    network: RegistryOptions,
    file: Path | None,
    wish: AppWish,
    *,
    locked: bool = False,
    lock_file: Path | None = None,
) -> Order:
    from msgspec import structs

    from layersmith.assemble.inputs import FREE, Pinned
    from layersmith.assemble.orders import Order

    recipe = wish.said.over(recipe).check()
    pinned: Pinned = FREE
    if locked or lock_file is not None:
        above: dict[str, Any] = {"app": recipe.app, "base_image": recipe.base_image}
        recipe, pinned = locked_recipe(recipe, file, lock_file, locked=locked)
        recipe = structs.replace(recipe, **above)
    folder = file.parent if file else Path()
    return Order(recipe, folder, network, pinned, wish.program)
