"""``layersmith lock``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.helptext import Command
from layersmith.cli.locks import LockFile, as_json, fitting, lock_path
from layersmith.cli.options import RecipeFile, takes_wish, target_of
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations
from layersmith.errors import Differs, InvalidInput, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layersmith.assemble.locking import Moved
    from layersmith.cli.running import Running
    from layersmith.recipe.lock import Lock
    from layersmith.recipe.lockdiff import Change
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["LockCommand", "lock"]

_INPUTS = ("base", "builder")
_BOTH = "all"

Update = Annotated[
    str,
    typer.Option(
        help="Move to what base and builder stand for now, or one of them only.",
        metavar="[base|builder]",
    ),
]
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; exit with 1 if upstream has moved.")
]


class LockCommand(Command):
    """A command whose ``--update`` may stand alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line."""
        spelled: list[str] = []
        for number, word in enumerate(args):
            spelled.append(word)
            if word == "--update" and args[number + 1 : number + 2] not in [[i] for i in _INPUTS]:
                spelled.append(_BOTH)
        return super().parse_args(ctx, spelled)


@takes_wish
def lock(
    recipe: Recipe,
    network: RegistryOptions,
    *,
    file: RecipeFile = None,
    lock_file: LockFile = None,
    update: Update = "",
    check: Check = False,
    run: Run,
) -> None:
    """Write what an assemble depends on, by digest, to layersmith.lock.

    What the lock has already stays as long as the recipe names the same images; `--update`
    moves it and shows what changes. `assemble --locked` uses it.

    Examples:

    ```
    layersmith lock 3.13-debian13
    layersmith lock --update builder
    layersmith lock --check || echo "upstream has moved"
    ```
    """
    from layersmith.recipe.lock import read_lock

    if update not in ("", _BOTH, *_INPUTS):
        raise InvalidInput(f"--update {one_line(update, 40)!r}: it is base, builder, or nothing")
    if check and update:
        raise InvalidInput("--check writes nothing: it does not go with --update")
    path = lock_path(lock_file, file)
    if check:
        _check(network, recipe, read_lock(path), str(path), as_document=run.json)
        return
    old = read_lock(path) if path.exists() else None
    new = _made(recipe, network, old, _INPUTS if update == _BOTH else (update,), run)
    _write(path, new)
    from layersmith.recipe.lockdiff import changes

    changed = changes(old, new) if old is not None else []
    typer.echo(_json(path, new, changed) if run.json else _text(path, old, new, changed))


def _made(
    recipe: Recipe,
    network: RegistryOptions,
    old: Lock | None,
    update: Sequence[str],
    run: Running,
) -> Lock:
    from layersmith.assemble.locked import kept_inputs
    from layersmith.assemble.locking import make_lock

    if old is not None and not recipe.target:
        recipe = recipe.over(old.wish)
    target_of(recipe)
    with run.workshop(network) as workshop:
        return make_lock(workshop, recipe, kept_inputs(old, recipe, update), old)


def _write(path: Path, lock: Lock) -> None:
    from layersmith.recipe.lock import write_lock
    from layersmith.stores.files import appearing, disk_errors

    with disk_errors(f"writing {path}"), appearing(path) as new:
        new.write(write_lock(lock))


def _check(
    network: RegistryOptions, recipe: Recipe, lock: Lock, where: str, *, as_document: bool
) -> None:
    from json import dumps

    from layersmith.assemble.locking import moved
    from layersmith.stores.registry import Registries

    fitting(recipe, lock, where)
    with Registries(network) as registries:
        found = moved(registries, lock)
    if as_document:
        typer.echo(dumps({"lock": where, "moved": [_described(one) for one in found]}, indent=2))
    else:
        for one in found:
            typer.echo(_moved(one))
    if found:
        names = " and ".join(one.name for one in found)
        raise Differs(f"{names} moved since {where} was made", hint="layersmith lock --update")
    if not as_document:
        typer.echo(f"{one_line(where)}: base and builder are where they were")


def _moved(one: Moved) -> str:
    which = ", ".join(one.platforms) or "none of the locked platforms"
    return (
        f"{one.name} {one_line(one.reference)} moved\n  was {one.locked}\n  now {one.now}\n"
        f"  changed for {which}"
    )


def _described(one: Moved) -> dict[str, Any]:
    return {
        "name": one.name,
        "reference": one.reference,
        "locked": one.locked,
        "now": one.now,
        "platforms": list(one.platforms),
    }


def _text(path: Path, old: Lock | None, new: Lock, changed: Sequence[Change]) -> str:
    head = f"{one_line(str(path))}: {new.recipe['target']}, Python {new.python}"
    if old is not None and not changed:
        return f"{head}: nothing changed"
    lines = [
        head,
        f"  base     {new.base.reference}  {new.base.digest}",
        *(f"           verified: {by}" for by in new.base.verified),
        f"  builder  {new.builder.reference}  {new.builder.digest}",
        *(f"           verified: {by}" for by in new.builder.verified),
        *(f"  {change}" for change in changed),
    ]
    return "\n".join(one_line(line, 1000) for line in lines)


def _json(path: Path, new: Lock, changed: Sequence[Change]) -> str:
    from dataclasses import asdict
    from json import dumps

    document = {"path": str(path), "lock": as_json(new), "changes": [asdict(c) for c in changed]}
    return dumps(document, indent=2)
