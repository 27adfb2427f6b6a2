"""Uncompressed layers in the cache: read once, then known by their index.

One pass over a layer's blob verifies it, inflates it, verifies its diff_id, hashes
every file and writes the uncompressed tar. Afterwards the index answers for its
entries, and a file's bytes are read from the tar and verified by their own digest.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from layersmith.errors import DigestMismatch, LayerError, VerificationError, intention
from layersmith.oci.content import twice
from layersmith.oci.digest import Digest
from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.layer import read_layer
from layersmith.stores.files import disk_errors
from layersmith.stores.index import pack_index, unpack_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Progress, Readable
    from layersmith.oci.image import Layer
    from layersmith.rootfs.entries import File
    from layersmith.rootfs.layer import Change
    from layersmith.stores.cache import Cache, CachedSource
    from layersmith.stores.files import Appearing

__all__ = ["CacheDamagedError", "LayerStore"]

_PIECE: Final = 1 << 20


class CacheDamagedError(VerificationError):
    """A layer in the cache is not what it was; it has been dropped, so try again."""


class LayerStore:
    """The layers of a cache, as changes to read and as contents of files."""

    def __init__(self, cache: Cache, progress: Progress) -> None:
        self._cache = cache
        self._progress = progress
        self._files: dict[str, int] = {}
        self._lock = Lock()

    def changes(self, source: CachedSource, layer: Layer, *, keep_blob: bool) -> list[Change]:
        """Return a layer's changes, fetching and indexing it if the cache has it not.

        With `keep_blob` the compressed blob stays in the cache too, to be pushed.
        Raises :class:`DigestMismatch` where the tar is not the config's diff_id.
        """
        known = self._index(layer.diff_id)
        if known is not None and self._cache.recall(_blob_key(layer)) is not None:
            return known
        with intention(f"reading layer {layer.descriptor.digest} of {source.name}"):
            return twice(lambda: self._fetch(source, layer, keep_blob))

    def read(self, file: File) -> bytes:
        """Return all bytes of `file`, verified."""
        return b"".join(self.chunks(file))

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield the bytes of `file`; the last piece comes only if all of them verify."""
        content = file.content
        if isinstance(content, bytes):
            yield content
            return
        handle = self._open(content.layer)
        hasher = hashlib.sha256()
        at, end = content.offset, content.offset + content.size
        while True:
            piece = os.pread(handle, min(_PIECE, end - at), at)
            hasher.update(piece)
            at += len(piece)
            if at == end or not piece:
                break
            yield piece
        if hasher.digest() != content.sha256:
            self.drop(Digest(content.layer))
            raise CacheDamagedError(
                f"the cached layer {content.layer} is damaged; it was dropped",
                hint="run the command again to fetch it anew",
            )
        yield piece

    def drop(self, diff_id: Digest) -> None:
        """Forget a layer."""
        with self._lock:
            if diff_id in self._files:
                os.close(self._files.pop(diff_id))
        for part in ("index", "tar"):
            self._cache.drop(self._cache.layer_path(diff_id, part))

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            while self._files:
                os.close(self._files.popitem()[1])

    def _open(self, diff_id: str) -> int:
        with self._lock:
            if diff_id not in self._files:
                path = self._cache.layer_path(Digest(diff_id), "tar")
                with disk_errors(f"reading the cache {path}"):
                    self._files[diff_id] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            return self._files[diff_id]

    def _fetch(self, source: CachedSource, layer: Layer, keep_blob: bool) -> list[Change]:
        opened = source.open if keep_blob else source.stream
        with opened(layer.descriptor) as stream:
            return self._ingest(layer, stream)

    def _ingest(self, layer: Layer, stream: Readable) -> list[Change]:
        path = self._cache.layer_path(layer.diff_id, "tar")
        hasher = layer.diff_id.hasher()
        size = 0

        def recorded(file: Appearing) -> Iterator[bytes]:
            nonlocal size
            for piece in decompress(stream, layer.compression, layer.descriptor.size):
                self._progress.advance("inflate", len(piece), 0)
                hasher.update(piece)
                file.write(piece)
                size += len(piece)
                yield piece

        with self._cache.new_file(path) as file:
            pieces = recorded(file)
            try:
                changes = list(read_layer(PieceReader(pieces), layer.diff_id))
                for _ in pieces:
                    pass
            except LayerError:
                # Damaged bytes may look like a broken tar: the digest has the last word.
                _drain(stream)
                raise
            _drain(stream)
            got = Digest.of_hasher(hasher, layer.diff_id.algorithm)
            if got != layer.diff_id:
                raise DigestMismatch("the uncompressed layer", expected=layer.diff_id, got=got)
        self._remember(layer.diff_id, size, changes)
        # That this blob is that tar has been seen now; a manifest may claim it of another.
        self._cache.remember(_blob_key(layer), b"")
        return changes

    def _remember(self, diff_id: Digest, size: int, changes: list[Change]) -> None:
        with self._cache.new_file(self._cache.layer_path(diff_id, "index")) as file:
            file.write(pack_index(size, changes))

    def _index(self, diff_id: Digest) -> list[Change] | None:
        """Return the changes that the index holds, if index and tar are whole."""
        with suppress(OSError):
            found = unpack_index(self._cache.layer_path(diff_id, "index").read_bytes(), diff_id)
            if found and self._cache.layer_path(diff_id, "tar").stat().st_size == found[0]:
                return found[1]
        return None


def _blob_key(layer: Layer) -> str:
    return f"blob {layer.descriptor.digest} {layer.compression} is {layer.diff_id}"


def _drain(stream: Readable) -> None:
    while stream.read(_PIECE):
        pass
