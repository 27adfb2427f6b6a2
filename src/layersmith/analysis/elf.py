"""A minimal, strict ELF reader: what the dynamic loader looks at, and no more.

Program headers, PT_INTERP, PT_DYNAMIC and the version tables of the generic ABI and of
the GNU extensions (LSB core, "Symbol Versioning"); never sections, which a loader does
not need and which may be stripped or lie. Every count is capped, every offset checked
against the bytes that are there; a damaged file is an :class:`ElfError`, nothing else.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from layersmith.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAGIC", "ElfFile", "Machine", "VersionNeed", "read_elf"]

MAX_PHDRS: Final = 256
MAX_DYNAMIC: Final = 4096
MAX_VERSIONS: Final = 8192
MAX_NOTE: Final = 4096
MAX_STRING: Final = 4096  # PATH_MAX; a search path may be longer
MAX_SEARCH_PATH: Final = 32768
MAX_STRINGS: Final = 1 << 20  # all strings of one file together

MAGIC: Final = b"\x7fELF"


class Machine(IntEnum):
    """The values of `e_machine` that have a name here."""

    I386 = 3
    PPC64 = 21
    S390 = 22
    ARM = 40
    X86_64 = 62
    AARCH64 = 183
    RISCV = 243
    LOONGARCH = 258


class VersionNeed(NamedTuple):
    """One version that the object wants of the object `file` (a DT_NEEDED name).

    Without a `weak` one the program would still start (elf/dl-version.c).
    """

    file: str
    version: str
    weak: bool


class ElfFile(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the loader and ldconfig read of one object; independent of where it lies."""

    bits: int
    little_endian: bool
    osabi: int
    type: int
    machine: int
    flags: int
    interpreter: str | None = None
    is_dynamic: bool = False
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: str | None = None
    runpath: str | None = None
    flags_1: int = 0
    version_needs: tuple[VersionNeed, ...] = ()
    versions: tuple[str, ...] = ()
    isa_level: int = 0

    @property
    def abi(self) -> tuple[int, int, bool]:
        """Class, machine and byte order: what two objects of one process share."""
        return (self.bits, self.machine, self.little_endian)

    @property
    def is_shared(self) -> bool:
        """Whether the type is ET_DYN: a shared object or a PIE."""
        return self.type == _ET_DYN

    @property
    def ignores_default_directories(self) -> bool:
        """DF_1_NODEFLIB: the default directories are not searched (ld -z nodefaultlib)."""
        return bool(self.flags_1 & _DF_1_NODEFLIB)


def read_elf(data: bytes, path: str) -> ElfFile | None:
    """Read the object `data`; None where it is no ELF file at all.

    `path` is for the message of the :class:`ElfError` that a damaged file raises.
    """
    if data[:4] != MAGIC:
        return None
    try:
        return _Reader(data).read()
    except ElfError as error:
        raise ElfError(error.message, path=path) from None


_ET_DYN: Final = 3
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_GNU_PROPERTY = 1, 2, 3, 0x6474E553
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH = 0, 1, 5, 10, 14, 15
_DT_RUNPATH: Final = 29
_DT_VERDEF, _DT_VERDEFNUM, _DT_VERNEED, _DT_VERNEEDNUM = (
    0x6FFFFFFC,
    0x6FFFFFFD,
    0x6FFFFFFE,
    0x6FFFFFFF,
)
_DT_FLAGS_1: Final = 0x6FFFFFFB
_DF_1_NODEFLIB: Final = 0x800
_VER_FLG_WEAK: Final = 2
_NT_GNU_PROPERTY_TYPE_0: Final = 5
_GNU_PROPERTY_X86_ISA_1_NEEDED: Final = 0xC0008002
_X86: Final = (Machine.I386, Machine.X86_64)

# type, offset, virtual address, size in the file, alignment
_Phdr: TypeAlias = tuple[int, int, int, int, int]


class _Layout:
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
    (number, data): _Layout(bits, order)
    for number, bits in ((1, 32), (2, 64))
    for data, order in ((1, "<"), (2, ">"))
}


class _Reader:
    """One reading of one file; holds the tables that the steps share."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        if len(data) < 52:
            raise ElfError("the ELF header is cut short")
        layout = _LAYOUTS.get((data[4], data[5]))
        if layout is None:
            raise ElfError(f"unknown ELF class {data[4]} or byte order {data[5]}")
        self.layout = layout
        self.loads: list[tuple[int, int, int]] = []
        self.strings = (0, 0)
        self.budget = MAX_STRINGS

    def read(self) -> ElfFile:
        """Take the file apart, in the order in which the loader would."""
        data, layout = self.data, self.layout
        if len(data) < layout.header.size:
            raise ElfError("the ELF header is cut short")
        header = layout.header.unpack_from(data)
        kind, machine, version, _, phoff, _, flags, _, phentsize, phnum = header
        if data[6] != 1 or version != 1:
            raise ElfError("unknown ELF version")
        facts: dict[str, Any] = {}
        dynamic: tuple[int, int] | None = None
        for segment, offset, vaddr, size, align in self._program_headers(phoff, phentsize, phnum):
            if segment == _PT_LOAD:
                self.loads.append((vaddr, size, offset))
            elif segment == _PT_DYNAMIC:
                dynamic = offset, size
            elif segment == _PT_INTERP:
                facts["interpreter"] = self._interpreter(offset, size)
            elif segment == _PT_GNU_PROPERTY and machine in _X86 and align == layout.bits // 8:
                facts["isa_level"] = self._isa_level(data[offset : offset + min(size, MAX_NOTE)])
        if dynamic is not None:
            facts.update(self._dynamic(*dynamic))
        return ElfFile(
            bits=layout.bits,
            little_endian=data[5] == 1,
            osabi=data[7],
            type=kind,
            machine=machine,
            flags=flags,
            is_dynamic=dynamic is not None,
            **facts,
        )

    def _region(self, offset: int, size: int, what: str) -> bytes:
        """Return `size` bytes at `offset`, all of which the file must have."""
        if offset + size > len(self.data):
            raise ElfError(f"{what} lies beyond the end of the file")
        return self.data[offset : offset + size]

    def _program_headers(self, phoff: int, phentsize: int, phnum: int) -> Iterator[_Phdr]:
        phdr = self.layout.phdr
        if not phnum:
            return iter(())
        if phentsize != phdr.size:
            raise ElfError(f"program headers of {phentsize} bytes instead of {phdr.size}")
        if phnum > MAX_PHDRS:
            raise ElfError(f"{phnum} program headers, more than {MAX_PHDRS}")
        return phdr.iter_unpack(self._region(phoff, phnum * phdr.size, "the program header table"))

    def _interpreter(self, offset: int, size: int) -> str:
        if size > MAX_STRING:
            raise ElfError("the interpreter's name is too long")
        name, end, _ = self._region(offset, size, "the interpreter's name").partition(b"\0")
        if not end or not name:
            raise ElfError("the interpreter's name is empty or has no end")
        return name.decode("utf-8", "surrogateescape")

    def _offset(self, address: int, what: str) -> int:
        """Return where in the file the virtual `address` is: in the first PT_LOAD with it."""
        for vaddr, size, offset in self.loads:
            if vaddr <= address < vaddr + size:
                return address - vaddr + offset
        raise ElfError(f"{what} is in no loaded segment")

    def _dynamic(self, offset: int, size: int) -> dict[str, Any]:
        """Read the dynamic section; of a repeated single tag the last counts, as in ld.so."""
        entry = self.layout.dynamic
        single: dict[int, int] = {}
        needed: list[int] = []
        if offset + size > len(self.data):
            raise ElfError("the dynamic segment lies beyond the end of the file")
        size = min(size - size % entry.size, (MAX_DYNAMIC + 1) * entry.size)
        table = entry.iter_unpack(self.data[offset : offset + size])
        for number, (tag, value) in enumerate(table):
            if tag == _DT_NULL:
                break
            if number >= MAX_DYNAMIC:
                raise ElfError(f"more than {MAX_DYNAMIC} dynamic entries")
            if tag == _DT_NEEDED:
                needed.append(value)
            else:
                single[tag] = value
        self._find_strings(single)
        return {
            "soname": self._named(single, _DT_SONAME, MAX_STRING),
            "needed": tuple([self._string(offset) for offset in needed]),
            "rpath": self._named(single, _DT_RPATH, MAX_SEARCH_PATH),
            "runpath": self._named(single, _DT_RUNPATH, MAX_SEARCH_PATH),
            "flags_1": single.get(_DT_FLAGS_1, 0),
            "version_needs": self._version_needs(single),
            "versions": self._versions(single),
        }

    def _find_strings(self, single: dict[int, int]) -> None:
        if _DT_STRTAB not in single:
            return  # any string then ends in an error of its own
        start = self._offset(single[_DT_STRTAB], "the string table")
        end = start + single.get(_DT_STRSZ, 0)
        if end > len(self.data):
            raise ElfError("the string table lies beyond the end of the file")
        self.strings = (start, end)

    def _named(self, single: dict[int, int], tag: int, longest: int) -> str | None:
        return self._string(single[tag], longest) if tag in single else None

    def _string(self, offset: int, longest: int = MAX_STRING) -> str:
        """Return the string at `offset` of the string table, which must end inside it."""
        start, end = self.strings
        stop = self.data.find(b"\0", start + offset, min(end, start + offset + longest + 1))
        if stop < 0:
            raise ElfError("a string is outside the string table, has no end or is too long")
        self.budget -= stop - start - offset
        if self.budget < 0:
            raise ElfError(f"more than {MAX_STRINGS} bytes of strings")
        return self.data[start + offset : stop].decode("utf-8", "surrogateescape")

    def _unpack(self, layout: Struct, offset: int) -> tuple[Any, ...]:
        if offset + layout.size > len(self.data):
            raise ElfError("a version table lies beyond the end of the file")
        return layout.unpack_from(self.data, offset)

    def _version_needs(self, single: dict[int, int]) -> tuple[VersionNeed, ...]:
        """Walk the Verneed and Vernaux records; both chains end at a link of zero."""
        if _DT_VERNEED not in single:
            return ()
        found: list[VersionNeed] = []
        at = self._offset(single[_DT_VERNEED], "the table of version needs")
        for _ in range(_count(single.get(_DT_VERNEEDNUM, 0))):
            version, count, file, aux, link = self._unpack(self.layout.need, at)
            if version != 1:
                raise ElfError(f"unknown revision {version} of version needs")
            name = self._string(file)
            here = at + aux
            for _ in range(count):
                _, flags, _, wanted, next_aux = self._unpack(self.layout.need_aux, here)
                weak = bool(flags & _VER_FLG_WEAK)
                found.append(VersionNeed(name, self._string(wanted), weak))
                _count(len(found))
                if not next_aux:
                    break
                here += next_aux
            if not link:
                break
            at += link
        return tuple(found)

    def _versions(self, single: dict[int, int]) -> tuple[str, ...]:
        """Walk the Verdef records; the first name of each is the version defined."""
        if _DT_VERDEF not in single:
            return ()
        found: list[str] = []
        at = self._offset(single[_DT_VERDEF], "the table of versions")
        for _ in range(_count(single.get(_DT_VERDEFNUM, 0))):
            revision, _, _, _, _, aux, link = self._unpack(self.layout.definition, at)
            if revision != 1:
                raise ElfError(f"unknown revision {revision} of version definitions")
            (name,) = self._unpack(self.layout.word, at + aux)
            found.append(self._string(name))
            if not link:
                break
            at += link
        return tuple(found)

    def _isa_level(self, note: bytes) -> int:
        """Return the level that ldconfig derives from x86's "ISA needed" property.

        It is the number of the highest bit set (sysdeps/x86/elf-read-prop.h). A note
        that is not as it should be says nothing, here as there.
        """
        word, align = self.layout.word, self.layout.bits // 8
        at = 0
        while at + 16 <= len(note):
            namesz, descsz, kind, name = self.layout.note.unpack_from(note, at)
            if (namesz, kind, name) == (4, _NT_GNU_PROPERTY_TYPE_0, b"GNU\0"):
                break
            at += -(-(12 + -(-namesz // 4) * 4) // align) * align + -(-descsz // align) * align
        else:
            return 0
        at, end = at + 16, min(at + 16 + descsz, len(note))
        while at + 12 <= end:
            (kind,), (size,) = word.unpack_from(note, at), word.unpack_from(note, at + 4)
            if kind == _GNU_PROPERTY_X86_ISA_1_NEEDED and size == 4:
                (bits,) = word.unpack_from(note, at + 8)
                return max(int(bits).bit_length() - 1, 0)
            at += 8 + -(-size // align) * align
        return 0


def _count(number: int) -> int:
    """Return `number` of version records, if it is one that can be."""
    if number > MAX_VERSIONS:
        raise ElfError(f"{number} versions, more than {MAX_VERSIONS}")
    return number
