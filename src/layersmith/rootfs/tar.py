"""A strict reader of tar archives.

Every runtime reads layers with Go's archive/tar; this reader accepts no more than
that one does, and refuses what well-known readers understand differently: besides what
:mod:`layersmith.rootfs.tarheader` refuses in one header, two extended headers for one
entry, global headers, half an end marker, and data behind the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from layersmith.errors import MalformedTar
from layersmith.rootfs import pax
from layersmith.rootfs.tarheader import (
    Extensions,
    TarEntry,
    check_sum,
    decode,
    extension_size,
    long_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Readable

__all__ = ["BLOCK", "Allowance", "TarEntry", "TarReader"]

BLOCK: Final = 512
_PIECE: Final = 1 << 20
_ZERO: Final = bytes(BLOCK)
_MAX_EXTENDED: Final = 128 << 20
_MAX_KEPT: Final = 200 << 20  # half a million entries
# What is kept of an entry takes so much memory, besides its names and attributes.
_ENTRY: Final = 320
_ATTRIBUTE: Final = 150


class Allowance:
    """How much memory entries may take: those of one archive, or of several together."""

    def __init__(self, size: int = _MAX_KEPT) -> None:
        self._left = size

    def spend(self, entry: TarEntry) -> None:
        """Count what is kept of `entry`; raises :class:`MalformedTar` if that is too much."""
        cost = _ENTRY + len(entry.path) + len(entry.link)
        for name, value in entry.xattrs:
            cost += _ATTRIBUTE + len(name) + len(value)
        self._left -= cost
        if self._left < 0:
            raise MalformedTar(
                "more entries, or longer names, than fit into memory",
                path=entry.path[:100],
                hint="no image of a Python has so many files; is it a bomb?",
            )


class TarReader:
    """Iterate over the entries of a stream; :meth:`content` reads the current one's.

    Raises :class:`MalformedTar` or :class:`UnsafePath`, also for more entries than
    `allowance` allows, or longer extended headers than any layer of files has.
    """

    def __init__(self, stream: Readable, allowance: Allowance | None = None) -> None:
        self._read = stream.read
        self._allowance = allowance or Allowance()
        self._position = 0
        self._left = 0
        self._padding = 0
        self._extended = 0

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield entries up to the end marker, then check that nothing follows."""
        while (entry := self._next()) is not None:
            self._allowance.spend(entry)
            yield entry

    def content(self) -> Iterator[bytes]:
        """Yield what is left of the current entry's content in bounded pieces."""
        while self._left:
            data = self._exactly(min(self._left, _PIECE), "content")
            self._left -= len(data)
            yield data

    def _next(self) -> TarEntry | None:
        records: dict[str, bytes] = {}
        long_name = long_link = None
        while True:
            block = self._header()
            if block is None:
                if records or long_name is not None or long_link is not None:
                    raise MalformedTar("an extended header with no entry behind it")
                return None
            flag = block[156:157]
            if flag == b"x":
                if records:
                    raise MalformedTar("two PAX headers for one entry")
                records = pax.parse(self._extension(block))
            elif flag == b"L" and long_name is None:
                long_name = long_text(self._extension(block))
            elif flag == b"K" and long_link is None:
                long_link = long_text(self._extension(block))
            else:
                entry = decode(block, Extensions(records, long_name, long_link), self._position)
                self._left, self._padding = entry.size, -entry.size % BLOCK
                return entry

    def _header(self) -> bytes | None:
        for _ in self.content():
            pass
        # Padding and header are read as one: there may be a million of them.
        padding, self._padding = self._padding, 0
        block = self._some(padding + BLOCK)
        if len(block) < padding:
            raise MalformedTar("the archive ends inside padding")
        block = block[padding:] if padding else block
        if not block:
            return None
        if block == _ZERO:
            self._end()
            return None
        if len(block) != BLOCK:
            raise MalformedTar(f"a header of {len(block)} bytes at the end")
        check_sum(block)
        return block

    def _end(self) -> None:
        rest = self._some(BLOCK)
        if rest and rest != _ZERO:
            raise MalformedTar("half an end marker")
        while data := self._some(_PIECE):
            if data.strip(b"\0"):
                raise MalformedTar("data behind the end marker")

    def _extension(self, block: bytes) -> bytes:
        size = extension_size(block)
        self._extended += size
        if self._extended > _MAX_EXTENDED:
            raise MalformedTar(f"more than {_MAX_EXTENDED >> 20} MiB of extended headers")
        data = self._exactly(size, "extended header")
        self._exactly(-size % BLOCK, "padding")
        return data

    def _some(self, size: int) -> bytes:
        """Read up to `size` bytes, fewer only at the end of the stream."""
        data = self._read(size)
        if data and len(data) < size:
            pieces, left = [data], size - len(data)
            while left and (more := self._read(left)):
                pieces.append(more)
                left -= len(more)
            data = b"".join(pieces)
        self._position += len(data)
        return data

    def _exactly(self, size: int, what: str) -> bytes:
        if not size:
            return b""
        data = self._some(size)
        if len(data) != size:
            raise MalformedTar(f"the archive ends inside {what}")
        return data
