"""What an assembly made, and the record of it that a later run with the same inputs reads.

The record answers one question: these inputs, this recipe, this version of layersmith and
this compressor: which documents? They are a few kilobytes, so a run that changes nothing reads
no layer index, plans nothing and packs nothing. What it names in the cache is verified when it
is delivered, as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from layersmith.oci.digest import Digest
from layersmith.oci.documents import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Document,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)
from layersmith.oci.image import Image, Layer
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.inputs import Input
    from layersmith.assemble.signing import Written
    from layersmith.recipe.target import Target
    from layersmith.stores.cache import Cache

__all__ = ["Assembled", "Attached", "LeftOut", "Made", "Outcome", "TopLayer", "Unresolved"]

_T = TypeVar("_T")


class TopLayer(msgspec.Struct, frozen=True):
    """A layer that is in the cache: what describes it, and its uncompressed size."""

    digest: str
    diff_id: str
    size: int
    uncompressed: int
    media_type: str

    @property
    def layer(self) -> Layer:
        """The layer as manifest and config name it."""
        return Layer(
            Descriptor(media_type=self.media_type, digest=Digest(self.digest), size=self.size),
            Digest(self.diff_id),
        )


class Unresolved(msgspec.Struct, frozen=True):
    """A library that is nowhere, as expected, and who would load it."""

    soname: str
    wanted_by: tuple[str, ...]


class LeftOut(msgspec.Struct, frozen=True):
    """A group of the builder's files that was not taken: how many, how large, and why."""

    name: str
    why: str
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Made:
    """One platform, done: its image, the new layer, and what was decided on the way."""

    image: Image
    layer: TopLayer
    unresolved: tuple[Unresolved, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The index, the images below it, and the full version of the Python in them."""

    python: str
    index: Document[Index]
    made: tuple[Made, ...]

    def remember(self, cache: Cache, key: str) -> None:
        """Keep a record of this under `key`, which names all that it depends on."""
        record = _Record(
            self.python,
            self.index.raw,
            tuple(
                _MadeRecord(
                    made.image.platform,
                    made.image.manifest.raw,
                    made.image.config.raw,
                    made.layer,
                    made.unresolved,
                    made.left_out,
                )
                for made in self.made
            ),
        )
        cache.remember(key, encode(record))

    @classmethod
    def recall(cls, cache: Cache, key: str) -> Outcome | None:
        """Return what was made before, if the cache still has every layer of it."""
        kept = cache.recall(key)
        if kept is None:
            return None
        record = _DECODER.decode(kept)
        if not all(cache.has(made.layer.layer.descriptor) for made in record.made):
            return None
        index = _document(record.index, OCI_INDEX, Index)
        return cls(record.python, index, tuple(made.value() for made in record.made))


@dataclass(frozen=True, slots=True)
class Assembled:
    """The result: what was asked for, from what, what came out, and the names it has now."""

    target: Target
    base: Input
    builder: Input
    outcome: Outcome
    names: Sequence[str]
    attached: Sequence[Attached] = ()
    signed: Sequence[Written] = ()


@dataclass(frozen=True, slots=True)
class Attached:
    """A document about an image: `content` is it, `manifest` refers from it to `subject`.

    `platform` is None for what is about all of them; `name` is how its file is called.
    """

    name: str
    platform: Platform | None
    subject: Descriptor
    content: Descriptor
    manifest: Document[Manifest]


class _MadeRecord(msgspec.Struct, frozen=True):
    platform: Platform
    manifest: bytes
    config: bytes
    layer: TopLayer
    unresolved: tuple[Unresolved, ...]
    left_out: tuple[LeftOut, ...]

    def value(self) -> Made:
        config = _document(self.config, OCI_CONFIG, ImageConfig)
        manifest = _document(self.manifest, OCI_MANIFEST, Manifest)
        image = Image(self.platform, manifest, config)  # an index may say more than a config
        return Made(image, self.layer, self.unresolved, self.left_out)


class _Record(msgspec.Struct, frozen=True):
    python: str
    index: bytes
    made: tuple[_MadeRecord, ...]


# Made here, not at its first use: see strictjson.typed.
_DECODER: Final = msgspec.json.Decoder(_Record)


def _document(raw: bytes, media_type: str, kind: type[_T]) -> Document[_T]:
    descriptor = Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))
    return Document.parse(raw, descriptor, kind)
