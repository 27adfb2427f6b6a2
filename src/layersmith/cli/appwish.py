"""The options that say what an application is, and the value that they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from layersmith.cli.gathering import Gathered
from layersmith.cli.words import command

if TYPE_CHECKING:
    from layersmith.recipe.recipe import Recipe

__all__ = ["AppWish", "AppWished", "NeedsWished"]

_PANEL = "Application"

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
DebianPackage = Annotated[
    list[str] | None,
    typer.Option(
        help="A package of Debian's to add, with what it needs: libpq5, or libpq5=VERSION; "
        "repeatable.",
        rich_help_panel=_PANEL,
        metavar="NAME",
    ),
]
DebianArchive = Annotated[
    list[str] | None,
    typer.Option(
        help="Where from: 'URL SUITE COMPONENT', or a .sources file; repeatable. Default: what "
        "this machine's apt says.",
        rich_help_panel=_PANEL,
        metavar="SOURCE",
    ),
]
DebianKeyring = Annotated[
    str,
    typer.Option(
        help="The keyring that must have signed it. Default: what the source says, or Debian's.",
        rich_help_panel=_PANEL,
        metavar="FILE",
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


@dataclass(frozen=True, slots=True)
class AppWish:
    """What was typed, as a recipe, and the interpreter to compile with."""

    said: Recipe
    program: str = ""


def _needs(
    base_image: BaseImage = "",
    dependencies: Dependencies = "",
    extra: Extra = None,
    group: Group = None,
    wheel_dir: WheelDir = None,
) -> AppWish:
    return _wish(
        base_image,
        lock=_here(dependencies),
        extras=tuple(extra or ()),
        groups=tuple(group or ()),
        wheel_dirs=tuple(map(_here, wheel_dir or ())),
    )


NeedsWished: TypeAlias = Annotated[AppWish, Gathered(_needs)]


def _app(
    *,
    needs: NeedsWished,
    debian_package: DebianPackage = None,
    debian_archive: DebianArchive = None,
    debian_keyring: DebianKeyring = "",
    source: Source = "",
    wheel: Wheel = "",
    entrypoint: Start = None,
    cmd: Arguments = None,
    workdir: Folder = None,
    port: Port = None,
    bytecode: Bytecode = False,
    python: Program = "",
) -> AppWish:
    above = _wish(
        needs.said.base_image,
        debian_packages=tuple(debian_package or ()),
        debian_archives=tuple(map(_archive, debian_archive or ())),
        debian_keyring=_here(debian_keyring),
        source=_here(source),
        wheel=_here(wheel),
        entrypoint=entrypoint,
        cmd=command(cmd, "--cmd"),
        workdir=workdir,
        ports=tuple(port or ()),
        bytecode=bytecode,
    )
    return AppWish(above.said.over(needs.said), python)


AppWished: TypeAlias = Annotated[AppWish, Gathered(_app)]


def _wish(base_image: str, **said: Any) -> AppWish:
    from layersmith.recipe.application import App
    from layersmith.recipe.recipe import Recipe

    return AppWish(Recipe(base_image=base_image, app=App(**said)))


def _here(path: str) -> str:
    """Return a path that was typed: it starts here, wherever the recipe is."""
    return str(Path(path).absolute()) if path else ""


def _archive(text: str) -> str:
    """Return an archive that was typed: the path of a file starts here, too."""
    return _here(text) if text.endswith((".sources", ".list")) else text
