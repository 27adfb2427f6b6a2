"""Uncompressed layers in the cache: read once, then known by their index.

One pass over a layer's blob verifies it, inflates it, verifies its diff_id, hashes
every file and writes the uncompressed tar. Afterwards the index answers for its
entries, and a file's bytes are read from the tar and verified by their own digest.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from layersmith.errors import DigestMismatch, LayerError, VerificationError, intention
from layersmith.oci.content import twice
from layersmith.oci.digest import Digest
from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.layer import read_layer
from layersmith.stores.cache import touch
from layersmith.stores.files import OpenFile, disk_errors
from layersmith.stores.index import pack_index, unpack_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Progress, Readable
    from layersmith.oci.image import Layer
    from layersmith.rootfs.entries import File
    from layersmith.rootfs.layer import Change
    from layersmith.stores.cache import Cache, CachedSource
    from layersmith.stores.files import Appearing

__all__ = ["CacheDamagedError", "LayerStore", "digest_of"]

_PIECE: Final = 1 << 20
_TRIES: Final = 5


class CacheDamagedError(VerificationError):
    """A layer in the cache is not what it was; it has been dropped, so try again."""


class LayerStore:
    """The layers of a cache, as changes to read and as contents of files."""

    def __init__(self, cache: Cache, progress: Progress) -> None:
        self._cache = cache
        self._progress = progress
        self._files: dict[str, OpenFile] = {}
        self._lock = Lock()
        self._mending = Lock()

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
        tar = self._open(content.layer)
        hasher = hashlib.sha256()
        at, end = content.offset, content.offset + content.size
        while True:
            piece = tar.pread(min(_PIECE, end - at), at)
            hasher.update(piece)
            at += len(piece)
            if at == end or not piece:
                break
            yield piece
        if hasher.digest() != content.sha256:
            raise self._damaged(content.layer, tar)
        yield piece

    def mend(self, source: CachedSource, layer: Layer, *, keep_blob: bool) -> None:
        """Fetch a layer again if the cache does not have it whole, every byte verified.

        Its tar stays open from then on, so that who prunes the cache is not in the way.
        """
        path = self._cache.layer_path(layer.diff_id, "tar")
        with self._mending:
            try:
                is_whole = digest_of(OpenFile.at(path), layer.diff_id.algorithm) == layer.diff_id
            except OSError:
                is_whole = False
            if not is_whole:
                self.drop(layer.diff_id)
            for _ in range(_TRIES):
                self.changes(source, layer, keep_blob=keep_blob)
                with suppress(CacheDamagedError):
                    self._open(layer.diff_id)
                    return

    def drop(self, diff_id: Digest) -> None:
        """Forget a layer; who reads it still can."""
        with self._lock:
            self._files.pop(diff_id, None)
        for part in ("index", "tar"):
            self._cache.drop(self._cache.layer_path(diff_id, part))

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._files.clear()

    def _damaged(self, diff_id: str, found: OpenFile | None) -> CacheDamagedError:
        with self._lock:
            is_known = self._files.get(diff_id) is found
        if is_known:  # or else another thread has mended it already
            self.drop(Digest(diff_id))
        return CacheDamagedError(
            f"the cached layer {diff_id} is damaged; it was dropped",
            hint="run the command again to fetch it anew",
        )

    def _open(self, diff_id: str) -> OpenFile:
        with self._lock:
            file = self._files.get(diff_id)
            if file is not None:
                return file
        path = self._cache.layer_path(Digest(diff_id), "tar")
        with disk_errors(f"reading the cache {path}"), suppress(FileNotFoundError):
            file = OpenFile.at(path)
        if file is None:  # somebody pruned it since its index was read
            raise self._damaged(diff_id, None)
        with self._lock:
            return self._files.setdefault(diff_id, file)

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
            tar = self._cache.layer_path(diff_id, "tar")
            if found and tar.stat().st_size == found[0]:
                touch(tar)
                touch(self._cache.layer_path(diff_id, "index"))
                return found[1]
        return None


def _blob_key(layer: Layer) -> str:
    return f"blob {layer.descriptor.digest} {layer.compression} is {layer.diff_id}"


def digest_of(file: OpenFile, algorithm: str) -> Digest:
    """Return the digest of a whole file; raises :class:`OSError`."""
    hasher, stream = hashlib.new(algorithm), file.whole()
    while data := stream.read(_PIECE):
        hasher.update(data)
    return Digest.of_hasher(hasher, algorithm)


def _drain(stream: Readable) -> None:
    while stream.read(_PIECE):
        pass
