"""The new layer: packed, hashed, compressed and hashed in one pass, into the cache."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.assemble.outcome import TopLayer
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode
from layersmith.rootfs.entries import File, Slice
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tar import BLOCK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from layersmith.oci.content import Progress
    from layersmith.rootfs.compressor import Compressor
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents
    from layersmith.stores.cache import Cache

__all__ = ["make_layer"]

# Changes whenever pack() would give other bytes for the same entries, or TopLayer another form.
_FORMAT: Final = "layersmith tar 2"
# Made here, not at its first use: see strictjson.typed.
_DECODER: Final = msgspec.json.Decoder(TopLayer)


def make_layer(
    entries: Mapping[str, Entry],
    contents: Contents,
    mtime: int,
    compressor: Compressor,
    cache: Cache,
    progress: Progress,
    task: str,
    removed: Collection[str] = (),
) -> TopLayer:
    """Return the layer of `entries`, from the cache if it was made before.

    It takes away what the layers below have at the paths `removed`.
    """
    key = _key(entries, mtime, compressor, removed)
    kept = cache.recall(key)
    if kept is not None:
        known = _DECODER.decode(kept)
        if cache.hold(known.layer.descriptor):
            return known
    made = _make(entries, contents, mtime, compressor, cache, progress, task, removed)
    cache.remember(key, encode(made))
    return made


def _make(
    entries: Mapping[str, Entry],
    contents: Contents,
    mtime: int,
    compressor: Compressor,
    cache: Cache,
    progress: Progress,
    task: str,
    removed: Collection[str],
) -> TopLayer:
    total = sum(_padded(entry) for entry in entries.values())
    tar, blob = _Counter(), _Counter()

    def packed() -> Iterator[bytes]:
        for chunk in tar.through(pack(entries, contents, mtime, removed)):
            progress.advance(task, len(chunk), total)
            yield chunk

    with cache.new_blob() as new:
        for piece in blob.through(compressor.compress(packed())):
            new.file.write(piece)
        new.digest = blob.digest
    return TopLayer(blob.digest, tar.digest, blob.size, tar.size, compressor.media_type)


def _padded(entry: Entry) -> int:
    """Return about how many bytes of the tar an entry takes: a header and full blocks."""
    return BLOCK + (-(-entry.size // BLOCK) * BLOCK if isinstance(entry, File) else 0)


class _Counter:
    """Hashes and counts what passes through."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self.size = 0

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._hasher.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def digest(self) -> Digest:
        return Digest.of_hasher(self._hasher)


def _key(
    entries: Mapping[str, Entry], mtime: int, compressor: Compressor, removed: Collection[str]
) -> str:
    """Name everything that the layer's bytes depend on."""
    hasher = hashlib.sha256(f"{_FORMAT}\n{compressor.identity}\n{mtime}\n".encode())
    for path in sorted(entries):
        entry = entries[path]
        # Two files with one slice become hard links, so the slice is part of the key.
        about = repr((path, type(entry).__name__, entry.meta, _content(entry)))
        hasher.update(about.encode("utf-8", "surrogateescape") + b"\n")
    for path in sorted(removed):
        hasher.update(repr(("removed", path)).encode("utf-8", "surrogateescape") + b"\n")
    return f"layer {hasher.hexdigest()}"


def _content(entry: Entry) -> object:
    if not isinstance(entry, File):
        return getattr(entry, "target", None) or (
            getattr(entry, "kind", None), getattr(entry, "major", 0), getattr(entry, "minor", 0)
        )  # fmt: skip
    if isinstance(entry.content, Slice):
        content = entry.content
        return content.checksum, content.size, content.layer, content.offset
    return hashlib.sha256(entry.content).digest(), len(entry.content)
