"""``layersmith app``: Python applications on top of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.cachedir import cache_directory
from layersmith.cli.helptext import Command, Commands
from layersmith.cli.locks import LockFile, locked_recipe
from layersmith.cli.options import CacheDir, Json, Quiet, RecipeFile, takes_wish
from layersmith.cli.words import command

if TYPE_CHECKING:
    from layersmith.assemble.applying import Order
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["application"]

_PANEL = "Application"
_RECIPE = "layersmith.toml"

application = typer.Typer(
    name="app",
    help="Put Python applications on top of an image: no pip, no compiler, nothing of theirs run.",
    epilog="Try: layersmith app build 3.13-debian13 --dependencies pylock.toml --source src",
    cls=Commands,
    rich_markup_mode=None,
)

BaseImage = Annotated[
    str,
    typer.Option(
        "--base-image",
        help="An image that layersmith made, in the place of a target.",
        rich_help_panel=_PANEL,
        metavar="REF",
    ),
]
Dependencies = Annotated[
    str,
    typer.Option(
        "--dependencies",
        "-d",
        help="The lock: pylock.toml, requirements.txt with hashes, uv.lock, poetry.lock or "
        "Pipfile.lock.",
        rich_help_panel=_PANEL,
        metavar="FILE",
    ),
]
Extra = Annotated[
    list[str] | None,
    typer.Option(help="An extra of the lock; repeatable.", rich_help_panel=_PANEL, metavar="NAME"),
]
Group = Annotated[
    list[str] | None,
    typer.Option(
        help="A dependency group of the lock; repeatable.", rich_help_panel=_PANEL, metavar="NAME"
    ),
]
WheelDir = Annotated[
    list[str] | None,
    typer.Option(
        help="A directory of your own wheels, taken first; repeatable.",
        rich_help_panel=_PANEL,
        metavar="DIR",
    ),
]
Source = Annotated[
    str,
    typer.Option(
        help="The directory of the application; it becomes /app.",
        rich_help_panel=_PANEL,
        metavar="DIR",
    ),
]
Wheel = Annotated[
    str,
    typer.Option(
        help="The application as a wheel, in the place of a source.",
        rich_help_panel=_PANEL,
        metavar="FILE",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--entrypoint",
        help="What starts it: module:function, '-m module', or a script. Default: Python.",
        rich_help_panel=_PANEL,
        metavar="ENTRY",
    ),
]
Arguments = Annotated[
    str | None,
    typer.Option(
        "--cmd",
        help="Its arguments: words, or a JSON list.",
        rich_help_panel=_PANEL,
        metavar="WORDS",
    ),
]
Folder = Annotated[
    str | None,
    typer.Option(
        "--workdir",
        help="The working directory. Default: /app.",
        rich_help_panel=_PANEL,
        metavar="DIR",
    ),
]
Port = Annotated[
    list[str] | None,
    typer.Option(
        help="A port that it listens on, like 8000 or 53/udp; repeatable.",
        rich_help_panel=_PANEL,
        metavar="PORT",
    ),
]
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
Bytecode = Annotated[
    bool,
    typer.Option(
        "--bytecode",
        help="Add bytecode, compiled by an interpreter of this machine of the same version.",
        rich_help_panel=_PANEL,
    ),
]
Program = Annotated[
    str,
    typer.Option(
        "--python",
        help="The interpreter to compile with. Default: the one on PATH.",
        rich_help_panel=_PANEL,
        metavar="PROGRAM",
    ),
]
Locked = Annotated[
    bool,
    typer.Option("--locked", help="Take the target's inputs from layersmith.lock."),
]


@application.command("build", cls=Command)
@takes_wish
def build(
    recipe: Recipe,
    network: RegistryOptions,
    file: RecipeFile = None,
    base_image: BaseImage = "",
    dependencies: Dependencies = "",
    extra: Extra = None,
    group: Group = None,
    wheel_dir: WheelDir = None,
    source: Source = "",
    wheel: Wheel = "",
    entrypoint: Start = None,
    cmd: Arguments = None,
    workdir: Folder = None,
    port: Port = None,
    bytecode: Bytecode = False,
    python: Program = "",
    locked: Locked = False,
    lock_file: LockFile = None,
    output: Output = "",
    push: Push = None,
    cache_dir: CacheDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build an application's image: a layer of dependencies, and one of the application.

    The recipe is layersmith.toml, if there is one; its table [app] says what options say here.

    Examples:

    ```
    layersmith app build
    layersmith app build --push registry.example/team/shop:1.4
    layersmith app build 3.13-debian13 -d pylock.toml --source src --entrypoint shop.main:run
    layersmith app build --base-image registry.example/team/python:3.13 --wheel dist/shop.whl
    ```
    """
    import dataclasses

    from msgspec import structs

    from layersmith.assemble.applying import build as run
    from layersmith.assemble.workshop import Workshop
    from layersmith.cli import render_app
    from layersmith.cli.progress import shown

    recipe = structs.replace(
        recipe, output=output or recipe.output, push=tuple(push or recipe.push)
    )
    said = _said(
        base_image, dependencies, extra, group, wheel_dir, source, wheel, entrypoint,
        command(cmd, "--cmd"), workdir, port,
    )  # fmt: skip
    if bytecode and said.app is not None:
        said = structs.replace(said, app=structs.replace(said.app, bytecode=True))
    order = _order(recipe, network, file, said, locked=locked, lock_file=lock_file)
    order = dataclasses.replace(order, program=python)
    with (
        cache_directory(cache_dir) as cache,
        shown(quiet=quiet) as progress,
        Workshop(cache, network, progress) as workshop,
    ):
        done = run(workshop, order)
    timings = workshop.timings
    typer.echo(render_app.built_json(done, timings) if json else render_app.built(done, timings))


@application.command("wheels", cls=Command)
@takes_wish
def wheels(
    recipe: Recipe,
    network: RegistryOptions,
    file: RecipeFile = None,
    base_image: BaseImage = "",
    dependencies: Dependencies = "",
    extra: Extra = None,
    group: Group = None,
    wheel_dir: WheelDir = None,
    cache_dir: CacheDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say which wheels have to be built, and for which tags: those that no index has.

    Build them where you build software, and give their directory as --wheel-dir.

    Examples:

    ```
    layersmith app wheels
    layersmith app wheels 3.13-debian13 -d requirements.txt --platform linux/arm64 --json
    ```
    """
    from layersmith.assemble.applying import to_build as run
    from layersmith.assemble.workshop import Workshop
    from layersmith.cli import render_app
    from layersmith.cli.progress import shown

    said = _said(base_image, dependencies, extra, group, wheel_dir, "", "", None, None, None, None)
    order = _order(recipe, network, file, said)
    with (
        cache_directory(cache_dir) as cache,
        shown(quiet=quiet) as progress,
        Workshop(cache, network, progress) as workshop,
    ):
        missing = run(workshop, order)
    typer.echo(render_app.missing_json(missing) if json else render_app.missing(missing))


def _said(
    base_image: str,
    dependencies: str,
    extra: list[str] | None,
    group: list[str] | None,
    wheel_dir: list[str] | None,
    source: str,
    wheel: str,
    entrypoint: str | None,
    cmd: tuple[str, ...] | None,
    workdir: str | None,
    port: list[str] | None,
) -> Recipe:
    """Return what was typed as a recipe; its paths start here, wherever the recipe is."""
    from layersmith.recipe.application import App
    from layersmith.recipe.recipe import Recipe

    def here(path: str) -> str:
        return str(Path(path).absolute()) if path else ""

    app = App(
        lock=here(dependencies),
        extras=tuple(extra or ()),
        groups=tuple(group or ()),
        wheel_dirs=tuple(map(here, wheel_dir or ())),
        source=here(source),
        wheel=here(wheel),
        entrypoint=entrypoint,
        cmd=cmd,
        workdir=workdir,
        ports=tuple(port or ()),
    )
    return Recipe(base_image=base_image, app=app)


def _order(
    recipe: Recipe,
    network: RegistryOptions,
    file: Path | None,
    said: Recipe,
    *,
    locked: bool = False,
    lock_file: Path | None = None,
) -> Order:
    from msgspec import structs

    from layersmith.assemble.applying import Order
    from layersmith.assemble.inputs import FREE, Pinned
    from layersmith.recipe.recipe import read_recipe

    if file is None and Path(_RECIPE).is_file():
        file = Path(_RECIPE)
        recipe = recipe.over(read_recipe(file))
    recipe = said.over(recipe).check()
    pinned: Pinned = FREE
    if locked or lock_file is not None:
        above: dict[str, Any] = {"app": recipe.app, "base_image": recipe.base_image}
        recipe, pinned = locked_recipe(recipe, file, lock_file, locked=locked)
        recipe = structs.replace(recipe, **above)
    return Order(recipe, file.parent if file else Path(), network, pinned)
