"""Two images that ought to be equal: where they differ, in words that lead to the cause.

What follows from something else is not told: where a layer differs its digest does, and
with it the manifest's and the index's.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.tar import TarReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.oci.content import Source
    from layersmith.oci.documents import Document
    from layersmith.oci.image import Image, Layer
    from layersmith.rootfs.tar import TarEntry

__all__ = ["Difference", "documents", "images", "layers"]

_FIELDS: Final = ("type", "mode", "uid", "gid", "mtime", "size", "link", "major", "minor", "xattrs")
_TYPES: Final = {
    "0": "file", "1": "hard link", "2": "symbolic link", "3": "device", "4": "device",
    "5": "directory", "6": "named pipe",
}  # fmt: skip
# Sizes and digests of what is compared itself.
_FOLLOWS: Final = re.compile(
    r"(?:manifests\[\d+\]|config|layers\[\d+\])\.(?:digest|size)|rootfs\.diff_ids\[\d+\]"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` differs in `where`: the `image` says one thing, what was `rebuilt` another."""

    where: str
    what: str
    image: str
    rebuilt: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.where}: {self.what}: the image has {self.image}, rebuilt {self.rebuilt}"


def documents(where: str, one: Document[Any], two: Document[Any]) -> Iterator[Difference]:
    """Yield the keys in which two documents differ, but for what follows from others."""
    if one.raw == two.raw:
        return
    mine, theirs = dict(_flat(one.json)), dict(_flat(two.json))
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    for key in keys:
        if _FOLLOWS.fullmatch(key) is None:
            yield Difference(where, key, mine.get(key, "nothing"), theirs.get(key, "nothing"))
    if not keys:
        yield Difference(where, "the same values in other bytes", one.descriptor.digest,
                         two.descriptor.digest)  # fmt: skip


def images(
    one: tuple[Source, Image], two: tuple[Source, Image], compressor: tuple[str, str]
) -> Iterator[Difference]:
    """Yield where two images of a platform differ; `compressor` made the layer of each."""
    (source, image), (other_source, other) = one, two
    where = str(other.platform)
    yield from documents(f"{where} manifest", image.manifest, other.manifest)
    yield from documents(f"{where} config", image.config, other.config)
    if len(image.layers) != len(other.layers):
        return  # the documents say so
    for number, (mine, theirs) in enumerate(zip(image.layers, other.layers, strict=True), 1):
        name = f"{where} layer {number}"
        if mine.diff_id != theirs.diff_id:
            yield from layers(name, (source, mine), (other_source, theirs))
        elif mine.descriptor.digest != theirs.descriptor.digest:
            about = zip(compressor, (mine, theirs), strict=True)
            said = (f"{c} ({layer.descriptor.size} bytes)" for c, layer in about)
            yield Difference(name, "same tar, other compressor", *said)


def layers(
    where: str, one: tuple[Source, Layer], two: tuple[Source, Layer]
) -> Iterator[Difference]:
    """Yield the files and header fields in which two layers differ."""
    mine, theirs = _entries(*one), _entries(*two)
    found = list(_entry_differences(where, mine, theirs))
    if not found and list(mine) != list(theirs):
        first = next(pair for pair in zip(mine, theirs, strict=True) if pair[0] != pair[1])
        said = (f"{path!r} first" for path in first)
        found = [Difference(where, "the order of the entries", *said)]
    if not found:
        ids = (one[1].diff_id, two[1].diff_id)
        found = [Difference(where, "the same files under other headers", *ids)]
    yield from found


_Entries = dict[str, "tuple[TarEntry, str]"]


def _entries(source: Source, layer: Layer) -> _Entries:
    """Read a layer's headers, and hash each file."""
    found: _Entries = {}
    with source.open(layer.descriptor) as stream:
        pieces = decompress(stream, layer.compression, layer.descriptor.size)
        reader = TarReader(PieceReader(pieces))
        for entry in reader:
            hasher = hashlib.sha256()
            for piece in reader.content():
                hasher.update(piece)
            found[entry.path] = entry, f"sha256:{hasher.hexdigest()}"
    return found


def _entry_differences(where: str, mine: _Entries, theirs: _Entries) -> Iterator[Difference]:
    for path in sorted(mine.keys() | theirs.keys()):
        name = f"{where}: /{path}"
        if path not in theirs or path not in mine:
            there = [_kind(side[path][0]) if path in side else "none" for side in (mine, theirs)]
            yield Difference(name, "the entry itself", *there)
            continue
        (entry, digest), (other, other_digest) = mine[path], theirs[path]
        for field in _FIELDS:
            values = getattr(entry, field), getattr(other, field)
            if values[0] != values[1]:
                yield Difference(name, field, *(_said(field, value) for value in values))
        if entry.size == other.size and digest != other_digest:
            yield Difference(name, "content", digest, other_digest)


def _kind(entry: TarEntry) -> str:
    return f"a {_TYPES.get(entry.type, entry.type)} of {entry.size} bytes"


def _said(field: str, value: Any) -> str:
    if field == "mode":
        return f"{value:04o}"
    return _TYPES.get(value, value) if field == "type" else repr(value)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every value of a JSON document as text, with its path."""
    children: Mapping[str, Any] = {}
    if isinstance(value, dict):
        children = {f"{path}.{key}" if path else key: child for key, child in value.items()}
    elif isinstance(value, list):
        children = {f"{path}[{number}]": child for number, child in enumerate(value)}
    if not children:
        yield path, json.dumps(value, ensure_ascii=False)
    for name, child in children.items():
        yield from _flat(child, name)
