"""Provenance meets images: made of what was assembled, and tried by assembling again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layersmith import __version__
from layersmith.assemble.comparing import Difference
from layersmith.assemble.inputs import resolve
from layersmith.assemble.locked import pinned_by
from layersmith.assemble.reading import created_at
from layersmith.assemble.record import recorded_wheels
from layersmith.attest.provenance import Subject, parse_provenance
from layersmith.errors import InvalidInput, one_line
from layersmith.oci.strictjson import MAX_DOCUMENT
from layersmith.recipe.lock import Lock, LockedInput, LockedPlatform
from layersmith.recipe.lock import Made as MadeBy
from layersmith.recipe.shape import shape, shape_digest
from layersmith.recipe.target import Target
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.assemble.inputs import Input, Inputs
    from layersmith.assemble.outcome import Made, Outcome
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.provenance import Claim
    from layersmith.oci.digest import Digest
    from layersmith.recipe.recipe import Recipe

__all__ = ["check_subject", "lock_made_by", "prove", "read_provenance"]


def lock_made_by(recipe: Recipe, inputs: Inputs, outcome: Outcome) -> Lock:
    """Return the lock that gives `outcome` again.

    It has no lists of packages, which decide nothing, and names no place of this machine.
    """
    base, builder = inputs
    platforms = {}
    for made in sorted(outcome.made, key=lambda made: made.image.platform.key):
        platform = made.image.platform
        platforms[str(platform)] = LockedPlatform(
            base=base.image(platform).manifest.descriptor.digest,
            builder=builder.image(platform).manifest.descriptor.digest,
            epoch=created_at(made.image),
            wheels=_wheels(recipe, made),
        )
    return Lock(
        python=outcome.python,
        recipe_digest=shape_digest(recipe),
        made=MadeBy(__version__, recipe.compressor().identity),
        recipe=shape(recipe),
        base=_input(base),
        builder=_input(builder),
        platforms=platforms,
    )


def _wheels(recipe: Recipe, made: Made) -> dict[str, Digest]:
    if not Target.parse(recipe.target).is_builder:
        return {}
    about = made.image.manifest.value.annotations
    return recorded_wheels(about, f"the image for {made.image.platform}")


def read_provenance(path: Path) -> Claim:
    """Read a file; raises :class:`InvalidInput` or :class:`DocumentError`."""
    where = one_line(str(path))
    try:
        raw = read_file(path, MAX_DOCUMENT)
    except OSError as error:
        raise InvalidInput(f"{where}: cannot be read: {error.strerror}") from None
    return parse_provenance(raw, where)


def check_subject(claim: Claim, name: str, digest: str) -> None:
    """Raise :class:`InvalidInput` where a statement is not about an image."""
    if digest not in {subject.digest for subject in claim.subjects}:
        raise InvalidInput(
            f"the provenance does not speak of {name} {digest}",
            hint=f"it speaks of {', '.join(subject.digest for subject in claim.subjects[:5])}",
        )


def prove(workshop: Workshop, claim: Claim) -> tuple[Difference, ...]:
    """Assemble what a statement says again; return the subjects that did not come out.

    Raises :class:`InvalidInput` for inputs that nobody else can find, and what an assemble
    raises.
    """
    from layersmith.assemble.making import produce  # noqa: PLC0415 - see assembling

    lock = claim.lock
    findable(lock)
    recipe, pinned, target = lock.wish, pinned_by(lock), Target.parse(lock.wish.target)
    inputs = resolve(workshop, target, recipe, pinned)
    outcome = produce(workshop, target, recipe, inputs, pinned)
    made = [subject.digest for subject in _subjects(recipe, outcome)]
    compressor = recipe.compressor().identity
    missed = [
        Difference(subject.name or "subject", "the digest", subject.digest, made[0])
        for subject in claim.subjects
        if subject.digest not in made
    ]
    if missed and compressor != lock.made.compressor:
        missed.append(Difference("layer", "the compressor", lock.made.compressor, compressor))
    return tuple(missed)


def findable(lock: Lock) -> None:
    """Raise :class:`InvalidInput` where base or builder was a file of some machine."""
    for what, input_ in (("base", lock.base), ("builder", lock.builder)):
        if not input_.reference:
            raise InvalidInput(
                f"the provenance does not say where its {what} {input_.digest} is: "
                "it was a local file",
                hint="give --bundle FILE or --lock FILE",
            )


def _subjects(recipe: Recipe, outcome: Outcome) -> Iterator[Subject]:
    yield Subject(recipe.target, outcome.index.descriptor.digest)
    for made in sorted(outcome.made, key=lambda made: made.image.platform.key):
        digest = made.image.manifest.descriptor.digest
        yield Subject(f"{recipe.target} {made.image.platform}", digest)


def _input(input_: Input) -> LockedInput:
    top, reference = input_.top.descriptor, input_.place.reference
    return LockedInput(str(reference or ""), top.digest, top.media_type, top.size)
