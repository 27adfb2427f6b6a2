"""The cache: content by digest, verified whenever it is read.

::

    <root>/v1/blobs/sha256/<hex>     blobs, manifests, configs as they came
    <root>/v1/layers/<diff_id hex>/  tar: an uncompressed layer; index: its changes
    <root>/v1/memo/<hex>             small answers by the digest of their question

Nothing in it is trusted for being there. Files appear by rename, so any number of
processes can share it without locks; a file that rotted is dropped and fetched again.
Nothing is synced to the disk: after a power cut a torn file is found when it is read.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import VerificationError
from layersmith.oci.content import CHUNK, Readable, Source, VerifiedReader, twice
from layersmith.oci.digest import Digest
from layersmith.stores.files import appearing, disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from layersmith.oci.documents import Descriptor
    from layersmith.stores.files import Appearing

__all__ = ["Cache", "CachedSource"]

_VERSION: Final = "v1"
_HEX: Final = 64


@dataclass(slots=True)
class NewBlob:
    """A blob being written; `digest` is set by the writer."""

    file: Appearing
    digest: str = ""


class Cache:
    """A directory of verified content.

    Raises :class:`OutputError` where the directory cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / _VERSION

    @property
    def root(self) -> Path:
        """Where the cache is."""
        return self._root

    def blob_path(self, digest: Digest) -> Path:
        """Where the blob is, if it is there."""
        return self._root / "blobs" / digest.algorithm / digest.encoded

    def layer_path(self, diff_id: Digest, part: str) -> Path:
        """Where ``tar`` or ``index`` of an uncompressed layer is, if it is there."""
        return self._root / "layers" / diff_id.encoded / part

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether a blob of the right size is there (not yet that it is intact)."""
        try:
            return self.blob_path(descriptor.digest).stat().st_size == descriptor.size
        except OSError:
            return False

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open a blob, verified while it is read."""
        path = self.blob_path(descriptor.digest)
        with disk_errors(f"reading the cache {path}"), path.open("rb", buffering=0) as file:
            yield VerifiedReader(file, descriptor, "the cache")

    def intact(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is there and verifies; a damaged one is dropped."""
        if not self.has(descriptor):
            return False
        try:
            with self.open(descriptor) as stream:
                while stream.read(1 << 20):
                    pass
        except VerificationError:
            self.drop(self.blob_path(descriptor.digest))
            return False
        return True

    def put(self, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Keep a blob; `chunks` must have been verified by whom they came from."""
        path = self.blob_path(descriptor.digest)
        with disk_errors(f"writing the cache {path}"), appearing(path) as file:
            for chunk in chunks:
                file.write(chunk)

    @contextmanager
    def new_file(self, path: Path) -> Iterator[Appearing]:
        """Write a file of the cache that appears when the block ends well."""
        with disk_errors(f"writing the cache {path}"), appearing(path) as file:
            yield file

    @contextmanager
    def new_blob(self) -> Iterator[NewBlob]:
        """Write a blob whose digest is known at the end; set it before the block ends."""
        place = self._root / "blobs" / "sha256" / "new"
        with disk_errors(f"writing the cache {place}"), appearing(place) as file:
            new = NewBlob(file)
            yield new
            file.path = self.blob_path(Digest(new.digest))

    def recall(self, key: str) -> bytes | None:
        """Return what :meth:`remember` kept under `key`, if it is intact."""
        path = self._memo(key)
        try:
            kept = path.read_bytes()
        except OSError:
            return None
        head, value = kept[:_HEX], kept[_HEX:]
        if head.decode("ascii", "replace") != Digest.of(key.encode() + value).encoded:
            self.drop(path)
            return None
        return value

    def remember(self, key: str, value: bytes) -> None:
        """Keep a small answer to the question `key`."""
        path = self._memo(key)
        with self.new_file(path) as file:
            file.write(Digest.of(key.encode() + value).encoded.encode() + value)

    def drop(self, path: Path) -> None:
        """Remove a damaged file; another process may have been faster."""
        with disk_errors(f"cleaning the cache {path}"), suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - the error must stay an OSError of this path

    def _memo(self, key: str) -> Path:
        return self._root / "memo" / Digest.of(key.encode()).encoded


class CachedSource:
    """A source that asks the cache first and keeps there what it had to fetch."""

    def __init__(self, source: Source, cache: Cache) -> None:
        self._source = source
        self._cache = cache

    @property
    def name(self) -> str:
        """The inner source's name."""
        return self._source.name

    def resolve(self, identifier: str) -> Descriptor:
        """Ask the inner source: a tag may have moved."""
        return self._source.resolve(identifier)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open from the cache, or fetch into it first; verified either way."""
        if not self._cache.intact(descriptor):
            twice(lambda: self._fetch(descriptor))
        with self._cache.open(descriptor) as stream:
            yield stream

    def _fetch(self, descriptor: Descriptor) -> None:
        with self._source.open(descriptor) as stream:
            self._cache.put(descriptor, iter(lambda: stream.read(CHUNK), b""))

    def stream(self, descriptor: Descriptor) -> AbstractContextManager[Readable]:
        """Open without keeping: for blobs that are kept in another form."""
        if self._cache.intact(descriptor):
            return self._cache.open(descriptor)
        return self._source.open(descriptor)
