"""Publishing: images go to their places with what is about them, and their tags come last.

Whatever made the images (`assemble`, `app build`, `rebase`), here SBOMs and the statement of their
making are attached to them, and here all of it is signed, once. The rooms that describe and sign
are loaded only by a run that asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from layersmith.assemble.delivery import Delivery, Destination, bring, stale
from layersmith.assemble.places import Place
from layersmith.errors import OutputError, RecipeError, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from layersmith.assemble.delivery import Blob, Stale
    from layersmith.assemble.outcome import Attached
    from layersmith.assemble.places import Repository
    from layersmith.assemble.signing import Signer, Word, Written
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.provenance import Subject
    from layersmith.oci.documents import Descriptor, Document, Index, Manifest
    from layersmith.oci.image import Image
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.cache import Cache

__all__ = [
    "PLAIN", "Beside", "Publication", "Published", "Signing", "again", "destinations", "publish",
]  # fmt: skip

_T = TypeVar("_T")
_TRIES: Final = 3  # a layer of an earlier run may have rotted, and is made anew


@dataclass(frozen=True, slots=True)
class Beside:
    """What is delivered beside the images: SBOMs in these formats, provenance."""

    sboms: tuple[str, ...] = ()
    provenance: bool = False


PLAIN: Final = Beside()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What is published: `top` is an index over `images`, or the one manifest of them.

    `origin` is where what is below was read, `blobs` are all their layers, and who has them.
    `statement` makes provenance of what it is about: the images, as `name` calls them. Where
    nothing was made there is none. `earlier` are layers of an earlier run, that are looked at
    before anything is brought; what the cache keeps is looked at where a place lacks it.
    """

    name: str
    origin: Place
    top: Document[Index] | Document[Manifest]
    images: Sequence[Image]
    blobs: Sequence[Blob]
    statement: Callable[[Sequence[Subject]], bytes] | None = None
    earlier: Sequence[Descriptor] = ()
    whole: Delivery | None = None

    def delivery(self) -> Delivery:
        """Return how to deliver the images alone: `whole`, where there is more below the index."""
        return self.whole or Delivery.of_images(self.top, self.images, self.blobs)

    def subjects(self) -> list[Descriptor]:
        """Return what is signed: every platform's manifest, and then the index."""
        found = [image.manifest.descriptor for image in self.images]
        return found if self.top.descriptor in found else [*found, self.top.descriptor]


class Published(NamedTuple):
    """The names that the images have now, what is attached to them, and what was signed."""

    names: Sequence[str]
    attached: Sequence[Attached]
    signed: Sequence[Written]


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs what is delivered, and as whose: each place's own repository by default."""

    signer: Signer
    repository: str = ""

    def word(self, place: Place) -> Word:
        """Return what is said at a place; raises :class:`InvalidInput` where nothing can be."""
        from layersmith.assemble.signing import Word, named_repository  # noqa: PLC0415 - see above

        place.check_adding()
        return Word(named_repository(place, self.repository, "--sign-as"))

    def sign(
        self,
        place: Place,
        store: Repository,
        subjects: Sequence[Descriptor],
        attached: Sequence[Attached],
        cache: Cache,
    ) -> Iterator[Written]:
        """Sign `subjects`, and attest what is attached to them."""
        from layersmith.assemble.signing import attesting  # noqa: PLC0415 - see above

        word = self.word(place)
        yield from self.signer.say_all(place, store, subjects, word)
        for one in attached:
            said = attesting(word.repository, one.content, cache)
            yield from self.signer.say_all(place, store, [one.subject], said)


def publish(
    workshop: Workshop,
    publication: Publication,
    aims: Sequence[tuple[Place, Sequence[str]]],
    beside: Beside = PLAIN,
    signing: Signing | None = None,
) -> Published | None:
    """Deliver to each place under its tags, with what is beside the images; signed, if asked.

    None if a layer of an earlier run, that only the cache has, is needed and no longer whole: it
    was dropped there, and what was made of it has to be made again. Raises as
    :func:`layersmith.assemble.delivery.bring` does; then no tag was written.
    """
    attached = _attached(workshop, publication, beside)
    if attached is None:
        return None
    written: list[Written] = []
    delivery = publication.delivery()
    if attached:
        from layersmith.assemble.attaching import with_attached  # noqa: PLC0415 - see above

        delivery = with_attached(workshop, delivery, attached)

    def destination(place: Place, tags: Sequence[str]) -> Destination:
        sink = place.sink(workshop.registries)
        found = Destination(sink, tags)
        if attached:
            from layersmith.assemble.attaching import lists_at  # noqa: PLC0415 - see above

            found = replace(found, lists=partial(lists_at, place, sink, attached))
        if signing is None:
            return found
        about = publication.subjects(), attached, workshop.cache
        return replace(found, settle=lambda: written.extend(signing.sign(place, sink, *about)))

    with workshop.timed("deliver"):
        found = [destination(*aim) for aim in aims]
        tags = stale(delivery, found)
        if not _is_whole(workshop.cache, publication, tags):
            return None
        bring(delivery, tags, workshop.crew)
        for one in found:  # where nothing had to be brought
            if all(one is not brought for brought, _ in tags):
                one.settle()
    return Published([p.named(tag) for p, tags in aims for tag in tags], attached, written)


def again(attempt: Callable[[], _T | None]) -> _T:
    """Return what an attempt makes, at the third time if rot in the cache has spoilt two.

    Raises :class:`OutputError`.
    """
    for _ in range(_TRIES):
        found = attempt()
        if found is not None:
            return found
    raise OutputError("the cache is damaged again and again", hint="is its disk sound?")


def destinations(
    recipe: Recipe, default: str, beside: Beside = PLAIN, signing: Signing | None = None
) -> list[Place]:
    """Return where the image goes, to `default` if nothing is said.

    Raises :class:`RecipeError`, :class:`InvalidReference`, or :class:`InvalidInput` for a place
    that cannot hold what is beside the images, or where nothing can be signed.
    """
    places = [Place.parse(text) for text in recipe.push]
    if recipe.output or not recipe.push:
        place = Place.parse(recipe.output or default)
        if place.reference is not None:
            raise RecipeError(
                f"the output {typed(recipe.output, 200)!r} is no layout or archive",
                hint="write oci:DIR, oci-archive:FILE or docker-archive:FILE, or use --push",
            )
        places.append(place)
    one = next((place for place in places if place.holds_one), None)
    if one is not None and len(recipe.chosen_platforms()) > 1:
        raise RecipeError(f"{one!s} can hold one platform", hint="choose one with --platform")
    if beside != PLAIN:
        from layersmith.assemble.attaching import check_places  # noqa: PLC0415 - see above
        from layersmith.assemble.describing import format_of  # noqa: PLC0415 - as above

        check_places(places)
        for name in beside.sboms:
            format_of(name)
    if signing is not None:
        for place in places:
            signing.word(place)
    return places


def _attached(
    workshop: Workshop, publication: Publication, beside: Beside
) -> Sequence[Attached] | None:
    """Return what is attached; None if a layer that it would be made of is not whole."""
    if beside == PLAIN:
        return ()
    from layersmith.assemble.attaching import attached_sboms, attached_statement  # noqa: PLC0415
    from layersmith.assemble.describing import format_of, is_described  # noqa: PLC0415 - as above

    formats = [format_of(name) for name in beside.sboms]
    with workshop.timed("describe"):
        is_known = all(is_described(workshop, image, formats) for image in publication.images)
        # Held, they stay; where nothing is read of them, nothing is asked.
        ours = () if is_known else (*publication.earlier, *workshop.cache.kept())
        if not all(map(workshop.cache.hold, ours)):
            return None
        found = list(attached_sboms(workshop, publication, formats))
        if beside.provenance:
            found += attached_statement(workshop, publication)
    return found


def _is_whole(cache: Cache, publication: Publication, tags: Sequence[Stale]) -> bool:
    """Tell whether what an earlier run has made, and this one has to bring, is still whole."""
    earlier = publication.earlier if tags else ()
    kept = (layer for layer in cache.kept() if _lacking(tags, layer))
    return all(map(cache.hold, earlier)) and all(map(cache.intact, kept))


def _lacking(tags: Sequence[Stale], layer: Descriptor) -> bool:
    """Tell whether a layer has to be brought somewhere; who has it is believed."""
    sinks = {id(destination.sink): destination.sink for destination, _ in tags}
    return not all(sink.has(layer) for sink in sinks.values())
