"""What commands have in common that use a lock: where it is, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.errors import LockMismatch, one_line

if TYPE_CHECKING:
    from layersmith.recipe.lock import Lock
    from layersmith.recipe.recipe import Recipe

__all__ = ["LockFile", "as_json", "fitting", "lock_path", "warn_of_version"]

LockFile = Annotated[
    Path | None,
    typer.Option(
        "--lock",
        help="The lock. Default: layersmith.lock beside the recipe, or here.",
        metavar="FILE",
    ),
]


def lock_path(given: Path | None, recipe_file: Path | None) -> Path:
    """Return where the lock is: as asked for, beside the recipe, or in this directory."""
    from layersmith.recipe.lock import LOCK_NAME

    beside = recipe_file.parent if recipe_file is not None else Path()
    return given if given is not None else beside / LOCK_NAME


def fitting(recipe: Recipe, lock: Lock, where: str) -> Recipe:
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
        raise LockMismatch(f"{error.message} (see above)", hint=error.hint) from None
    warn_of_version(lock, where)
    return found


def warn_of_version(lock: Lock, where: str) -> None:
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
