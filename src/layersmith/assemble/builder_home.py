"""The home of a builder image's user: his records, and what his wheels install in ``~/.local``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from layersmith.apps.installing import install
from layersmith.apps.site import Prefix, Site, with_parents
from layersmith.errors import RecipeError
from layersmith.plan.users import PlannedUser, plan_user
from layersmith.recipe.recipe import User
from layersmith.rootfs.entries import Directory, Meta
from layersmith.rootfs.tree import Root, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.wheel import Wheel
    from layersmith.plan.placing import Placing
    from layersmith.recipe.recipe import Recipe

__all__ = ["move_in", "planned_user"]

_NONROOT: Final = User("nonroot", 65532, 65532)  # distroless' own; official images have none
_SHELL: Final = "/bin/sh"
_THE_USER: Final = "the user"


def planned_user(root: Root, recipe: Recipe, epoch: int) -> PlannedUser:
    """Return the recipe's user with a shell; "nonroot" is distroless' where the image has none."""
    wanted = recipe.chosen_user()
    accounts = (root.read("etc/passwd") or b"").splitlines()
    if wanted == User("nonroot") and not any(line.startswith(b"nonroot:") for line in accounts):
        wanted = _NONROOT
    return plan_user(root, wanted, epoch, _SHELL)


def move_in(
    placing: Placing, user: PlannedUser, interpreter: Interpreter, wheels: Iterable[Wheel]
) -> tuple[Prefix, Site]:
    """Put the user on the image, and what his wheels install; return where, and what that is.

    Raises :class:`RecipeError` where the image has his ``~/.local``, and :class:`WheelError`.
    """
    for path, entry in user.entries.items():
        placing.put(path, entry, _THE_USER)
    prefix = _prefix(placing, user, interpreter)
    site = _installed(prefix, interpreter, wheels)
    _put(placing, prefix, site)
    return prefix, site


def _prefix(placing: Placing, user: PlannedUser, interpreter: Interpreter) -> Prefix:
    """Return the user's ``~/.local``, which the image must not have, in a home that it has."""
    home = canonical(user.home)
    if home and placing.base.tree.lookup(home) is None and home not in placing.entries:
        placing.put(home, Directory(Meta(0o700, user.uid, user.gid), {}), _THE_USER)
    local = placing.place(canonical(f"{home}/.local"))
    if placing.base.tree.entry(local) is not None:
        raise RecipeError(
            f"the image has /{local} already", hint="choose another user, or another builder"
        )
    prefix = Prefix(local, interpreter.program, user.uid, user.gid)
    # With its parents: a home that the image has is not in the layer yet.
    placing.put(local, Directory(prefix.meta(0o755), {}), _THE_USER)
    return prefix


def _installed(prefix: Prefix, interpreter: Interpreter, wheels: Iterable[Wheel]) -> Site:
    site = Site()
    for wheel in wheels:
        install(wheel, site, interpreter, prefix)
    site.check()
    return site


def _put(placing: Placing, prefix: Prefix, site: Site) -> None:
    """Put what was installed, all of it below the prefix: there the image has nothing."""
    for path, entry in with_parents(site.entries).items():
        if path == prefix.root or path.startswith(f"{prefix.root}/"):
            is_folder = isinstance(entry, Directory)
            mine = Directory(prefix.meta(0o755), {}) if is_folder else entry
            placing.entries[path] = mine
            placing.reasons[path] = site.owners.get(path, _THE_USER)
