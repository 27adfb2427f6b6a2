"""The user of an image: appended to the base's passwd and group, with a home.

Where the base keeps passwords apart (shadow(5), gshadow(5)) he is there too, without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import RecipeError, one_line
from layersmith.recipe.recipe import MAX_ID
from layersmith.rootfs.entries import Directory, File, Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.recipe.recipe import User
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Root

__all__ = ["PlannedUser", "plan_user"]

ACCOUNTS: Final = "etc/passwd"
GROUP: Final = "etc/group"
_SHADOW: Final = "etc/shadow"
_GROUP_SHADOW: Final = "etc/gshadow"
_DAY: Final = 86400
_NO_SHELL: Final = "/sbin/nologin"
_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class PlannedUser:
    """Ids and home of the user, and the entries that make it so."""

    uid: int
    gid: int
    home: str
    entries: Mapping[str, Entry]

    @property
    def config(self) -> str:
        """``uid:gid`` in numbers: Kubernetes' runAsNonRoot refuses names."""
        return f"{self.uid}:{self.gid}"


def plan_user(base: Root, user: User, epoch: int, shell: str = _NO_SHELL) -> PlannedUser:
    """Return what makes `user` exist on top of `base`, since `epoch`.

    A user that the base has needs nothing. Raises :class:`RecipeError` where the
    name or the number means somebody else in the base.
    """
    accounts = _lines(base, ACCOUNTS, 7, numbers=(2, 3))
    groups = _lines(base, GROUP, 4, numbers=(2,))
    known = next((line for line in accounts if line[0] == user.name), None)
    if user.uid < 0:
        if known is None:
            raise RecipeError(
                f"the base has no user {user.name!r}", hint="write it as NAME:UID:GID"
            )
        if not 0 < int(known[2]) <= MAX_ID:
            raise RecipeError(
                f"the base's {user.name!r} has the number {known[2]}",
                hint="write the user as NAME:UID:GID",
            )
        return PlannedUser(int(known[2]), int(known[3]), _home(known), {})
    if known is not None:
        if (known[2], known[3]) != (str(user.uid), str(user.gid)):
            raise RecipeError(
                f"the base's user {user.name!r} is {known[2]}:{known[3]}",
                hint="choose another name, or its numbers",
            )
        return PlannedUser(user.uid, user.gid, _home(known), {})
    _check_free(user, accounts, groups)
    has_group = any(line[2] == str(user.gid) for line in groups)
    return _added(base, user, epoch // _DAY, shell, has_group=has_group)


def _home(account: list[str]) -> str:
    if not account[5].isprintable():  # nor has a config words for it
        name, home = one_line(account[0], 60), one_line(account[5], 200)
        raise RecipeError(
            f"the base's user {name!r} has the home {home!r}",
            hint="write another user, as NAME:UID:GID",
        )
    return account[5]


def _check_free(user: User, accounts: list[list[str]], groups: list[list[str]]) -> None:
    taken = next((line[0] for line in accounts if line[2] == str(user.uid)), None)
    if taken is not None:
        raise RecipeError(
            f"the base's user {taken!r} has the number {user.uid} already",
            hint="choose another UID" + (", or --user nonroot" if taken == "nonroot" else ""),
        )
    other = next((line[2] for line in groups if line[0] == user.name), None)
    if other not in (None, str(user.gid)):
        raise RecipeError(
            f"the base's group {user.name!r} has the number {other}", hint="choose that GID"
        )


def _added(base: Root, user: User, day: int, shell: str, *, has_group: bool) -> PlannedUser:
    home = f"home/{user.name}"
    there = base.tree.resolve(home, follow_last=False)
    if there is not None and not isinstance(there.entry, Directory):
        raise RecipeError(
            f"the base has /{home}, which is no directory", hint="choose another name"
        )
    account = f"{user.name}:x:{user.uid}:{user.gid}:{user.name}:/{home}:{shell}"
    lines = {ACCOUNTS: account, _SHADOW: f"{user.name}:!:{day}:0:99999:7:::"}
    if not has_group:
        lines |= {GROUP: f"{user.name}:x:{user.gid}:", _GROUP_SHADOW: f"{user.name}:!::"}
    entries: dict[str, Entry] = {
        path: _appended(base, path, line)
        for path, line in lines.items()
        if path in (ACCOUNTS, GROUP) or base.read(path) is not None
    }
    entries[home] = Directory(Meta(0o700, user.uid, user.gid), {})
    return PlannedUser(user.uid, user.gid, f"/{home}", entries)


def _appended(base: Root, path: str, line: str) -> File:
    before = base.read(path) or b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    found = base.tree.lookup(path)
    meta = Meta(0o644)
    if found is not None:
        meta = Meta(found.meta.mode, found.meta.uid, found.meta.gid)
    return File(meta, before + line.encode() + b"\n")


def _lines(base: Root, path: str, fields: int, numbers: tuple[int, ...]) -> list[list[str]]:
    """Return the fields of every line that is one: others mean nothing to libc either."""
    text = (base.read(path) or b"").decode("utf-8", "surrogateescape")
    lines = [line.split(":") for line in text.split("\n")]
    return [
        [str(int(part)) if at in numbers else part for at, part in enumerate(line)]
        for line in lines
        if len(line) == fields and all(_NUMBER.fullmatch(line[n]) for n in numbers)
    ]
