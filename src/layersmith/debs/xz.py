"""xz, in which Debian's archive keeps its lists and packages: inflated within bounds."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING, Final

from layersmith.errors import LayerError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Readable

__all__ = ["unxz"]

_PIECE: Final = 1 << 18
# xz -9 needs 65 MiB to be undone; nobody's data shrinks to a two-hundredth, but for a little.
_MEMORY: Final = 128 << 20
_FLOOR: Final = 64 << 20
_RATIO: Final = 200


def unxz(stream: Readable, size: int, most: int = 0) -> Iterator[bytes]:
    """Yield what an xz stream of `size` bytes becomes: `most` bytes, or what is honest.

    Raises :class:`LayerError`.
    """
    limit = most or max(_FLOOR, _RATIO * size)
    reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
    total, data = 0, b""
    try:
        while not reader.eof:
            if reader.needs_input:
                data = stream.read(_PIECE)
                if not data:
                    raise LayerError("the xz stream ends too early")
            piece = reader.decompress(data, _PIECE)
            data = b""
            total += len(piece)
            if total > limit:
                raise LayerError(f"inflates to more than {limit} bytes", hint="is it a bomb?")
            if piece:
                yield piece
    except (lzma.LZMAError, MemoryError) as error:
        raise LayerError(f"damaged xz stream: {one_line(str(error), 100)}") from None
    if reader.unused_data or stream.read(1):
        raise LayerError("garbage behind the xz stream")
