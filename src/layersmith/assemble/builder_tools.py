"""Which wheels a builder image has: by the requirements that are shipped, or by one's own.

A lock, a bundle or an image's own record names them by digest instead: then these are taken, and
no requirements ask for others.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import LockMismatch, RecipeError, intention, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Descriptor
from layersmith.stores.cache import CachedSource
from layersmith.userfiles import opened, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.pins import Pin
    from layersmith.apps.requirements import Requirements
    from layersmith.apps.wheel import Wheel
    from layersmith.assemble.inputs import Pinned
    from layersmith.assemble.wheels import Chosen, Missing
    from layersmith.assemble.workshop import Workshop
    from layersmith.recipe.recipe import Recipe

__all__ = ["WHEEL_TYPE", "Tools", "fingerprint"]

WHEEL_TYPE: Final = "application/zip"

# Not by importlib.resources: it loads more than all the rest of a run that changes nothing.
_SHIPPED: Final = Path(__file__).parents[1] / "apps" / "builder.txt"
_MOST: Final = 32 << 20
_LOCK_AGAIN: Final = "lock the recipe again: layersmith lock"


def fingerprint(recipe: Recipe) -> dict[str, Any]:
    """Return what the choice of wheels depends on, as far as the recipe says it.

    Read at each run, so nothing that reads requirements is loaded for it.
    """
    text, _ = _text(recipe)
    own = {str(path): _digest(path) for path in _own_files(recipe)}
    return {"requirements": Digest.of(text), "wheels": own}


def _own_files(recipe: Recipe) -> Iterator[Path]:
    for place in recipe.wheel_dirs:
        try:
            found = sorted(Path(place).iterdir())
        except OSError as error:
            raise RecipeError(
                f"{one_line(place)} is no directory of wheels: {error.strerror}"
            ) from None
        yield from (path for path in found if path.suffix in (".whl", ".html"))


def _digest(path: Path) -> Digest:
    try:
        with opened(path) as file:
            return Digest.of_hasher(hashlib.file_digest(file, "sha256"))
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", place=one_line(str(path))) from None


def _text(recipe: Recipe) -> tuple[bytes, str]:
    """Return the requirements and how they are called; raises :class:`RecipeError`."""
    if not recipe.requirements:
        return _SHIPPED.read_bytes(), "layersmith's own"
    where = one_line(recipe.requirements)
    try:
        raw = read_file(Path(recipe.requirements), _MOST)
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", place=where) from None
    if len(raw) > _MOST:
        raise RecipeError(f"larger than {_MOST >> 20} MiB: no requirements", place=where)
    return raw, where


def _parsed(recipe: Recipe) -> Requirements:
    from layersmith.apps.requirements import parse_requirements  # noqa: PLC0415 - cold runs only

    raw, where = _text(recipe)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecipeError("not UTF-8 text", place=where) from None

    def alone(named: str, by: str) -> tuple[str, str]:
        raise RecipeError(
            f"{one_line(named, 100)!r}: a builder's requirements are one file", place=by
        )

    # No variables: what they stand for would not be in the fingerprint.
    return parse_requirements(text, where, {}, alone)


@dataclass(frozen=True, slots=True)
class Tools:
    """Chooses wheels, and opens them, as far as they are not `pinned`."""

    workshop: Workshop
    recipe: Recipe
    pinned: Pinned

    def choose(
        self, interpreters: Mapping[str, Interpreter]
    ) -> dict[str, tuple[tuple[Chosen, ...], dict[str, Wheel]]]:
        """Return for each platform its wheels by name, and all of them opened, by digest.

        Raises :class:`MissingWheels` with every one that is nowhere, :class:`RecipeError`, and
        :class:`LockMismatch` where `pinned` and the recipe contradict each other.
        """
        from layersmith.assemble.wheels import Shop, missing_error  # noqa: PLC0415 - cold runs only

        asked = _parsed(self.recipe)
        folder = Path(self.recipe.requirements).parent
        own = tuple(map(Path, self.recipe.wheel_dirs))
        shop = Shop(self.workshop, self.workshop.options, asked.indexes, folder, own)
        found, lacking = {}, []
        with closing(shop):
            for platform, interpreter in interpreters.items():
                with intention(platform):
                    pins = self._pins(asked, interpreter, platform)
                    chosen = self._bundled(interpreter, platform)
                    missing: list[Missing] = []
                    if not chosen:
                        chosen, missing = shop.choose(pins, interpreter, platform)
                    self._check(chosen, platform)
                found[platform] = tuple(sorted(chosen, key=lambda each: each.name))
                lacking += missing
            if lacking:
                raise missing_error(lacking, lacks_index=shop.lacks_index)
            return {platform: (each, shop.open(each)) for platform, each in found.items()}

    def _pins(self, asked: Requirements, interpreter: Interpreter, platform: str) -> Sequence[Pin]:
        pins = asked.pins(interpreter, (), ())
        if direct := next((pin for pin in pins if pin.direct), None):
            raise RecipeError(
                f"{direct.name} is at a URL: an image could not say how to make it again",
                hint="name its version, and give its wheel with --wheel-dir",
            )
        locked = self.pinned.wheels.get(platform)
        if locked is None:
            return pins
        found = [_pinned(filename, Digest(digest)) for filename, digest in sorted(locked.items())]
        if self.recipe.requirements:
            _compare(pins, found)
        return found

    def _bundled(self, interpreter: Interpreter, platform: str) -> list[Chosen]:
        """Return the wheels of a bundle, brought to where wheels are looked for first."""
        from layersmith.apps.choosing import best, ranks  # noqa: PLC0415 - cold runs only
        from layersmith.apps.pins import Remote  # noqa: PLC0415 - as above
        from layersmith.assemble.wheels import Chosen  # noqa: PLC0415 - as above
        from layersmith.stores.bundle import Bundle  # noqa: PLC0415 - as above

        bundle, found = self.pinned.source, []
        if isinstance(bundle, Bundle):
            liked = ranks(interpreter)
            for filename, digest in self.pinned.wheels.get(platform, {}).items():
                pin = _pinned(filename, Digest(digest))
                if best([Remote(filename, "")], pin, interpreter, liked) is None:
                    raise RecipeError(
                        f"{bundle.name} has {one_line(filename, 200)}, which is not "
                        f"for {platform} with Python {interpreter.short}"
                    )
                size = bundle.size_of(Digest(digest)) or 0
                blob = Descriptor(media_type=WHEEL_TYPE, digest=Digest(digest), size=size)
                with CachedSource(bundle, self.workshop.cache).open(blob):
                    found.append(Chosen(pin.name, pin.version, filename, digest))
        return found

    def _check(self, chosen: Sequence[Chosen], platform: str) -> None:
        """Refuse a wheel of one's own in the place of the one that is pinned."""
        locked = self.pinned.wheels.get(platform, {})
        for each in chosen:
            if locked and locked.get(each.filename) != each.digest:
                raise LockMismatch(
                    f"{one_line(each.filename)} has the digest {each.digest}, and is not the wheel "
                    "that was taken",
                    hint=f"leave its --wheel-dir out, or {_LOCK_AGAIN}",
                )


def _pinned(filename: str, digest: Digest) -> Pin:
    from layersmith.apps.choosing import named  # noqa: PLC0415 - cold runs only
    from layersmith.apps.pins import Pin  # noqa: PLC0415 - as above

    about = named(filename)
    if about is None:
        raise RecipeError(f"{one_line(filename, 200)!r} is no wheel by its name")
    return Pin(about.name, about.version, frozenset({digest}))


def _compare(asked: Sequence[Pin], locked: Sequence[Pin]) -> None:
    """Refuse a lock of other requirements than those that are given beside it."""
    hashes = {pin.name: pin.hashes for pin in asked}
    for pin in locked:
        if not pin.hashes <= hashes.get(pin.name, frozenset()):
            raise LockMismatch(
                f"the lock has {pin.name} {pin.version}, which is not in the requirements",
                hint=_LOCK_AGAIN,
            )
    if more := sorted(hashes.keys() - {pin.name for pin in locked}):
        raise LockMismatch(f"the requirements have {more[0]}, the lock has not", hint=_LOCK_AGAIN)
