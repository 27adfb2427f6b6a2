"""Bounded access to the bytes of an ELF file: every offset is checked here, once.

The reader above it (`elf`, `elfversions`) says what it wants; this module knows what is
really there, and how much of it one file may ask for.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

from layersmith.errors import ElfError

__all__ = ["MAX_STRING", "MAX_STRINGS", "Image", "Layout"]

MAX_STRING: Final = 4096  # PATH_MAX; a search path may be longer
MAX_STRINGS: Final = 1 << 20  # all strings of one file together
_PAGE: Final = 4096


class Layout:
    """The structures of one class and byte order, compiled once."""

    def __init__(self, bits: int, order: str) -> None:
        self.bits = bits
        self.header = Struct(order + ("16xHHIQQQIHHH" if bits == 64 else "16xHHIIIIIHHH"))
        # type offset vaddr filesz align, whose order differs between the classes
        self.phdr = Struct(order + ("I4xQQ8xQ8xQ" if bits == 64 else "III4xI8xI"))
        self.dynamic = Struct(order + ("QQ" if bits == 64 else "II"))
        self.need = Struct(order + "HHIII")
        self.need_aux = Struct(order + "IHHII")
        self.definition = Struct(order + "HHHHIII")
        self.word = Struct(order + "I")
        self.words = Struct(order + "II")
        self.note = Struct(order + "III4s")


_LAYOUTS: Final = {
    (number, data): Layout(bits, order)
    for number, bits in ((1, 32), (2, 64))
    for data, order in ((1, "<"), (2, ">"))
}


class Image:
    """The bytes of one file, with what has been learnt of its layout so far.

    `loads` are the PT_LOAD segments as address, size in the file, offset.
    """

    def __init__(self, data: bytes) -> None:
        layout = _LAYOUTS.get((data[4], data[5])) if len(data) > 5 else None
        if layout is None:
            raise ElfError("an unknown ELF class or byte order, or cut short")
        if len(data) < layout.header.size:
            raise ElfError("the ELF header is cut short")
        self.data = data
        self.layout = layout
        self.loads: list[tuple[int, int, int]] = []
        self._strings = (0, 0)
        self._budget = MAX_STRINGS

    def load(self, vaddr: int, size: int, offset: int) -> None:
        """Take up a PT_LOAD segment; addresses ascend, as the generic ABI wants it.

        Where two lie over each other, or share a page but not a place in the file, it
        would depend on the reader what is there.
        """
        if self.loads:
            before, length, at = self.loads[-1]
            end = before + length
            shares = vaddr - vaddr % _PAGE < end and vaddr - offset != before - at
            if vaddr < end or vaddr < before or shares:
                raise ElfError("loaded segments that overlap or do not ascend")
        self.loads.append((vaddr, size, offset))

    def region(self, offset: int, size: int, what: str) -> bytes:
        """Return `size` bytes at `offset`, all of which the file must have."""
        self.check(offset, size, what)
        return self.data[offset : offset + size]

    def check(self, offset: int, size: int, what: str) -> None:
        """Refuse a region that the file does not have."""
        if offset + size > len(self.data):
            raise ElfError(f"{what} lies beyond the end of the file")

    def offset(self, address: int, what: str) -> int:
        """Return where in the file the virtual `address` is."""
        for vaddr, size, offset in self.loads:
            if vaddr <= address < vaddr + size:
                return address - vaddr + offset
        raise ElfError(f"{what} is in no loaded segment")

    def set_strings(self, address: int, size: int) -> None:
        """Say where the string table is; without one, any string is an error."""
        start = self.offset(address, "the string table")
        self.check(start, size, "the string table")
        self._strings = (start, start + size)

    def string(self, offset: int, longest: int = MAX_STRING) -> str:
        """Return the string at `offset` of the string table, which must end inside it."""
        start, end = self._strings
        stop = self.data.find(b"\0", start + offset, min(end, start + offset + longest + 1))
        if stop < 0:
            raise ElfError("a string is outside the string table, has no end or is too long")
        self._budget -= stop - start - offset
        if self._budget < 0:
            raise ElfError(f"more than {MAX_STRINGS} bytes of strings")
        return self.data[start + offset : stop].decode("utf-8", "surrogateescape")

    def unpack(self, layout: Struct, offset: int) -> tuple[Any, ...]:
        """Read one record of a version table."""
        self.check(offset, layout.size, "a version table")
        return layout.unpack_from(self.data, offset)
