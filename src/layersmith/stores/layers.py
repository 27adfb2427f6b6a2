"""Uncompressed layers in the cache: read once, then known by their index.

One pass over a layer's blob verifies it, inflates it, verifies its diff_id, sums up
every file and writes the uncompressed tar. Afterwards the index answers for its
entries, and a file's bytes are read from the tar and verified by their own checksum.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from layersmith.errors import DigestMismatch, LayerError, VerificationError, intention
from layersmith.oci.content import twice
from layersmith.oci.digest import Digest
from layersmith.rootfs.checksum import Checksum
from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.layer import read_layer
from layersmith.rootfs.tar import Allowance
from layersmith.stores.cache import touch
from layersmith.stores.files import OpenFile, disk_errors
from layersmith.stores.index import index_pieces, unpack_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Progress, Readable
    from layersmith.oci.image import Layer
    from layersmith.rootfs.entries import File
    from layersmith.rootfs.layer import Change
    from layersmith.stores.cache import Cache, CachedSource
    from layersmith.stores.files import Appearing

__all__ = ["CacheDamagedError", "LayerStore", "blob_key", "digest_of"]

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
        self._allowance = Allowance()  # they are all in memory at once

    def changes(self, source: CachedSource, layer: Layer, *, keep_blob: bool) -> list[Change]:
        """Return a layer's changes, fetching and indexing it if the cache has it not.

        With `keep_blob` the compressed blob stays in the cache too, to be pushed.
        Raises :class:`DigestMismatch` where the tar is not the config's diff_id.
        """
        known = self._known(layer)
        if known is not None:
            return known
        name, size = f"layer-{layer.diff_id.encoded}", layer.descriptor.size
        with (
            intention(f"reading layer {layer.descriptor.digest} of {source.name}"),
            self._cache.turns.taken(name, size),
        ):
            # Another process may have read it while this one waited.
            known = self._known(layer)
            return twice(lambda: self._fetch(source, layer, keep_blob)) if known is None else known

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
        hasher = Checksum()
        at, end = content.offset, content.offset + content.size
        while True:
            piece = tar.pread(min(_PIECE, end - at), at)
            hasher.update(piece)
            at += len(piece)
            if at == end or not piece:
                break
            yield piece
        if hasher.digest() != content.checksum:
            self._drop(content.layer, tar)
            raise _damaged(content.layer)
        yield piece

    def mend(self, source: CachedSource, layer: Layer, *, keep_blob: bool) -> None:
        """Fetch a layer again if the cache does not have it whole, every byte verified.

        Its tar stays open from then on, so that who prunes the cache is not in the way.
        """
        path = self._cache.layer_path(layer.diff_id, "tar")
        with self._mending:
            with suppress(OSError):
                tar = OpenFile.at(path)
                if not _is(tar, layer.diff_id):
                    self._drop(layer.diff_id, tar)
            for _ in range(_TRIES):
                self.changes(source, layer, keep_blob=keep_blob)
                with suppress(CacheDamagedError):
                    self._open(layer.diff_id)
                    return

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._files.clear()

    def _drop(self, diff_id: str, found: OpenFile) -> None:
        """Forget the tar that was found damaged; one that took its place meanwhile stays."""
        with self._lock:
            if self._files.get(diff_id) is found:
                del self._files[diff_id]
        index, tar = (self._cache.layer_path(Digest(diff_id), part) for part in ("index", "tar"))
        if found.has_name(tar):
            self._cache.drop(index)
            self._cache.drop(tar)

    def _open(self, diff_id: str) -> OpenFile:
        with self._lock:
            file = self._files.get(diff_id)
        if file is not None:
            return file
        path = self._cache.layer_path(Digest(diff_id), "tar")
        with disk_errors(f"reading the cache {path}"), suppress(FileNotFoundError):
            return self._hold(diff_id, OpenFile.at(path))
        raise _damaged(diff_id)  # somebody pruned it

    def _hold(self, diff_id: str, file: OpenFile) -> OpenFile:
        """Keep a tar open, so that who prunes the cache is not in the way."""
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
                self._cache.turns.alive()
                hasher.update(piece)
                file.write(piece)
                size += len(piece)
                yield piece

        with self._cache.new_file(path) as file:
            pieces = recorded(file)
            try:
                changes = list(read_layer(PieceReader(pieces), layer.diff_id, self._allowance))
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
            tar = file.reopened()
        self._remember(layer.diff_id, size, changes)
        with self._lock:
            self._files[layer.diff_id] = tar
        # That this blob is that tar has been seen now; a manifest may claim it of another.
        self._cache.remember(blob_key(layer), b"")
        return changes

    def _remember(self, diff_id: Digest, size: int, changes: list[Change]) -> None:
        with self._cache.new_file(self._cache.layer_path(diff_id, "index")) as file:
            for piece in index_pieces(size, changes):
                file.write(piece)

    def _known(self, layer: Layer) -> list[Change] | None:
        """Return the changes of a layer whose blob and tar have been seen to belong together."""
        known = self._index(layer.diff_id)
        if known is None or self._cache.recall(blob_key(layer)) is None:
            return None
        return known

    def _index(self, diff_id: Digest) -> list[Change] | None:
        """Return the changes that the index holds, if index and tar are whole."""
        tar, index = (self._cache.layer_path(diff_id, part) for part in ("tar", "index"))
        with suppress(OSError):
            found = unpack_index(index.read_bytes(), diff_id)
            file = OpenFile.at(tar)
            if found and file.status.st_size == found[0]:
                self._hold(diff_id, file)
                touch(tar)
                touch(index)
                return found[1]
        return None


def _damaged(diff_id: str) -> CacheDamagedError:
    return CacheDamagedError(
        f"the cached layer {diff_id} is damaged; it was dropped",
        hint="run the command again to fetch it anew",
    )


def blob_key(layer: Layer) -> str:
    """Return the question whether a layer's blob is its tar; nothing is the answer."""
    return f"blob {layer.descriptor.digest} {layer.compression} is {layer.diff_id}"


def digest_of(file: OpenFile, algorithm: str) -> Digest:
    """Return the digest of a whole file; raises :class:`OSError`."""
    hasher, stream = hashlib.new(algorithm), file.whole()
    while data := stream.read(_PIECE):
        hasher.update(data)
    return Digest.of_hasher(hasher, algorithm)


def _is(file: OpenFile, digest: Digest) -> bool:
    with suppress(OSError):
        return digest_of(file, digest.algorithm) == digest
    return False


def _drain(stream: Readable) -> None:
    while stream.read(_PIECE):
        pass
