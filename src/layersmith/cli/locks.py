"""What commands have in common that use a lock: where it is, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.options import target_of
from layersmith.errors import LockMismatch, RecipeError, one_line

if TYPE_CHECKING:
    from layersmith.assemble.inputs import Pinned
    from layersmith.recipe.lock import Lock
    from layersmith.recipe.recipe import Recipe

__all__ = [
    "BundleFile",
    "LockFile",
    "Locked",
    "TargetLocked",
    "as_json",
    "bundled_recipe",
    "fitting",
    "lock_path",
    "locked_recipe",
    "settled_recipe",
]

LockFile = Annotated[
    Path | None,
    typer.Option(
        "--lock",
        help="The lock. Default: layersmith.lock beside the recipe, or here.",
        metavar="FILE",
    ),
]
Locked = Annotated[
    bool,
    typer.Option(
        "--locked", help="Take base, builder and times from the lock; end with 10 if it differs."
    ),
]
TargetLocked = Annotated[
    bool,
    typer.Option("--locked", help="Take the target's inputs from layersmith.lock."),
]
BundleFile = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        help="Read base, builder and lock from a bundle, or its parts, and nothing from elsewhere.",
        metavar="FILE",
    ),
]


def lock_path(given: Path | None, recipe_file: Path | None) -> Path:
    """Return where the lock is: as asked for, beside the recipe, or in this directory."""
    from layersmith.recipe.lock import LOCK_NAME

    beside = recipe_file.parent if recipe_file is not None else Path()
    return given if given is not None else beside / LOCK_NAME


def settled_recipe(
    recipe: Recipe,
    file: Path | None,
    lock_file: Path | None,
    bundle: Path | None,
    *,
    locked: bool,
) -> tuple[Recipe, Pinned]:
    """Return the recipe to use, and what a bundle or a lock settles, if one is asked for."""
    if bundle is None:
        return locked_recipe(recipe, file, lock_file, locked=locked)
    if lock_file is not None:
        raise RecipeError("--lock beside --bundle", hint="a bundle has its lock: leave it out")
    return bundled_recipe(recipe, bundle)


def locked_recipe(
    recipe: Recipe, file: Path | None, lock_file: Path | None, *, locked: bool
) -> tuple[Recipe, Pinned]:
    """Return the recipe to use, and what its lock settles, if a lock is asked for."""
    from layersmith.assemble.inputs import FREE

    if not locked and lock_file is None:
        target_of(recipe)
        return recipe, FREE
    from layersmith.assemble.locked import pinned_by
    from layersmith.recipe.lock import read_lock

    path = lock_path(lock_file, file)
    lock = read_lock(path)
    return fitting(recipe, lock, str(path)), pinned_by(lock)


def bundled_recipe(recipe: Recipe, path: Path) -> tuple[Recipe, Pinned]:
    """Return the recipe to use, and what the bundle settles; all that it takes is there."""
    from layersmith.assemble.bundled import open_bundle
    from layersmith.assemble.locked import pinned_by

    opened = open_bundle(path)
    again = "leave out what is typed, or make the bundle anew: layersmith bundle create"
    found = fitting(recipe, opened.lock, f"the lock in {path}", again)
    opened.check(found.chosen_platforms())
    return found, pinned_by(opened.lock, opened.bundle)


def fitting(recipe: Recipe, lock: Lock, where: str, hint: str = "") -> Recipe:
    """Return the recipe to use with `lock`, for which it must be made.

    A difference is told on stderr, a line a key, and raised as :class:`LockMismatch`.
    """
    from layersmith.assemble.locked import check_lock, settled

    found = settled(recipe, lock)
    try:
        check_lock(found, lock, where)
    except LockMismatch as error:
        for line in error.differences:
            typer.echo(f"  {line}", err=True)
        raise LockMismatch(f"{error.message} (see above)", hint=hint or error.hint) from None
    _warn_of_version(lock, where)
    return found


def _warn_of_version(lock: Lock, where: str) -> None:
    """Say on stderr where another layersmith made the lock: it may give other bytes."""
    from layersmith import __version__

    theirs = lock.made.layersmith
    if theirs != __version__:
        made = f"{one_line(where)} was made by layersmith {one_line(theirs, 40)}"
        note = f"this is {__version__}: the digests can differ"
        typer.echo(f"layersmith: warning: {made}, {note}", err=True)


def as_json(lock: Lock) -> Any:
    """Return a lock as it stands in JSON documents."""
    from msgspec import to_builtins

    return to_builtins(lock, enc_hook=str)
