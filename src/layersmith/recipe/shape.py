"""The shape of a recipe: what decides the bytes of an image, in one canonical form.

Comments, order and defaults that are spelled out make no difference to it. Where an image
goes, how it is tested, how registries are spoken to, and which platforms are made this time do
not belong to it; base and builder are recorded beside it, by digest, and who vouched for them in
the lock: an image that was verified has the bytes of one that was not. So are the wheels of a
builder image, wherever they are from.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import structs

from layersmith.errors import RecipeError, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import decode, encode
from layersmith.recipe.recipe import DEFAULT_USER, Recipe
from layersmith.rootfs.compressor import Compressor

__all__ = ["of_shape", "parse_shape", "shape", "shape_digest", "shape_json"]

_BESIDE: Final = frozenset(
    {
        "base",
        "builder",
        "verify-base",
        "verify-builder",
        "platforms",
        "output",
        "push",
        "mirrors",
        "plain-http",
        "requirements",
        "wheel-dirs",
        "base-image",
        "app",
        "test",
    }
)
# Whatever order these are written in, the same files are chosen.
_SETS: Final = frozenset({"include", "exclude", "allow-unresolved", "replace-package"})


def shape(recipe: Recipe) -> dict[str, Any]:
    """Return the keys that a recipe file would need for the same image, sorted."""
    found: dict[str, Any] = {}
    for field in structs.fields(Recipe):
        key, value = field.encode_name, getattr(recipe, field.name)
        is_wish = bool(value) or (key == "entrypoint" and value is not None)
        if key in _BESIDE or not is_wish or (key, value) == ("user", DEFAULT_USER):
            continue
        if key == "compression":
            value = str(recipe.compressor())
            if value == str(Compressor()):
                continue
        if isinstance(value, tuple):
            found[key] = sorted(set(value)) if key in _SETS else list(value)
        else:
            found[key] = dict(sorted(value.items())) if isinstance(value, dict) else value
    return dict(sorted(found.items()))


def shape_json(recipe: Recipe) -> str:
    """Return the shape as compact JSON: what :func:`shape_digest` is the digest of."""
    return encode(shape(recipe)).decode()


def shape_digest(recipe: Recipe) -> Digest:
    """Return the digest that two recipes share whose images have the same shape."""
    return Digest.of(encode(shape(recipe)))


def parse_shape(text: str, where: str) -> Recipe:
    """Read the JSON of a shape; raises :class:`DocumentError` or :class:`RecipeError`."""
    return of_shape(decode(text.encode("utf-8", "surrogatepass"), where), where)


def of_shape(keys: Any, where: str) -> Recipe:
    """Return the recipe that has just these keys; raises :class:`RecipeError`."""
    try:
        recipe = msgspec.convert(keys, Recipe).check()
    except msgspec.ValidationError as error:
        raise RecipeError(one_line(str(error), 200), place=where) from None
    except RecipeError as error:
        raise RecipeError(error.message, place=where, hint=error.hint) from None
    if beside := _BESIDE & keys.keys():
        raise RecipeError(f"{min(beside)!r} does not belong here", place=where)
    return recipe
