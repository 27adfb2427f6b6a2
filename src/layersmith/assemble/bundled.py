"""Reading bundles: the lock in it, and whether what it needs is there and intact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.assemble.builder_tools import WHEEL_TYPE
from layersmith.assemble.noting import Noting
from layersmith.errors import DocumentError, LayerError, NotFound, VerificationError
from layersmith.oci.content import read_document
from layersmith.oci.documents import Descriptor, Manifest, Platform
from layersmith.oci.graph import walk
from layersmith.oci.image import load, load_at, select
from layersmith.recipe.lock import Lock, parse_lock
from layersmith.stores.bundle import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from layersmith.oci.content import Progress
    from layersmith.oci.digest import Digest

__all__ = ["ARTIFACT", "LOCK_TYPE", "Need", "Opened", "open_bundle"]

ARTIFACT: Final = "application/vnd.layersmith.bundle.v1"
LOCK_TYPE: Final = "application/vnd.layersmith.lock.v1+toml"
_OURS: Final = frozenset({"base", "builder", "lock"})
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Need:
    """A blob, and what for."""

    blob: Descriptor
    by: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle with its lock."""

    bundle: Bundle
    lock: Lock

    @property
    def tags(self) -> list[str]:
        """The names of the image in it."""
        return [name for name in self.bundle.tags() if name not in _OURS]

    def inputs(self, platforms: Sequence[Platform]) -> Iterator[Need]:
        """Yield what an assemble for `platforms` reads, as far as it can be known."""
        for name, locked in (("base", self.lock.base), ("builder", self.lock.builder)):
            yield Need(locked.descriptor, f"the {name}'s index")
            for platform in platforms:
                yield from self._image(name, locked.descriptor, platform)
        for platform in platforms:
            locked_platform = self.lock.platforms.get(str(platform))
            for filename, digest in (locked_platform.wheels if locked_platform else {}).items():
                size = self.bundle.size_of(digest) or 0
                blob = Descriptor(media_type=WHEEL_TYPE, digest=digest, size=size)
                yield Need(blob, f"{filename}, {platform}")

    def image(self) -> Iterator[Need]:
        """Yield what the image in the bundle consists of."""
        for tag in self.tags[:1]:
            noting = Noting(self.bundle)
            try:
                nodes = list(walk(noting, self.bundle.resolve(tag)).nodes())
            except (NotFound, VerificationError):
                nodes = []
            yield from (Need(blob, f"a document of the image {tag}") for blob in noting.noted)
            for node in nodes:
                of = str(node.descriptor.platform or tag)
                yield from (Need(blob, f"the image {tag}, {of}") for blob in node.blobs)

    def check(self, platforms: Sequence[Platform]) -> None:
        """Raise :class:`NotFound` with every blob that an assemble would miss, and for what."""
        missing = missing_of(self.bundle, self.inputs(platforms))
        if missing:
            raise NotFound(
                f"{self.bundle.name} lacks {len(missing)} of its blobs: " + "; ".join(missing),
                hint="bring the bundle again; layersmith bundle verify tells more",
            )

    def damaged(self, progress: Progress) -> Iterator[tuple[Digest, str]]:
        """Read every blob, needed or not; yield those whose bytes are not what they are named."""
        digests = self.bundle.blobs
        total = sum(self.bundle.size_of(digest) or 0 for digest in digests)
        for digest in digests:
            size = self.bundle.size_of(digest) or 0
            blob = Descriptor(media_type="application/octet-stream", digest=digest, size=size)
            try:
                with self.bundle.open(blob) as stream:
                    while data := stream.read(_PIECE):
                        progress.advance("verify", len(data), total)
            except VerificationError as error:
                yield digest, error.message

    def _image(self, name: str, top: Descriptor, platform: Platform) -> Iterator[Need]:
        noting = Noting(self.bundle)
        layers: Sequence[Descriptor] = ()
        try:
            image = select(noting, load_at(noting, top), platform)
            layers = image.manifest.value.layers
        except (NotFound, VerificationError):
            if all(map(self.bundle.has, noting.noted)):
                raise
        yield from (Need(blob, f"the {name}, {platform}") for blob in noting.noted[1:])
        for number, layer in enumerate(layers, 1):
            yield Need(layer, f"layer {number} of the {name}, {platform}")


def open_bundle(path: Path) -> Opened:
    """Open a bundle and read its lock; raises :class:`NotFound` or :class:`DocumentError`."""
    bundle = Bundle(path)
    try:
        bundle.index()
    except LayerError as error:
        error.hint = error.hint or "layersmith bundle verify tells what is damaged"
        raise
    try:
        top = load(bundle, "lock")
    except NotFound as error:
        hint = "make one with: layersmith bundle create"
        raise NotFound(f"{bundle.name} is no bundle: {error.message}", hint=hint) from None
    value = top.value
    if not isinstance(value, Manifest) or value.artifact_type != ARTIFACT:
        raise DocumentError(f"{bundle.name}: what it calls its lock is something else")
    locks = [layer for layer in value.layers if layer.media_type == LOCK_TYPE]
    if len(locks) != 1:
        raise DocumentError(f"{bundle.name} has {len(locks)} locks")
    return Opened(bundle, parse_lock(read_document(bundle, locks[0]), f"the lock in {path}"))


def missing_of(bundle: Bundle, needs: Iterator[Need]) -> list[str]:
    """Return a line for each blob that is not there, with all who need it."""
    found: dict[Digest, list[str]] = {}
    for need in needs:
        if not bundle.has(need.blob):
            wanted_by = found.setdefault(need.blob.digest, [])
            if need.by not in wanted_by:
                wanted_by.append(need.by)
    return [f"{digest} ({', '.join(by)})" for digest, by in found.items()]
