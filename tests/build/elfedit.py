"""ELF files changed field by field, in every class and byte order.

An :class:`Edit` knows where the fields of a whole object are; a change returns another one.
"""

import struct
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from tests.build.elf import elf

# where a field is, and its size: 0 stands for a word of the class
_EHDR64 = {
    "type": (16, 2), "machine": (18, 2), "version": (20, 4), "entry": (24, 0), "phoff": (32, 0),
    "shoff": (40, 0), "flags": (48, 4), "ehsize": (52, 2), "phentsize": (54, 2), "phnum": (56, 2),
    "shentsize": (58, 2), "shnum": (60, 2), "shstrndx": (62, 2),
}  # fmt: skip
_EHDR32 = {
    "type": (16, 2), "machine": (18, 2), "version": (20, 4), "entry": (24, 0), "phoff": (28, 0),
    "shoff": (32, 0), "flags": (36, 4), "ehsize": (40, 2), "phentsize": (42, 2), "phnum": (44, 2),
    "shentsize": (46, 2), "shnum": (48, 2), "shstrndx": (50, 2),
}  # fmt: skip
_PHDR64 = {
    "type": (0, 4), "flags": (4, 4), "offset": (8, 0), "vaddr": (16, 0), "paddr": (24, 0),
    "filesz": (32, 0), "memsz": (40, 0), "align": (48, 0),
}  # fmt: skip
_PHDR32 = {
    "type": (0, 4), "offset": (4, 0), "vaddr": (8, 0), "paddr": (12, 0), "filesz": (16, 0),
    "memsz": (20, 0), "flags": (24, 4), "align": (28, 0),
}  # fmt: skip
LOAD, DYNAMIC, INTERP, STACK, PROPERTY = 1, 2, 3, 0x6474E551, 0x6474E553
NEEDED, STRTAB, STRSZ, SONAME, RPATH, RUNPATH, FLAGS_1 = 1, 5, 10, 14, 15, 29, 0x6FFFFFFB
VERDEF, VERDEFNUM, VERNEED, VERNEEDNUM = 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
WHOLE = {
    "soname": "liba.so.1",
    "needed": ["libb.so", "libc.so.6"],
    "interpreter": "/lib/ld.so",
    "runpath": "/opt/x",
    "wants": {"libc.so.6": ["GLIBC_2.3", ("GLIBC_2.9", True)], "libb.so": ["B_1"]},
    "versions": ["A_1", "A_2"],
    "isa": 5,
}


@dataclass(frozen=True)
class Edit:
    """The bytes of an object, its class and its byte order."""

    data: bytes
    bits: int
    order: str

    @classmethod
    def of(cls, bits: int = 64, order: str = "<", **more: object) -> Self:
        """Return a whole object, with everything that a loader looks at."""
        return cls(elf(bits=bits, order=order, **{**WHOLE, **more}), bits, order)  # type: ignore[arg-type]

    @property
    def word(self) -> int:
        return self.bits // 8

    @property
    def huge(self) -> list[int]:
        """Numbers that no file is as large as, those around overflows among them."""
        top = 1 << self.bits
        return [top - 1, top >> 1, top - len(self.data), len(self.data) + 1]

    def put(self, at: int, size: int, value: int) -> Self:
        """Write a number at an offset."""
        order = "little" if self.order == "<" else "big"
        size = size or self.word
        raw = (value & ((1 << 8 * size) - 1)).to_bytes(size, order)  # type: ignore[arg-type]
        return replace(self, data=self.data[:at] + raw + self.data[at + size :])

    def get(self, at: int, size: int) -> int:
        order = "little" if self.order == "<" else "big"
        return int.from_bytes(self.data[at : at + (size or self.word)], order)  # type: ignore[arg-type]

    def header(self, **fields: int) -> Self:
        """Change fields of the ELF header."""
        edit = self
        for name, value in fields.items():
            edit = edit.put(*(_EHDR64 if self.bits == 64 else _EHDR32)[name], value)
        return edit

    def segment(self, kind: int, **fields: int) -> Self:
        """Change fields of the first program header of a kind."""
        edit, at = self, self.segments[kind]
        for name, value in fields.items():
            offset, size = (_PHDR64 if self.bits == 64 else _PHDR32)[name]
            edit = edit.put(at + offset, size, value)
        return edit

    def entry(self, tag: int, value: int) -> Self:
        """Change the value of the first dynamic entry with a tag."""
        return self.put(self.entries[tag] + self.word, 0, value)

    def retag(self, tag: int, other: int) -> Self:
        """Turn the first dynamic entry with a tag into another."""
        return self.put(self.entries[tag], 0, other)

    def record(self, table: int, at: int, size: int, value: int) -> Self:
        """Change a field of a version table, which is at its address in the file."""
        return self.put(self.get(self.entries[table] + self.word, 0) + at, size, value)

    def cut(self, length: int) -> Self:
        return replace(self, data=self.data[:length])

    @cached_property
    def segments(self) -> dict[int, int]:
        """Where the program header of each kind is."""
        size = 56 if self.bits == 64 else 32
        start = 64 if self.bits == 64 else 52
        count = self.get(*(_EHDR64 if self.bits == 64 else _EHDR32)["phnum"])
        places = [start + size * number for number in range(count)]
        return {self.get(at, 4): at for at in reversed(places)}

    @cached_property
    def dynamic(self) -> tuple[int, int]:
        """Offset and size of the dynamic segment."""
        fields, at = _PHDR64 if self.bits == 64 else _PHDR32, self.segments[DYNAMIC]
        offset, size = (self.get(at + fields[name][0], 0) for name in ("offset", "filesz"))
        return offset, size

    @cached_property
    def entries(self) -> dict[int, int]:
        """Where the first dynamic entry of each tag is."""
        start, size = self.dynamic
        places = range(start, start + size, 2 * self.word)
        return {self.get(at, 0): at for at in reversed(places)}

    @cached_property
    def boundaries(self) -> list[int]:
        """Where structures begin or end, the end of the file left out."""
        step = 56 if self.bits == 64 else 32
        start = 64 if self.bits == 64 else 52
        fields = _PHDR64 if self.bits == 64 else _PHDR32
        found = {4, 5, 6, 16, start, start // 2}
        for at in self.segments.values():
            found |= {at, at + step}
            offset, size = (self.get(at + fields[name][0], 0) for name in ("offset", "filesz"))
            found |= {offset, offset + size}
        for tag in (STRTAB, VERDEF, VERNEED, 6, 4):
            found.add(self.get(self.entries[tag] + self.word, 0))
        found |= set(range(self.dynamic[0], sum(self.dynamic), 2 * self.word))
        return sorted(each for each in found if 4 <= each < sum(self.dynamic))


def note(order: str, word: int, *parts: tuple[int, int, int, bytes, bytes]) -> bytes:
    """Return notes of (namesz, descsz, type, name, description), as they are said to be."""
    data = b""
    for namesz, descsz, kind, name, description in parts:
        data += struct.pack(order + "III", namesz, descsz, kind) + name + description
        data += b"\0" * (-len(data) % word)
    return data
