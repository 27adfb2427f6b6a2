"""Using a lock: what it settles, and whether it is the lock of a recipe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from layersmith.assemble.inputs import FREE, Pinned, named
from layersmith.assemble.places import Place
from layersmith.errors import LockMismatch, one_line
from layersmith.recipe.shape import shape
from layersmith.recipe.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.oci.content import Source
    from layersmith.oci.documents import Descriptor
    from layersmith.recipe.lock import Lock, LockedInput
    from layersmith.recipe.recipe import Recipe

__all__ = ["check_lock", "kept_inputs", "pinned_by", "settled"]

_SHOWN: Final = 100


def pinned_by(lock: Lock, source: Source | None = None) -> Pinned:
    """Return what the lock settles, with everything from `source` if that is given."""
    return Pinned(
        base=lock.base.descriptor,
        builder=lock.builder.descriptor,
        source=source,
        epochs={platform: about.epoch for platform, about in lock.platforms.items()},
        images={p: (about.base, about.builder) for p, about in lock.platforms.items()},
        wheels={p: about.wheels for p, about in lock.platforms.items() if about.wheels},
    )


def kept_inputs(lock: Lock | None, recipe: Recipe, update: Sequence[str]) -> Pinned:
    """Return the inputs that an older lock still settles: named as before, not to be updated."""
    if lock is None:
        return FREE
    references = _references(recipe)
    moves = set(update)
    if any(update) and Target.parse(recipe.target).is_builder:
        moves = {"base", "builder"}  # they are one

    def kept(name: str, locked: LockedInput) -> Descriptor | None:
        stays = locked.reference == references[name] and name not in moves
        return locked.descriptor if stays else None

    return Pinned(base=kept("base", lock.base), builder=kept("builder", lock.builder))


def _references(recipe: Recipe) -> dict[str, str]:
    """Return base and builder in full, as the recipe or its target names them."""
    base, builder = named(Target.parse(recipe.target), recipe)
    return {"base": str(Place.parse(base)), "builder": str(Place.parse(builder))}


def settled(recipe: Recipe, lock: Lock) -> Recipe:
    """Return the recipe to assemble; without a target it is the lock's, and what was typed.

    Platforms are the lock's where none are asked for.
    """
    if not recipe.target:
        return recipe.over(lock.wish)
    return structs.replace(recipe, platforms=recipe.platforms or tuple(lock.platforms))


def check_lock(recipe: Recipe, lock: Lock, where: str) -> None:
    """Raise :class:`LockMismatch` with every key in which recipe and lock differ.

    Another compressor is a difference too: it gives other bytes. Another layersmith may.
    """
    differences = tuple(_differences(recipe, lock))
    if differences:
        raise LockMismatch(
            f"{where} is not the lock of this recipe",
            differences=differences,
            hint="lock the recipe again: layersmith lock",
        )


def _differences(recipe: Recipe, lock: Lock) -> Iterator[str]:
    asked, known = shape(recipe), shape(lock.wish)
    for key in sorted(asked.keys() | known.keys()):
        if asked.get(key) != known.get(key):
            yield from _lines(key, asked.get(key), known.get(key))
    references = _references(recipe)
    for name, locked in (("base", lock.base), ("builder", lock.builder)):
        if references[name] != locked.reference:
            yield _line(name, references[name], locked.reference)
    there = [str(platform) for platform in recipe.chosen_platforms()]
    if missing := [platform for platform in there if platform not in lock.platforms]:
        yield _line("platforms", missing, list(lock.platforms))
    if lock.made.compressor != (ours := recipe.compressor().identity):
        yield f"compressor: this layersmith has {ours}, the lock {one_line(lock.made.compressor)}"


def _lines(key: str, asked: Any, known: Any) -> Iterator[str]:
    """Yield a line for a key, or for each key of a table."""
    if not isinstance(asked or known, dict):
        yield _line(key, asked, known)
        return
    mine, theirs = asked or {}, known or {}
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            yield _line(f"{key}.{name}", mine.get(name), theirs.get(name))


def _line(key: str, asked: Any, known: Any) -> str:
    return f"{one_line(key, 60)}: the recipe says {_said(asked)}, the lock {_said(known)}"


def _said(value: Any) -> str:
    return "nothing" if value is None else one_line(json.dumps(value, ensure_ascii=False), _SHOWN)
