"""The cache: content by digest, verified whenever it is read.

::

    <root>/v1/blobs/sha256/<hex>     blobs, manifests, configs as they came
    <root>/v1/layers/<diff_id hex>/  tar: an uncompressed layer; index: its changes
    <root>/v1/memo/<hex>             small answers by the digest of their question
    <root>/v1/turns/                 locks of what is being fetched just now

Nothing in it is trusted for being there. Files appear by rename, so any number of
processes can share it; they take turns to fetch what all of them want, but nothing
depends on that. A file that rotted is dropped and fetched again.
Nothing is synced to the disk: after a power cut a torn file is found when it is read.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import VerificationError
from layersmith.oci.content import CHUNK, NoProgress, Readable, Source, VerifiedReader, twice
from layersmith.oci.digest import Digest
from layersmith.stores.files import OpenFile, appearing, disk_errors
from layersmith.stores.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from layersmith.oci.content import Progress
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.files import Appearing

__all__ = ["Cache", "CachedSource", "memo_value", "touch"]

_VERSION: Final = "v1"
_HEX: Final = 64
_PIECE: Final = 1 << 20
_USE: Final = 600  # seconds: not every use is worth a write


@dataclass(slots=True)
class NewBlob:
    """A blob being written; `digest` is set by the writer."""

    file: Appearing
    digest: str = ""


class Cache:
    """A directory of verified content.

    Raises :class:`OutputError` where the directory cannot be written.
    """

    def __init__(self, root: Path, progress: Progress | None = None) -> None:
        self._root = root / _VERSION
        self.turns = Turns(self._root / "turns", progress or NoProgress())
        self._held: dict[Digest, OpenFile] = {}
        self._unverified: dict[Digest, Descriptor] = {}

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
        with disk_errors(f"reading the cache {path}"):
            file = self._held.get(descriptor.digest) or OpenFile.at(path)
            yield VerifiedReader(file.whole(), descriptor, "the cache")

    def sound(self, descriptor: Descriptor) -> OpenFile | None:
        """Return the blob, open, if it is there and verifies; a damaged one is dropped."""
        path = self.blob_path(descriptor.digest)
        file = None
        try:
            file = OpenFile.at(path)
            reader = VerifiedReader(file.whole(), descriptor, "the cache")
            while reader.read(_PIECE):
                pass
        except OSError:
            return None
        except VerificationError:
            if file is not None and file.has_name(path):  # not another's, just mended
                self.drop(path)
            return None
        touch(path)
        return file

    def intact(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is there and verifies; a damaged one is dropped."""
        return self.sound(descriptor) is not None

    def hold(self, descriptor: Descriptor) -> bool:
        """Keep the blob open, whatever others remove, if it is there and verifies."""
        file = self.sound(descriptor)
        if file is not None:
            self._held[descriptor.digest] = file
        return file is not None

    def keep(self, descriptor: Descriptor) -> bool:
        """Keep the blob open, whatever others remove, if it is there.

        It is verified when it is read, and only then: see :meth:`hold`.
        """
        try:
            file = OpenFile.at(self.blob_path(descriptor.digest))
        except OSError:
            return False
        if file.size != descriptor.size:
            return False
        self._held[descriptor.digest] = file
        self._unverified[descriptor.digest] = descriptor
        touch(self.blob_path(descriptor.digest))
        return True

    def kept(self) -> tuple[Descriptor, ...]:
        """Return what :meth:`keep` kept."""
        return tuple(self._unverified.values())

    def put(self, descriptor: Descriptor, chunks: Iterable[bytes]) -> OpenFile:
        """Keep a blob; `chunks` must have been verified by whom they came from.

        Returns it open: it can be read even if another process prunes the cache.
        """
        path = self.blob_path(descriptor.digest)
        with disk_errors(f"writing the cache {path}"), appearing(path) as file:
            for chunk in chunks:
                file.write(chunk)
                self.turns.alive()
            return file.reopened()

    @contextmanager
    def new_file(self, path: Path) -> Iterator[Appearing]:
        """Write a file of the cache that appears when the block ends well."""
        with disk_errors(f"writing the cache {path}"), appearing(path) as file:
            yield file

    @contextmanager
    def new_blob(self) -> Iterator[NewBlob]:
        """Write a blob whose digest is known at the end; set it before the block ends.

        It is held open: this run can read it even if another process prunes the cache.
        """
        place = self._root / "blobs" / "sha256" / "new"
        with disk_errors(f"writing the cache {place}"), appearing(place) as file:
            new = NewBlob(file)
            yield new
            file.path = self.blob_path(Digest(new.digest))
            self._held[Digest(new.digest)] = file.reopened()

    def recall(self, key: str) -> bytes | None:
        """Return what :meth:`remember` kept under `key`, if it is intact."""
        path = self._memo(key)
        try:
            kept = path.read_bytes()
        except OSError:
            return None
        value = memo_value(path.name, kept)
        if value is None:
            self.drop(path)
        else:
            touch(path)
        return value

    def remember(self, key: str, value: bytes) -> None:
        """Keep a small answer to the question `key`."""
        path = self._memo(key)
        with self.new_file(path) as file:
            file.write(_memo_check(path.name, value) + value)

    def drop(self, path: Path) -> None:
        """Remove a damaged file; another process may have been faster."""
        with disk_errors(f"cleaning the cache {path}"), suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - the error must stay an OSError of this path

    def _memo(self, key: str) -> Path:
        return self._root / "memo" / Digest.of(key.encode()).encoded


def memo_value(name: str, kept: bytes) -> bytes | None:
    """Return the answer in the memo file `name`, or None if it is damaged."""
    check, value = kept[:_HEX], kept[_HEX:]
    return value if check == _memo_check(name, value) else None


def _memo_check(name: str, value: bytes) -> bytes:
    return Digest.of(name.encode() + b"\n" + value).encoded.encode()


def touch(path: Path) -> None:
    """Note that a file was used: pruning removes first what was not used for longest."""
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _USE:
            os.utime(path)


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
        file = self._cache.sound(descriptor)
        if file is None:
            name = f"blob-{descriptor.digest.encoded}"
            with self._cache.turns.taken(name, descriptor.size):
                # Another process may have fetched it while this one waited.
                file = self._cache.sound(descriptor) or twice(lambda: self._fetch(descriptor))
        yield VerifiedReader(file.whole(), descriptor, f"the cache of {self.name}")

    def _fetch(self, descriptor: Descriptor) -> OpenFile:
        with self._source.open(descriptor) as stream:
            return self._cache.put(descriptor, iter(lambda: stream.read(CHUNK), b""))

    @contextmanager
    def stream(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open without keeping: for blobs that are kept in another form."""
        file = self._cache.sound(descriptor)
        if file is None:
            with self._source.open(descriptor) as stream:
                yield stream
        else:
            yield VerifiedReader(file.whole(), descriptor, f"the cache of {self.name}")
