"""Copying between any two places, digest for digest."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from layersmith.assemble.delivery import Blob, Delivery, Destination, deliver
from layersmith.assemble.referrers import Listed, cosign_tags, find, tag_lists
from layersmith.errors import InvalidInput, InvalidReference, intention
from layersmith.oci.documents import CONFIG_TYPES, Manifest
from layersmith.oci.graph import MAX_NESTING, Node, walk
from layersmith.oci.image import is_beside_images, load, select
from layersmith.oci.reference import valid_tag
from layersmith.stores.refnames import REF_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.assemble.crew import Crew
    from layersmith.assemble.places import Place, Repository
    from layersmith.oci.content import Progress, Readable, Source
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Descriptor, Document, Platform
    from layersmith.stores.registry import Registries

__all__ = ["Copied", "copy", "find_top", "whole"]

# Content that only its own URLs may give out (image-spec layer.md, "Non-Distributable").
_NOT_TO_BE_MOVED: Final = ("nondistributable", "rootfs.foreign")


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, and the name that stands for it now."""

    name: str
    top: Descriptor
    manifests: int
    blobs: int
    size: int
    referrers: Sequence[Descriptor]
    left: Sequence[Descriptor]


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is about the images that are copied: listed as referrers, or tagged by cosign."""

    listed: Sequence[Listed] = ()
    tagged: Mapping[str, Node] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        """The tops of all of it."""
        return [*(listed.node for listed in self.listed), *self.tagged.values()]


def copy(
    registries: Registries,
    crew: Crew,
    places: tuple[Place, Place],
    platform: Platform | None,
    *,
    referrers: bool,
) -> Copied:
    """Copy what the first place names to the second, and name it there, last of all.

    Without a tag of its own, the second gets that of the first. Raises
    :class:`StoreError`, :class:`VerificationError`, :class:`DocumentError`, or
    :class:`InvalidInput` for what the second place cannot hold.
    """
    origin, target = places
    source, sink = origin.source(registries), target.sink(registries)
    with intention(f"reading {origin}"):
        node = walk(source, find_top(source, origin.identifier, platform))
    _check_fits(target, node, referrers=referrers)
    with intention(f"reading {origin}"):
        beside = _beside(origin, source, node) if referrers else _Beside()
    lists = tag_lists(target, sink, beside.listed)
    tag = _tag(origin, target, node.descriptor)
    delivery = _delivery(_watched(source, origin, crew), origin, node, beside, lists)
    deliver(delivery, [Destination(sink, (tag,))], crew)
    return Copied(
        name=target.named(tag),
        top=node.descriptor,
        manifests=sum(map(len, delivery.stages)) - len(lists),
        blobs=len(delivery.blobs),
        size=sum(blob.descriptor.size for blob in delivery.blobs),
        referrers=[one.descriptor for one in beside.nodes],
        left=[d for d in _blobs(node, beside).values() if not _is_to_be_moved(d)],
    )


def whole(registries: Registries, crew: Crew, origin: Place, top: Descriptor) -> Delivery:
    """Return the delivery of what is at a place, and all that is below it."""
    source = origin.source(registries)
    with intention(f"reading {origin}"):
        node = walk(source, top)
    return _delivery(_watched(source, origin, crew), origin, node, _Beside(), {})


def find_top(source: Source, identifier: str, platform: Platform | None) -> Descriptor:
    """Return what `identifier` stands for, or its manifest for `platform`."""
    if platform is None:
        return source.resolve(identifier)
    return select(source, load(source, identifier), platform).manifest.descriptor


def _beside(place: Place, source: Repository, top: Node) -> _Beside:
    listed = find(place, source, top.nodes())
    below = [one for node in (top, *(each.node for each in listed)) for one in node.nodes()]
    return _Beside(listed, cosign_tags(source, below))


def _check_fits(target: Place, node: Node, *, referrers: bool) -> None:
    if not target.holds_one:
        return
    images = [str(n.descriptor.platform) for n in node.nodes() if _is_image(n)]
    if len(images) != 1:
        raise InvalidInput(
            f"{target} can hold one platform, there are {len(images)}",
            hint="choose one with --platform",
        )
    if referrers:
        raise InvalidInput(f"{target} cannot hold referrers", hint="use an oci-archive")


def _is_image(node: Node) -> bool:
    value = node.document.value if node.document else None
    if not isinstance(value, Manifest) or is_beside_images(node.descriptor):
        return False
    return value.config.media_type in CONFIG_TYPES


def _tag(origin: Place, target: Place, top: Descriptor) -> str:
    """Return the tag to write: asked for, or the source's, or its only name there."""
    known = top.annotations.get(REF_NAME, "")
    tag = target.tag or origin.tag or (known if valid_tag(known) else "")
    if not tag and origin.digest is not None:
        raise InvalidReference(
            f"{target} has no tag, and neither has the source", hint=f"write {target}:TAG"
        )
    return tag or "latest"


def _delivery(
    source: Source,
    origin: Place,
    node: Node,
    beside: _Beside,
    lists: dict[str, Document[Any]],
) -> Delivery:
    stages: dict[int, dict[Digest, Document[Any]]] = {}
    depths = {one.descriptor.digest: 0 for one in node.nodes()}
    for listed in beside.listed:
        depths[listed.node.descriptor.digest] = depths[listed.subject] + 1
    for top in (node, *beside.nodes):
        # A referrer comes after what it refers to, an index after what is below it.
        first = depths.get(top.descriptor.digest, 0) * (MAX_NESTING + 2)
        for one in top.nodes():
            if one.document is not None:
                stage = stages.setdefault(first + one.height, {})
                stage[one.descriptor.digest] = one.document
    ordered = [list(stages[at].values()) for at in sorted(stages)]
    blobs = _blobs(node, beside)
    return Delivery(
        top=node.descriptor,
        blobs=[Blob(b, source, origin.reference) for b in blobs.values() if _is_to_be_moved(b)],
        stages=[*ordered, list(lists.values())],
        names=[
            *((tag, top.descriptor) for tag, top in beside.tagged.items()),
            *((tag, document.descriptor) for tag, document in lists.items()),
        ],
        anyway=bool(beside.nodes),
    )


def _blobs(node: Node, beside: _Beside) -> dict[Digest, Descriptor]:
    tops = (node, *beside.nodes)
    return {blob.digest: blob for top in tops for one in top.nodes() for blob in one.blobs}


def _is_to_be_moved(blob: Descriptor) -> bool:
    return not (blob.urls and any(word in blob.media_type for word in _NOT_TO_BE_MOVED))


class _Watched:
    """A source that reports what is read, where the place does not do it itself."""

    def __init__(self, source: Source, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self.name = source.name
        self.resolve = source.resolve

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        with self._source.open(descriptor) as stream:
            yield _Reported(stream, descriptor, self._progress)


class _Reported:
    def __init__(self, stream: Readable, descriptor: Descriptor, progress: Progress) -> None:
        self._stream = stream
        self._task = f"copy {descriptor.digest}"
        self._size = descriptor.size
        self._progress = progress

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._progress.advance(self._task, len(data), self._size)
        return data


def _watched(source: Source, place: Place, crew: Crew) -> Source:
    return source if place.reference is not None else _Watched(source, crew)
