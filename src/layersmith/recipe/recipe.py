"""Recipes: everything that shapes an image, from a file, the command line, or both.

A file is TOML with the keys of :class:`Recipe`; unknown keys are refused with their
place. :meth:`Recipe.over` lays the command line over a file: lists and tables are
added to, single values and destinations replaced.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from layersmith.errors import LayersmithError, RecipeError, one_line, typed
from layersmith.oci.derived import OUR_KEYS
from layersmith.oci.documents import Platform
from layersmith.oci.reference import valid_registry
from layersmith.recipe.application import App
from layersmith.recipe.trials import Http, Trial, check_trials
from layersmith.rootfs.compressor import Compressor
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DEFAULT_PLATFORMS", "DEFAULT_USER", "MAX_ID", "Recipe", "User", "read_recipe"]

DEFAULT_PLATFORMS: Final = ("linux/amd64", "linux/arm64")
DEFAULT_USER: Final = "monty:1000:1000"
MAX_ID: Final = 2**31 - 1
_MAX_FILE: Final = 1 << 20
_USER = re.compile(r"([a-z_][a-z0-9_-]{0,31}):([0-9]{1,10}):([0-9]{1,10})", re.ASCII)
_ENV_NAME = re.compile(r"[^=\0]+")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")
# A demand that a file makes empty would be none at all.
_Demand = Annotated[str, msgspec.Meta(min_length=1)]


class User(msgspec.Struct, frozen=True):
    """The image's user; ids below zero ask for the base's own user of that name."""

    name: str
    uid: int = -1
    gid: int = -1

    @classmethod
    def parse(cls, text: str) -> User:
        """Read ``NAME:UID:GID`` or ``nonroot``; raises :class:`RecipeError`."""
        if text == "nonroot":
            return cls("nonroot")
        match = _USER.fullmatch(text)
        if match is None or not all(0 < int(number) <= MAX_ID for number in match.group(2, 3)):
            raise RecipeError(
                f"{typed(text, 60)!r} is not a user",
                hint="write NAME:UID:GID like monty:1000:1000 (numbers from 1), or nonroot",
            )
        return cls(match[1], int(match[2]), int(match[3]))


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What to assemble and how the result looks. All keys are optional."""

    target: str = ""
    base: str = ""
    builder: str = ""
    verify_base: _Demand = ""
    verify_builder: _Demand = ""
    platforms: tuple[str, ...] = ()
    output: str = ""
    push: tuple[str, ...] = ()
    mirrors: dict[str, str] = {}
    plain_http: tuple[str, ...] = ()
    user: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    env: dict[str, str] = {}
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    workdir: str | None = None
    allow_unresolved: tuple[str, ...] = ()
    replace_package: tuple[str, ...] = ()
    requirements: str = ""
    wheel_dirs: tuple[str, ...] = ()
    compression: str = ""
    base_image: str = ""
    app: App | None = None
    test: tuple[Trial, ...] = ()

    def over(self, lower: Recipe) -> Recipe:
        """Return `lower` with what this recipe says laid over it."""
        merged: dict[str, Any] = {}
        for field in self.__struct_fields__:
            mine, below = getattr(self, field), getattr(lower, field)
            if field == "app":
                merged[field] = mine.over(below) if mine and below else mine or below
            elif isinstance(below, dict):
                merged[field] = {**below, **mine}
            elif field in _REPLACED:
                given = mine is not None if field in _OPTIONAL else bool(mine)
                merged[field] = mine if given else below
            elif isinstance(below, tuple):
                merged[field] = (*below, *(item for item in mine if item not in below))
        return Recipe(**merged)

    def at(self, folder: Path) -> Recipe:
        """Return this recipe with its own paths as they are seen from where `folder` is."""
        return msgspec.structs.replace(
            self,
            requirements=str(folder / self.requirements) if self.requirements else "",
            wheel_dirs=tuple(str(folder / place) for place in self.wheel_dirs),
        )

    def chosen_platforms(self) -> tuple[Platform, ...]:
        """Return the platforms, without repeats; raises :class:`RecipeError`."""
        found: dict[tuple[str, str, str], Platform] = {}
        for text in self.platforms or DEFAULT_PLATFORMS:
            try:
                platform = Platform.parse(text)
            except LayersmithError as error:
                raise RecipeError(error.message, hint=error.hint) from None
            found.setdefault(platform.key, platform)
        return tuple(found.values())

    def chosen_user(self) -> User:
        """Return the user, monty by default; raises :class:`RecipeError`."""
        return User.parse(self.user or DEFAULT_USER)

    def compressor(self) -> Compressor:
        """Return what compresses the new layer; raises :class:`RecipeError`."""
        return Compressor.parse(self.compression)

    def check(self) -> Recipe:
        """Return this recipe if its values are sound; raises :class:`RecipeError`."""
        self.chosen_platforms()
        self.chosen_user()
        self.compressor()
        check_trials(self.test)
        app = self.app or App()
        app.check()
        for name, value in (*self.env.items(), *app.env.items()):
            if _ENV_NAME.fullmatch(name) is None:
                raise RecipeError(f"{one_line(name, 60)!r} is no name of a variable")
            if "\0" in value:
                raise RecipeError(f"the variable {one_line(name, 60)!r} has a NUL in its value")
        said = (self.env, self.labels, self.annotations, self.entrypoint, self.cmd, self.workdir)
        written = (*said, app)
        try:
            msgspec.json.encode(written)
        except UnicodeEncodeError:
            raise RecipeError(
                "a value is not UTF-8 text",
                hint="look at env, labels, annotations, entrypoint, cmd and workdir",
            ) from None
        annotations = (*self.annotations, *app.annotations)
        if ours := [key for key in annotations if key.startswith(OUR_KEYS)]:
            raise RecipeError(f"annotations {OUR_KEYS}* are layersmith's own: {ours[0]!r}")
        if any("\0" in path for path in (self.requirements, *self.wheel_dirs)):
            raise RecipeError("a path with a NUL in it")
        if self.workdir is not None and not self.workdir.startswith("/"):
            raise RecipeError(f"the workdir {one_line(self.workdir, 60)!r} is not absolute")
        for host in self.plain_http:
            if not valid_registry(host):
                raise RecipeError(f"{typed(host, 60)!r} is not a host for --plain-http")
        return self


# An empty entrypoint or command is a wish, not an absence.
_OPTIONAL: Final = frozenset({"entrypoint", "cmd", "workdir"})
_REPLACED: Final = _OPTIONAL | {
    "target", "base", "builder", "verify_base", "verify_builder", "platforms", "output", "push",
    "user", "compression", "base_image", "requirements",
}  # fmt: skip


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file; raises :class:`RecipeError` with file, line and key."""
    try:
        raw = read_file(path, _MAX_FILE)
        text = raw.decode("utf-8")
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", place=str(path)) from None
    except UnicodeDecodeError:
        raise RecipeError("not UTF-8 text", place=str(path)) from None
    if len(raw) > _MAX_FILE:
        raise RecipeError(f"larger than {_MAX_FILE >> 20} MiB: no recipe", place=str(path))
    try:
        return msgspec.convert(tomllib.loads(text), Recipe).check()
    except msgspec.ValidationError as error:
        raise _explained(str(error), text, path) from None
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError, or worse
        raise RecipeError(typed(str(error), 200), place=str(path)) from None
    except RecipeError as error:
        raise RecipeError(error.message, place=str(path), hint=error.hint) from None


def _explained(message: str, text: str, path: Path) -> RecipeError:
    unknown = _UNKNOWN.search(message)
    kind: type[msgspec.Struct] = App if "$.app" in message else Recipe
    if "$.test[" in message:
        kind = Http if "].http" in message else Trial
    known = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
    if unknown is None:
        where = re.search(r"\$\.([\w-]+)", message)
        key = where[1] if where else ""
        return RecipeError(typed(message, 200), place=_place(path, text, key))
    return RecipeError(
        f"unknown key {unknown[1]!r}",
        place=_place(path, text, unknown[1]),
        hint=f"known keys: {known}",
    )


def _place(path: Path, text: str, key: str) -> str:
    """Return ``file:line`` of the first line that sets `key`, or the file alone."""
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    for number, line in enumerate(text.splitlines(), 1):
        if key and pattern.match(line):
            return f"{path}:{number}"
    return str(path)
