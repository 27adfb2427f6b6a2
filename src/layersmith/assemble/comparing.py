"""Two images that ought to be equal: where they differ, in words that lead to the cause.

What follows from something else is not told: where a layer differs its digest does, and
with it the manifest's and the index's.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.tar import BLOCK, TarReader

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
# The fields of a header but its sum, from where to where (POSIX.1, pax, "ustar").
_HEADER: Final = (
    ("name", 0, 100), ("mode", 100, 108), ("uid", 108, 116), ("gid", 116, 124),
    ("size", 124, 136), ("mtime", 136, 148), ("type", 156, 157), ("link", 157, 257),
    ("magic", 257, 265), ("uname", 265, 297), ("gname", 297, 329), ("major", 329, 337),
    ("minor", 337, 345), ("prefix", 345, 500), ("padding", 500, 512),
)  # fmt: skip
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
        found = list(_header_differences(where, mine, theirs))
    if not found:
        ids = (one[1].diff_id, two[1].diff_id)
        what = "the same entries, but other padding, extended headers or end"
        found = [Difference(where, what, *ids)]
    yield from found


class _Entry(NamedTuple):
    """What is said of a file, its digest, and its header as it is."""

    said: TarEntry
    digest: str
    header: bytes


_Entries = dict[str, _Entry]


class _Tail:
    """A stream whose last block is kept: when an entry comes, that is its header."""

    def __init__(self, stream: PieceReader) -> None:
        self._stream = stream
        self.block = b""

    def read(self, size: int = -1, /) -> bytes:
        """Read as the stream does."""
        data = self._stream.read(size)
        self.block = data[-BLOCK:] if len(data) >= BLOCK else (self.block + data)[-BLOCK:]
        return data


def _entries(source: Source, layer: Layer) -> _Entries:
    """Read a layer's headers, and hash each file."""
    found: _Entries = {}
    with source.open(layer.descriptor) as stream:
        pieces = decompress(stream, layer.compression, layer.descriptor.size)
        tail = _Tail(PieceReader(pieces))
        reader = TarReader(tail)
        for entry in reader:
            hasher, header = hashlib.sha256(), tail.block
            for piece in reader.content():
                hasher.update(piece)
            found[entry.path] = _Entry(entry, f"sha256:{hasher.hexdigest()}", header)
    return found


def _entry_differences(where: str, mine: _Entries, theirs: _Entries) -> Iterator[Difference]:
    for path in sorted(mine.keys() | theirs.keys()):
        name = f"{where}: /{path}"
        if path not in theirs or path not in mine:
            there = [_kind(side[path].said) if path in side else "none" for side in (mine, theirs)]
            yield Difference(name, "the entry itself", *there)
            continue
        (entry, digest, _), (other, other_digest, _) = mine[path], theirs[path]
        for field in _FIELDS:
            values = getattr(entry, field), getattr(other, field)
            if values[0] != values[1]:
                yield Difference(name, field, *(_said(field, value) for value in values))
        if entry.size == other.size and digest != other_digest:
            yield Difference(name, "content", digest, other_digest)


def _header_differences(where: str, mine: _Entries, theirs: _Entries) -> Iterator[Difference]:
    """Yield the fields that say the same in other bytes, of the first entry with such."""
    for path in mine:
        headers = mine[path].header, theirs[path].header
        found = [
            Difference(f"{where}: /{path}", f"the bytes of {name} in its header", *map(repr, both))
            for name, start, end in _HEADER
            if len(set(both := tuple(header[start:end] for header in headers))) > 1
        ]
        if found:
            yield from found
            return


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
