"""Compressors of new layers: the same bytes for the same tar, on any machine.

The tar is cut into blocks of one size, each is compressed alone, and the results are
joined: a gzip file may have many members (RFC 1952, 2.2), zstd data many frames
(RFC 8878, 3.1). So memory is bounded by a block, how the tar arrives does not matter,
and blocks may be compressed side by side without changing a byte. Neither library gives
other bytes on another CPU (docs/adr/0002); another version of it may.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import RecipeError, one_line
from layersmith.oci.documents import OCI_LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Compressor"]

_MIB: Final = 1 << 20
_BLOCK: Final = {"gzip": _MIB, "zstd": 4 * _MIB, "none": _MIB}
# By default, and at most. From zstd's 20 on a reader needs a larger window than RFC 8878
# (3.1.1.1.2) asks of every reader.
_LEVELS: Final = {"gzip": (6, 12), "zstd": (9, 19), "none": (0, 0)}
_TEXT: Final = re.compile(r"(gzip|zstd|none)(?::([0-9]{1,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Compressor:
    """A codec and its level."""

    codec: str = "gzip"
    level: int = 6

    @classmethod
    def parse(cls, text: str) -> Compressor:
        """Read ``gzip``, ``zstd`` or ``none``, with or without ``:LEVEL``; "" is the default.

        Raises :class:`RecipeError`.
        """
        match = _TEXT.fullmatch(text or "gzip")
        codec = match[1] if match else "gzip"
        default, most = _LEVELS[codec]
        level = int((match and match[2]) or default)
        if match is None or not min(1, most) <= level <= most or (match[2] and not most):
            raise RecipeError(
                f"{one_line(text, 60)!r} is no compression of a layer",
                hint="write gzip, gzip:1 to gzip:12, zstd, zstd:1 to zstd:19, or none",
            )
        return cls(codec, level)

    def __str__(self) -> str:
        """Return what :meth:`parse` reads."""
        return self.codec if self.codec == "none" else f"{self.codec}:{self.level}"

    @property
    def identity(self) -> str:
        """What the bytes depend on beside the tar: the library, its version, its settings."""
        if self.codec == "none":
            return "none"
        library, pieces = _gzip_library() if self.codec == "gzip" else _zstd_library()
        return f"{library}, level {self.level}, {pieces} of {_BLOCK[self.codec] >> 20} MiB"

    @property
    def media_type(self) -> str:
        """The media type of a layer's blob (image-spec layer.md)."""
        return OCI_LAYER if self.codec == "none" else f"{OCI_LAYER}+{self.codec}"

    def compress(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the compressed form of `chunks`, which may be cut anywhere, block by block."""
        return map(self.squeeze, self.blocks(chunks))

    def blocks(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Cut `chunks` into blocks of one size; the last, or only, may be shorter."""
        size = _BLOCK[self.codec]
        block = bytearray()
        is_first = True
        for chunk in chunks:
            view = memoryview(chunk)
            while len(block) + len(view) >= size:
                room = size - len(block)
                block += view[:room]
                yield bytes(block)
                is_first = False
                block.clear()
                view = view[room:]
            block += view
        if block or is_first:
            yield bytes(block)

    def squeeze(self, block: bytes) -> bytes:
        """Compress one block; any number of threads may."""
        return _WRITERS[self.codec](block, self.level)


def _gzip_library() -> tuple[str, str]:
    import deflate  # noqa: PLC0415 - only what is used is loaded

    return f"libdeflate (deflate {deflate.__version__})", "members"


def _zstd_library() -> tuple[str, str]:
    import zstandard  # noqa: PLC0415

    version = ".".join(map(str, zstandard.ZSTD_VERSION))
    return f"zstd {version} (zstandard {zstandard.__version__})", "frames"


def _gzip(block: bytes, level: int) -> bytes:
    import deflate  # noqa: PLC0415

    return bytes(deflate.gzip_compress(block, level))


def _zstd(block: bytes, level: int) -> bytes:
    import zstandard  # noqa: PLC0415

    # Its own threads would give other bytes than none of them; and one context serves one call.
    return zstandard.ZstdCompressor(level, write_checksum=True).compress(block)


def _none(block: bytes, _level: int) -> bytes:
    return block


_WRITERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip, "zstd": _zstd, "none": _none,
}  # fmt: skip
