"""The body of an upload: exactly the right bytes, as often as they are needed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from layersmith.oci.content import CHUNK, VerifiedReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Opener, Progress, Readable
    from layersmith.oci.documents import Descriptor

__all__ = ["UploadBody"]


class UploadBody:
    """A request body of exactly the descriptor's bytes, verified while they leave.

    A wrong byte raises before the last block is sent, so the registry never sees a
    complete request. Nothing is opened before the first byte is wanted.
    """

    def __init__(
        self, opener: Opener, descriptor: Descriptor, where: str, progress: Progress
    ) -> None:
        self.descriptor = descriptor
        self._opener = opener
        self._where = where
        self._task = f"push {where} {descriptor.digest}"
        self._progress = progress
        self._opened = ExitStack()
        self._stream: Readable | None = None
        self._sent = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the stream."""
        self._opened.close()

    def __len__(self) -> int:
        """Return the descriptor's size: the Content-Length."""
        return self.descriptor.size

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks."""
        return iter(lambda: self.read(CHUNK), b"")

    def read(self, size: int, /) -> bytes:
        """Return the next block."""
        if self._stream is None:
            stream = self._opened.enter_context(self._opener())
            verified = isinstance(stream, VerifiedReader)
            self._stream = (
                stream if verified else VerifiedReader(stream, self.descriptor, self._where)
            )
        data = self._stream.read(size)
        if data:
            self._sent += len(data)
            self._progress.advance(self._task, len(data), self.descriptor.size)
        return data

    def take(self, size: int) -> bytes:
        """Return just `size` bytes, fewer only at the end."""
        pieces = []
        while size and (piece := self.read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def rewind(self) -> bool:
        """Go back to the start; the progress takes back what was sent."""
        self._opened.close()
        self._stream = None
        if self._sent:
            self._progress.advance(self._task, -self._sent, self.descriptor.size)
            self._sent = 0
        return True
