"""What an image says of how it was made: enough to make it again.

The base stands under the keys of image-spec (annotations.md, "Pre-Defined Annotation
Keys"), the rest under our own. Names are as the recipe has them, never a mirror's, and
never a path of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith import __version__
from layersmith.errors import InvalidInput
from layersmith.oci.derived import OUR_KEYS
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import decode, encode, typed
from layersmith.recipe.shape import parse_shape, shape_digest, shape_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.assemble.inputs import Input
    from layersmith.recipe.recipe import Recipe

__all__ = [
    "APPLICATION",
    "COMPRESSOR",
    "WHEELS",
    "Record",
    "is_ours",
    "made_from",
    "recorded",
    "recorded_wheels",
    "stated",
    "wheels_record",
]

_ABOUT: Final = "org.opencontainers.image."
_BASE: Final = f"{_ABOUT}base."
_BUILDER: Final = f"{OUR_KEYS}builder."
_VERSION: Final = f"{OUR_KEYS}version"
COMPRESSOR: Final = f"{OUR_KEYS}compressor"
_RECIPE: Final = f"{OUR_KEYS}recipe"
_RECIPE_DIGEST: Final = f"{OUR_KEYS}recipe.digest"
# What a builder image was made with, of one platform: the digest of each wheel by its file name.
WHEELS: Final = f"{OUR_KEYS}wheels"
# What is on top of a Python image; see `applying`.
APPLICATION: Final = f"{OUR_KEYS}app"
# A manifest may have 4 MiB, and every client reads it: beyond this the digest alone is there.
_LARGEST: Final = 64 << 10


def recorded(recipe: Recipe, base: Input, builder: Input) -> dict[str, str]:
    """Return the annotations that every image, and the index, carries of its making."""
    text = shape_json(recipe)
    about = {
        **_named(_BASE, base),
        **_named(_BUILDER, builder),
        _VERSION: __version__,
        COMPRESSOR: recipe.compressor().identity,
        _RECIPE_DIGEST: str(shape_digest(recipe)),
    }
    return about if len(text) > _LARGEST else {**about, _RECIPE: text}


def stated(
    recipe: Recipe, base: Input, builder: Input, python: str, created: str
) -> dict[str, str]:
    """Return all annotations of an image, and of the index: its making, and the recipe's own.

    `created` is when, as RFC 3339 has it; the full version of `python` is the image's.
    """
    about = {f"{_ABOUT}created": created, f"{_ABOUT}version": python}
    return {**recorded(recipe, base, builder), **about, **recipe.annotations}


def made_from(annotations: Mapping[str, str]) -> Iterator[tuple[str, str, Digest]]:
    """Yield what a Python image was assembled from, as :func:`recorded` has it.

    That is base and builder, each as it was named (empty for a file), and its digest.
    """
    for what, prefix in (("base", _BASE), ("builder", _BUILDER)):
        name = annotations.get(f"{prefix}name", "")
        yield what, name, Digest(annotations[f"{prefix}digest"])


def wheels_record(digests: Mapping[str, str]) -> dict[str, str]:
    """Return the annotation of a builder image's manifest that names its wheels."""
    text = encode(dict(sorted(digests.items()))).decode()
    return {WHEELS: text} if len(text) <= _LARGEST else {}


def recorded_wheels(annotations: Mapping[str, str], where: str) -> dict[str, Digest]:
    """Read it; raises :class:`InvalidInput`."""
    if WHEELS not in annotations:
        raise InvalidInput(
            f"{where} does not say which wheels it was made with: it has no annotation {WHEELS}",
            hint="give the lock that it was made with, --lock FILE",
        )
    what = f"{where}: {WHEELS}"
    return typed(decode(annotations[WHEELS].encode(), what), dict[str, Digest], what)


def is_ours(annotations: Mapping[str, str]) -> bool:
    """Tell whether an image says that layersmith made it."""
    return _VERSION in annotations and _RECIPE_DIGEST in annotations


def _named(prefix: str, input_: Input) -> dict[str, str]:
    about = {f"{prefix}digest": str(input_.digest)}
    if input_.place.reference is not None:
        about[f"{prefix}name"] = str(input_.place.reference)
    return about


@dataclass(frozen=True, slots=True)
class Record:
    """What the annotations of an image say; empty names are places of another machine."""

    recipe: Recipe
    base: Digest
    builder: Digest
    base_name: str
    builder_name: str
    layersmith: str
    compressor: str

    @classmethod
    def of(cls, annotations: Mapping[str, str], where: str) -> Record:
        """Read them; raises :class:`InvalidInput` for what layersmith did not write."""
        if APPLICATION in annotations:
            raise InvalidInput(
                f"{where} is an application: only Python images are made again from what they say",
                hint="build it again from its sources, with layersmith app build",
            )
        wanted = (f"{_BASE}digest", f"{_BUILDER}digest", _VERSION, COMPRESSOR, _RECIPE)
        missing = [key for key in wanted if key not in annotations]
        if missing:
            raise InvalidInput(
                f"{where} does not say how it was made: it has no annotation {missing[0]}",
                hint="give the lock that it was made with, --lock FILE"
                if _RECIPE_DIGEST in annotations
                else "was it made by layersmith, and not changed since?",
            )
        recipe = parse_shape(annotations[_RECIPE], f"{where}: {_RECIPE}")
        if changed := [key for key in recipe.annotations if key.startswith(_BASE)]:
            raise InvalidInput(
                f"{where} does not say what its base was: the recipe sets {changed[0]}",
                hint="give the lock that it was made with, --lock FILE",
            )
        return cls(
            recipe,
            Digest(annotations[f"{_BASE}digest"]),
            Digest(annotations[f"{_BUILDER}digest"]),
            annotations.get(f"{_BASE}name", ""),
            annotations.get(f"{_BUILDER}name", ""),
            annotations[_VERSION],
            annotations[COMPRESSOR],
        )
