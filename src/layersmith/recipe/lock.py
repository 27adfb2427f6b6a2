"""Locks: what an assemble depends on, by digest, in a file that lies beside the recipe.

TOML with the keys of :class:`Lock`, always written the same way. It names the images as
the recipe does and no host besides: mirrors, outputs and registries to push to are not
in it. The recipe's shape is, so that a difference can be told key by key, and so that a
lock alone is enough to assemble again.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from layersmith.errors import InvalidInput, RecipeError, one_line
from layersmith.oci.digest import Digest  # noqa: TC001 - msgspec reads the annotations
from layersmith.oci.documents import Descriptor, Platform
from layersmith.oci.strictjson import decode, encode, typed
from layersmith.recipe.shape import of_shape, shape, shape_digest
from layersmith.recipe.toml import write_toml
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.recipe.recipe import Recipe

__all__ = [
    "LOCK_NAME",
    "MAX_LOCK",
    "Lock",
    "LockedInput",
    "LockedPlatform",
    "Made",
    "parse_lock",
    "read_lock",
    "write_lock",
]

LOCK_NAME: Final = "layersmith.lock"
MAX_LOCK: Final = 1 << 20
_VERSION: Final = 1
_HEADER: Final = """\
# Made by layersmith {version}: what {target} is assembled from. Do not edit it:
# "layersmith lock --update" moves it, "layersmith lock --check" tells whether it can move,
# "layersmith assemble --locked" uses it.
"""

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Epoch = Annotated[int, msgspec.Meta(ge=0, le=0o77777777777)]


class LockedInput(
    msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, omit_defaults=True
):
    """An image as the recipe names it, what that stood for, and who vouched for it."""

    reference: str
    digest: Digest
    media_type: str
    size: Size
    verified: tuple[str, ...] = ()

    @property
    def descriptor(self) -> Descriptor:
        """What to ask for."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)


class LockedPlatform(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """One platform: the manifests of base and builder, the time of its entries.

    `wheels` are those of a builder image: the digest of each by its file name. The versions of
    packages and the libraries taken are there to be compared: they show
    what an update changes.
    """

    base: Digest
    builder: Digest
    epoch: Epoch
    base_packages: dict[str, str] = {}
    builder_packages: dict[str, str] = {}
    libraries: dict[str, str] = {}
    wheels: dict[str, Digest] = {}


class Made(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """The program that made the lock, and the writer that compresses with it."""

    layersmith: str
    compressor: str


class Lock(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Everything that the digest of an image depends on."""

    version: int = _VERSION
    python: str
    recipe_digest: Digest
    made: Made
    recipe: dict[str, Any]
    base: LockedInput
    builder: LockedInput
    platforms: dict[str, LockedPlatform]

    @property
    def wish(self) -> Recipe:
        """The recipe, with the images and platforms that the lock has."""
        return msgspec.structs.replace(
            of_shape(self.recipe, LOCK_NAME),
            base=self.base.reference,
            builder=self.builder.reference,
            platforms=tuple(self.platforms),
        )


def write_lock(lock: Lock) -> bytes:
    """Return the one text of `lock`."""
    json: dict[str, Any] = decode(encode(lock), LOCK_NAME)
    json["recipe"] = shape(lock.wish)
    json["platforms"] = {
        platform: {k: _sorted(v) for k, v in about.items() if v != {}}
        for platform, about in sorted(json["platforms"].items())
    }
    head = _HEADER.format(version=lock.made.layersmith, target=lock.wish.target)
    return (head + "\n" + write_toml(json)).encode()


def parse_lock(raw: bytes, where: str) -> Lock:
    """Read a lock; raises :class:`RecipeError` for what :func:`write_lock` never wrote."""
    try:
        lock = typed(_table(raw, where), Lock, "lock")
        wish = lock.wish
        for platform in lock.platforms:
            if str(Platform.parse(platform)) != platform:
                raise RecipeError(f"{one_line(platform, 60)!r} is not how a platform is written")
    except (ValueError, RecursionError) as error:
        raise RecipeError(one_line(str(error), 200), place=where, hint=_ANEW) from None
    except InvalidInput as error:
        raise RecipeError(error.message, place=where, hint=error.hint or _ANEW) from None
    if not lock.platforms or not wish.target:
        raise RecipeError("a lock names a target and a platform", place=where, hint=_ANEW)
    if shape_digest(wish) != lock.recipe_digest:
        raise RecipeError(
            "the recipe in the lock is not the one that its digest names: it was edited",
            place=where,
            hint=_ANEW,
        )
    return lock


def read_lock(path: Path) -> Lock:
    """Read a lock file; raises :class:`RecipeError`."""
    try:
        raw = read_file(path, MAX_LOCK)
    except OSError as error:
        hint = "make it with: layersmith lock" if isinstance(error, FileNotFoundError) else ""
        message = f"cannot be read: {error.strerror}"
        raise RecipeError(message, place=one_line(str(path)), hint=hint) from None
    return parse_lock(raw, one_line(str(path)))


_ANEW: Final = "make it anew: remove it, then layersmith lock"


def _table(raw: bytes, where: str) -> dict[str, Any]:
    if len(raw) > MAX_LOCK:
        raise RecipeError(f"larger than {MAX_LOCK >> 20} MiB: no lock")
    table = tomllib.loads(raw.decode("utf-8"))
    version = table.get("version")
    if version != _VERSION:
        raise RecipeError(
            f"version {one_line(repr(version), 40)} of locks, this layersmith reads {_VERSION}",
            hint=f"use the layersmith that made {where}, or make it anew",
        )
    return table


def _sorted(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value
