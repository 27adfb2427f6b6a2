"""The ports: where content comes from and where it goes, and verified reading.

A :class:`Source` or a :class:`Sink` is bound to one place that holds one repository:
a registry's repository, an OCI layout directory, an archive, a dictionary. Names in
it are tags or digests.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from layersmith.errors import DigestMismatch, DocumentError, SizeMismatch, VerificationError
from layersmith.oci.digest import Digest
from layersmith.oci.documents import INDEX_TYPES, MANIFEST_TYPES
from layersmith.oci.strictjson import MAX_DOCUMENT

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from layersmith.oci.documents import Descriptor
    from layersmith.oci.reference import Reference

__all__ = [
    "CHUNK",
    "NoProgress",
    "Opener",
    "Progress",
    "Readable",
    "Sink",
    "Source",
    "VerifiedReader",
    "held",
    "is_manifest",
    "read_document",
    "twice",
]

T = TypeVar("T")

CHUNK: Final = 256 * 1024


class Readable(Protocol):
    """The one thing that is asked of a stream."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, empty only at the end."""


Opener = Callable[[], AbstractContextManager[Readable]]
"""Opens the same bytes from their start, as often as it is called."""


class Source(Protocol):
    """A place to read from."""

    @property
    def name(self) -> str:
        """Say where this is, for messages: ``docker.io/library/python``."""

    def resolve(self, identifier: str) -> Descriptor:
        """Return what a tag or digest stands for now; raises :class:`NotFound`."""

    def open(self, descriptor: Descriptor) -> AbstractContextManager[Readable]:
        """Open the bytes of `descriptor`, verified while they are read.

        The stream raises :class:`VerificationError` before its end is reported.
        """


class Sink(Protocol):
    """A place to write to. What is put is durable and complete when `tag` returns."""

    @property
    def name(self) -> str:
        """Say where this is, for messages."""

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the content is there already."""

    def mount(self, descriptor: Descriptor, origin: Reference) -> bool:
        """Take a blob over from another repository of the same registry, if possible."""

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        """Store a blob or manifest; nothing is visible unless all of it verified.

        `opener` is called again where a transfer has to start again.
        """

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Let `name` stand for a manifest that has been put."""

    def stands_for(self, name: str, descriptor: Descriptor) -> bool:
        """Tell whether the tag `name` stands for just this manifest already."""

    def abandon(self) -> None:
        """Remove what was put and never tagged, as far as the place allows it."""


class Progress(Protocol):
    """An observer of bytes: how the library reports without knowing a terminal."""

    def advance(self, task: str, done: int, total: int) -> None:
        """Say that `done` more of `total` bytes of `task` are through.

        The first word of `task` is its kind. A total of 0 is a sign of life, not to be
        shown. May raise, to stop the work.
        """


class NoProgress:
    """Reports to nobody."""

    def advance(self, task: str, done: int, total: int) -> None:
        """Ignore."""


def is_manifest(descriptor: Descriptor) -> bool:
    """Tell whether the descriptor is of a manifest or an index, not a blob."""
    return descriptor.media_type in MANIFEST_TYPES or descriptor.media_type in INDEX_TYPES


def held(raw: bytes) -> Opener:
    """Return the opener of bytes in memory."""
    return lambda: io.BytesIO(raw)


def twice(fetch: Callable[[], T]) -> T:
    """Return what `fetch` returns; it gets a second chance after a :class:`VerificationError`.

    A proxy on the way, or one server of many, may have been at fault.
    """
    try:
        return fetch()
    except VerificationError:
        return fetch()


class VerifiedReader(io.RawIOBase):
    """A stream that ends only where size and digest are right.

    Never asks the inner stream for more than one byte beyond the size; a longer,
    shorter or other stream raises :class:`SizeMismatch` or :class:`DigestMismatch`
    instead of reporting the end.
    """

    def __init__(self, stream: Readable, descriptor: Descriptor, where: str) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = descriptor
        self._where = f"{where}: {descriptor.digest}"
        self._hasher = descriptor.digest.hasher()
        self._left = descriptor.size
        self._verified = False
        self._is_longer = False

    def readable(self) -> bool:
        """Return true."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, empty only at the verified end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if self._left == 0:
            self._finish()
            return b""
        data = self._stream.read(min(size, self._left))
        if not data and size:
            got = self._descriptor.size - self._left
            raise SizeMismatch(self._where, expected=self._descriptor.size, got=got)
        self._hasher.update(data)
        self._left -= len(data)
        if self._left == 0:
            self._finish()
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` from :meth:`read`."""
        view = memoryview(buffer)
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _finish(self) -> None:
        if self._verified:
            return
        expected, size = self._descriptor.digest, self._descriptor.size
        got = Digest.of_hasher(self._hasher, expected.algorithm)
        if got != expected:
            raise DigestMismatch(self._where, expected=expected, got=got)
        self._is_longer = self._is_longer or bool(self._stream.read(1))
        if self._is_longer:
            raise SizeMismatch(self._where, expected=size, got=size + 1)
        self._verified = True


def read_document(source: Source, descriptor: Descriptor) -> bytes:
    """Read a manifest, index or config whole: verified, and at most 4 MiB."""
    if descriptor.size > MAX_DOCUMENT:
        raise DocumentError(
            f"{source.name}: {descriptor.digest} is said to be {descriptor.size} bytes, "
            f"documents are at most {MAX_DOCUMENT}"
        )
    with source.open(descriptor) as stream:
        return stream.read()
