"""Locks meet recipes, images and registries: made, and looked after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from layersmith import __version__
from layersmith.analysis.dpkg import installed, records
from layersmith.assemble.inputs import FREE, Pinned, resolve
from layersmith.assemble.making import plan
from layersmith.assemble.places import Place
from layersmith.errors import NotFound, intention
from layersmith.oci.documents import Platform
from layersmith.oci.image import load_at, select
from layersmith.plan.plan import Plan
from layersmith.recipe.lock import Lock, LockedInput, LockedPlatform, Made
from layersmith.recipe.shape import shape, shape_digest
from layersmith.recipe.target import Target
from layersmith.rootfs.entries import as_utf8

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layersmith.assemble.builder_image import BuilderPlan
    from layersmith.assemble.inputs import Input
    from layersmith.assemble.making import AnyPlanned
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.content import Source
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Document, Index, Manifest
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry import Registries

__all__ = ["Moved", "lock_of", "make_lock", "moved"]


def make_lock(
    workshop: Workshop, recipe: Recipe, pinned: Pinned = FREE, old: Lock | None = None
) -> Lock:
    """Plan everything, and return what the plan depends on; raises as :func:`plan`.

    Who vouched for an input that stays is known from the `old` lock, if nobody is asked now.
    """
    target = Target.parse(recipe.target)
    inputs = resolve(workshop, target, recipe, pinned)
    new = lock_of(plan(workshop, target, recipe, inputs, pinned))
    if old is None:
        return new
    return structs.replace(
        new, base=_vouched(new.base, old.base), builder=_vouched(new.builder, old.builder)
    )


def lock_of(planned: AnyPlanned) -> Lock:
    """Return what `planned` depends on, and the facts that show what an update changes."""
    return Lock(
        python=planned.python,
        recipe_digest=shape_digest(planned.recipe),
        made=Made(__version__, planned.recipe.compressor().identity),
        recipe=shape(planned.recipe),
        base=_input(planned.base),
        builder=_input(planned.builder),
        platforms=dict(map(_platform, planned.plans)),
    )


@dataclass(frozen=True, slots=True)
class Moved:
    """An input whose name stands for something else now; `platforms` are those that changed."""

    name: str
    reference: str
    locked: Digest
    now: Digest
    platforms: tuple[str, ...]


def moved(registries: Registries, lock: Lock) -> list[Moved]:
    """Ask what base and builder stand for now; return those that moved."""
    found = []
    for name, locked in (("base", lock.base), ("builder", lock.builder)):
        if name == "base" and lock.base == lock.builder:
            continue  # one image is both
        place = Place.parse(locked.reference)
        with intention(f"reading {place}"):
            source = place.source(registries)
            now = source.resolve(place.identifier)
            if now.digest == locked.digest:
                continue
            top = load_at(source, now)
            changed = tuple(
                platform
                for platform, about in lock.platforms.items()
                if _image(source, top, platform) != getattr(about, name)
            )
        found.append(Moved(name, locked.reference, locked.digest, now.digest, changed))
    return found


def _image(
    source: Source, top: Document[Index] | Document[Manifest], platform: str
) -> Digest | None:
    try:
        return select(source, top, Platform.parse(platform)).manifest.descriptor.digest
    except NotFound:
        return None


def _vouched(new: LockedInput, old: LockedInput) -> LockedInput:
    stays = (new.reference, new.digest) == (old.reference, old.digest) and not new.verified
    return structs.replace(new, verified=old.verified) if stays else new


def _input(input_: Input) -> LockedInput:
    top = input_.top.descriptor
    return LockedInput(str(input_.place), top.digest, top.media_type, top.size, input_.verified)


def _platform(planned: Plan | BuilderPlan) -> tuple[str, LockedPlatform]:
    if isinstance(planned, Plan):
        return str(planned.inputs.base.platform), _two(planned)
    image = planned.image.manifest.descriptor.digest
    locked = LockedPlatform(
        base=image,
        builder=image,
        epoch=planned.epoch,
        builder_packages=_written((p.name, p.version) for p in installed(planned.root)),
        wheels=planned.digests,
    )
    return str(planned.image.platform), locked


def _two(planned: Plan) -> LockedPlatform:
    inputs = planned.inputs
    below = ((name, package.version) for name, (package, _) in records(inputs.base_root).items())
    ours = ((package.name, package.version) for package in planned.owners.values())
    libraries = ((lib.reasons[0].soname, f"/{lib.path}") for lib in planned.closure.shipped)
    return LockedPlatform(
        base=inputs.base.manifest.descriptor.digest,
        builder=inputs.builder.manifest.descriptor.digest,
        epoch=planned.epoch,
        base_packages=_written(below),
        builder_packages=_written(ours),
        libraries=_written(libraries),
    )


def _written(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {as_utf8(name): as_utf8(value) for name, value in pairs}
