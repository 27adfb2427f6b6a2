"""The options that commands share, and the target and recipe that they make.

A command is written for ``(recipe, network, ...)``; :func:`takes_wish` gives it all the
options of :func:`_wished`, so that they are listed once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from layersmith.cli.gathering import command_of
from layersmith.cli.image import (  # noqa: TC001 - typer reads the annotations
    Annotation,
    Cmd,
    Compression,
    Entrypoint,
    Env,
    Label,
    UserOption,
    Workdir,
)
from layersmith.cli.network import (
    PANEL,
    CaFile,
    Mirror,
    PlainHttp,
    Unverified,
    mirror_pairs,
    network_of,
)
from layersmith.cli.words import command, not_empty, pairs
from layersmith.errors import InvalidInput, RecipeError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from layersmith.assemble.places import Place
    from layersmith.recipe.recipe import Recipe
    from layersmith.recipe.target import Target
    from layersmith.stores.registry_options import RegistryOptions

__all__ = [
    "CacheDir",
    "Json",
    "OnePlatform",
    "Quiet",
    "RecipeFile",
    "Ref",
    "image_place",
    "recipe_here",
    "takes_app_wish",
    "takes_network",
    "takes_wish",
    "target_of",
]

_INPUTS = "Inputs"

_RECIPE: Final = Path("layersmith.toml")
# What has a recipe, or none of this directory's.
_NAMED: Final = ("target", "lock_file", "bundle", "ref")

TargetArgument = Annotated[
    str,
    typer.Argument(
        help="PYTHON-DEBIAN[-debug], like 3.13-debian13 or 3.13.5-debian13-debug; with builder: "
        "in front, the image to build in.",
        metavar="TARGET",
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="A recipe (TOML); the command line wins. Default: layersmith.toml, where neither a "
        "target nor a lock or bundle is named.",
        metavar="FILE",
    ),
]
Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        help="linux/amd64 or linux/arm64; repeatable. Both by default.",
        rich_help_panel=_INPUTS,
        metavar="OS/ARCH",
    ),
]
Base = Annotated[
    str,
    typer.Option(
        help="The image below: a reference, oci:DIR[:TAG] or oci-archive:FILE[:TAG].",
        rich_help_panel=_INPUTS,
        metavar="REF",
    ),
]
Builder = Annotated[
    str,
    typer.Option(
        help="The image that Python comes from, in the same forms.",
        rich_help_panel=_INPUTS,
        metavar="REF",
    ),
]
VerifyBase = Annotated[
    str,
    typer.Option(
        "--verify-base",
        callback=not_empty,
        help="Read the base only if it is vouched for: a public key (FILE or env://NAME), a "
        "policy (TOML) or a digest.",
        rich_help_panel=_INPUTS,
        metavar="KEY|POLICY|DIGEST",
    ),
]
VerifyBuilder = Annotated[
    str,
    typer.Option(
        "--verify-builder",
        callback=not_empty,
        help="The same for the builder.",
        rich_help_panel=_INPUTS,
        metavar="KEY|POLICY|DIGEST",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        help="Take builder files too that are left out (a glob, or a group like pip); repeatable.",
        rich_help_panel=_INPUTS,
        metavar="GLOB",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        help="Leave builder files out; repeatable.", rich_help_panel=_INPUTS, metavar="GLOB"
    ),
]
AllowUnresolved = Annotated[
    list[str] | None,
    typer.Option(
        help="A library that may be missing (glob of sonames); repeatable.",
        rich_help_panel=_INPUTS,
        metavar="SONAME",
    ),
]
ReplacePackage = Annotated[
    list[str] | None,
    typer.Option(
        help="A Debian package that the base has in another version: take the builder's, whole; "
        "repeatable.",
        rich_help_panel=_INPUTS,
        metavar="NAME",
    ),
]
Requirements = Annotated[
    str,
    typer.Option(
        help="What a builder image gets in the place of virtualenv, poetry, pipenv and uv: a "
        "requirements.txt with hashes.",
        rich_help_panel=_INPUTS,
        metavar="FILE",
    ),
]
ToolWheels = Annotated[
    list[str] | None,
    typer.Option(
        help="A directory of wheels for a builder image, taken first; repeatable.",
        rich_help_panel=_INPUTS,
        metavar="DIR",
    ),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        help="Where layers are kept. Default: the user's cache directory.",
        envvar="LAYERSMITH_CACHE",
        rich_help_panel=PANEL,
        metavar="DIR",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Ref = Annotated[
    str,
    typer.Argument(
        help="A registry reference, oci:DIR, oci-archive:FILE or docker-archive:FILE, "
        "with :TAG or @DIGEST.",
        metavar="REF",
    ),
]
OnePlatform = Annotated[
    str, typer.Option("--platform", help="The image of one platform only.", metavar="OS/ARCH")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


def _wished(
    target: TargetArgument = "",
    file: RecipeFile = None,
    platform: Platforms = None,
    base: Base = "",
    builder: Builder = "",
    verify_base: VerifyBase = "",
    verify_builder: VerifyBuilder = "",
    include: Include = None,
    exclude: Exclude = None,
    allow_unresolved: AllowUnresolved = None,
    replace_package: ReplacePackage = None,
    requirements: Requirements = "",
    wheel_dir: ToolWheels = None,
    user: UserOption = "",
    env: Env = None,
    label: Label = None,
    annotation: Annotation = None,
    entrypoint: Entrypoint = None,
    cmd: Cmd = None,
    workdir: Workdir = None,
    compression: Compression = "",
    mirror: Mirror = None,
    plain_http: PlainHttp = None,
    ca_file: CaFile = None,
    unverified: Unverified = None,
) -> tuple[Recipe, RegistryOptions]:
    """Return what was asked for on the command line and in the recipe file, checked."""
    from layersmith.recipe.recipe import Recipe, read_recipe

    recipe = Recipe(
        target=target,
        base=base,
        builder=builder,
        verify_base=verify_base,
        verify_builder=verify_builder,
        platforms=tuple(platform or ()),
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        allow_unresolved=tuple(allow_unresolved or ()),
        replace_package=tuple(replace_package or ()),
        requirements=requirements,
        wheel_dirs=tuple(wheel_dir or ()),
        user=user,
        env=pairs(env, "--env"),
        labels=pairs(label, "--label"),
        annotations=pairs(annotation, "--annotation"),
        entrypoint=command(entrypoint, "--entrypoint"),
        cmd=command(cmd, "--cmd"),
        workdir=workdir,
        compression=compression,
        mirrors=mirror_pairs(mirror or (), "--mirror"),
        plain_http=tuple(plain_http or ()),
    )
    if file is not None:
        recipe = recipe.over(read_recipe(file).at(file.parent))
    if recipe.target:
        target_of(recipe)
    recipe.check()
    return recipe, network_of(recipe.mirrors, recipe.plain_http, ca_file, unverified or ())


def target_of(recipe: Recipe) -> Target:
    """Return the recipe's target; raises :class:`RecipeError` where it has none."""
    from layersmith.recipe import target as targets

    if not recipe.target:
        raise RecipeError(f"no target: give {targets.GRAMMAR}, or set target in the recipe")
    return targets.Target.parse(recipe.target)


def image_place(text: str) -> Place:
    """Return where an image is; the directory of a layout will do.

    Raises :class:`InvalidInput` for another directory: of whom a registry is to be asked is
    not to be guessed.
    """
    from layersmith.assemble.places import Place

    if not Path(text).is_dir():
        return Place.parse(text)
    if not (Path(text) / "oci-layout").is_file():
        raise InvalidInput(
            f"{one_line(text, 200)} is a directory, and no OCI layout: it has no oci-layout",
            hint="for an image of that name in a registry, write NAME:TAG",
        )
    return Place.parse(f"oci:{text}")


def _network(
    mirror: Mirror = None,
    plain_http: PlainHttp = None,
    ca_file: CaFile = None,
    unverified: Unverified = None,
) -> tuple[RegistryOptions]:
    """Return how registries are to be spoken to, as far as the command line says."""
    pairs = mirror_pairs(mirror or (), "--mirror")
    return (network_of(pairs, plain_http or (), ca_file, unverified or ()),)


def takes_wish(run: Callable[..., None]) -> Callable[..., None]:
    """Make a command of `run(recipe, network, **its own options, and shared ones it names)`.

    An option that `run` names with another meaning takes the shared one's place. Where neither
    target nor recipe is named, nor a lock or a bundle, which have one, the recipe is
    layersmith.toml, if there is one.
    """
    return command_of(run, _wished, 2, lambda given: _with_recipe(given, *_NAMED))


def takes_app_wish(run: Callable[..., None]) -> Callable[..., None]:
    """Make a command as :func:`takes_wish` does; what is typed goes over layersmith.toml."""
    return command_of(run, _wished, 2, _with_recipe)


def _with_recipe(given: dict[str, Any], *others: str) -> dict[str, Any]:
    """Name the recipe that lies here, if neither one is named nor any of `others`."""
    is_named = any(given.get(name) for name in ("file", *others))
    return given if is_named else {**given, "file": recipe_here()}


def recipe_here() -> Path | None:
    """Return the recipe that lies in this directory, if there is one."""
    return _RECIPE if _RECIPE.is_file() else None


def takes_network(run: Callable[..., None]) -> Callable[..., None]:
    """Make a command of `run(network, **its own arguments and options)`."""
    return command_of(run, _network, 1)
