"""Reading compressed layers (they are written by :mod:`layersmith.rootfs.compressor`).

gzip (all members, trailers checked) through ISA-L, zstd (all frames) through zstandard;
bounded pieces, and a cap on what may come out. What the readers of runtimes refuse is
refused: anything behind the last member or frame, NULs too, and a zstd stream that starts
with a skippable frame, which containers/image takes for no zstd.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from layersmith.errors import LayerError
from layersmith.rootfs.gzipheader import with_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.oci.content import Readable

__all__ = ["PieceReader", "decompress"]

_PIECE: Final = 1 << 20
_INPUT: Final = 1 << 18
# So much of a zstd stream inflates to 32 MiB at most: 4 bytes can stand for 128 KiB.
_ZSTD_STEP: Final = 1 << 10
_FLOOR: Final = 256 << 20
_MAX_RATIO: Final = 100
# What a stream may inflate to before the bytes that pay for it have come.
_ADVANCE: Final = 512 << 20
# What the writers of layers use at most; several streams are read side by side.
_MAX_WINDOW: Final = 32 << 20
_GZIP_MAGIC: Final = b"\x1f"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


def decompress(stream: Readable, compression: str, size: int) -> Iterator[bytes]:
    """Yield the uncompressed bytes of a blob of `size` bytes in pieces.

    `compression` is ``gzip``, ``zstd`` or ``none``. Raises :class:`LayerError` for
    damaged framing and for more than 100 times `size` (and 256 MiB), which no layer
    of files compresses to; and for 100 times what was read of it so far (and 512 MiB), so
    that a large bomb ends as early as a small one.
    """
    most = max(_FLOOR, _MAX_RATIO * size)
    total = 0
    source = _Counted(stream)
    for piece in _gathered(_READERS[compression](source)):
        total += len(piece)
        limit = min(most, _ADVANCE + _MAX_RATIO * source.taken)
        if total > limit:
            raise LayerError(
                f"inflates to more than {limit >> 20} MiB",
                hint="no layer of real files compresses this well; is it a bomb?",
            )
        yield piece


class _Counted:
    """A stream that counts what was taken of it."""

    def __init__(self, stream: Readable) -> None:
        self._read = stream.read
        self.taken = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._read(size)
        self.taken += len(data)
        return data


class PieceReader(io.RawIOBase):
    """A stream to read from, over pieces of any size."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._buffer = b""
        self._at = 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, empty only at the end."""
        while self._at == len(self._buffer):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._buffer, self._at = piece, 0
        end = len(self._buffer) if size < 0 else min(self._at + size, len(self._buffer))
        data = self._buffer[self._at : end]
        self._at = end
        return data


def _plain(stream: Readable) -> Iterator[bytes]:
    return iter(lambda: stream.read(_PIECE), b"")


def _gunzip(stream: Readable) -> Iterator[bytes]:
    from isal import isal_zlib  # noqa: PLC0415 - a warm run inflates nothing

    data = stream.read(_INPUT)
    if not data:
        raise LayerError("an empty gzip stream")
    while data:
        data = with_header(data, stream)
        member = isal_zlib.decompressobj(wbits=31)
        try:
            while not member.eof:
                if not data:
                    raise LayerError("the gzip stream ends too early")
                piece = member.decompress(data, _PIECE)
                data = member.unconsumed_tail or (b"" if member.eof else stream.read(_INPUT))
                if piece:
                    yield piece
        except isal_zlib.IsalError as error:  # type: ignore[misc]  # the stub has an instance  # type: ignore[misc] # its stub is wrong
            raise LayerError(f"damaged gzip stream: {error}") from None
        data = member.unused_data or stream.read(_INPUT)
        if data and data[:1] != _GZIP_MAGIC:
            what = "padding" if data[:1] == b"\0" else "garbage"
            raise LayerError(f"{what} behind the gzip stream, which runtimes refuse")


def _unzstd(stream: Readable) -> Iterator[bytes]:
    """Inflate frame after frame; zstandard's own stream reader takes a cut one for whole."""
    import zstandard  # noqa: PLC0415

    context = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    head = stream.read(_INPUT)
    while 0 < len(head) < len(_ZSTD_MAGIC) and (more := stream.read(_INPUT)):
        head += more
    if not head.startswith(_ZSTD_MAGIC):
        raise LayerError("the stream does not start with a zstd frame")
    data = memoryview(head)
    try:
        while data:
            frame = context.decompressobj()
            while not frame.eof:
                if not data:
                    raise LayerError("the zstd stream ends too early")
                piece = frame.decompress(data[:_ZSTD_STEP])
                data = data[min(len(data), _ZSTD_STEP) - len(frame.unused_data) :]
                data = data or memoryview(stream.read(_INPUT))
                if piece:
                    yield piece
    except zstandard.ZstdError as error:
        raise LayerError(f"damaged zstd stream: {error}") from None


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces: everything behind costs as much for one as for many."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


_READERS: Final = {"gzip": _gunzip, "zstd": _unzstd, "none": _plain}
