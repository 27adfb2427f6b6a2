"""Streams that behave as others than files do."""

from __future__ import annotations


class Dribble:
    """A stream that gives its bytes in small pieces, as a network does."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = memoryview(data)
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        size = self._size if size < 0 else min(size, self._size)
        piece, self._data = self._data[:size], self._data[size:]
        return bytes(piece)
