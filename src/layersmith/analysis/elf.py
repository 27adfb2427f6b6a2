"""A minimal, strict ELF reader: what the dynamic loader looks at, and no more.

Program headers, PT_INTERP, PT_DYNAMIC and the version tables of the generic ABI and of
the GNU extensions (LSB core, "Symbol Versioning"); never sections, which a loader does
not need and which may be stripped or lie. Every count is capped, every offset checked
against the bytes that are there; a damaged file is an :class:`ElfError`, nothing else.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from layersmith.analysis.elfimage import MAX_STRING, Image
from layersmith.analysis.elfversions import VersionNeed, version_needs, versions_defined
from layersmith.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.analysis.elfimage import Layout

__all__ = ["MAGIC", "ElfFile", "Machine", "VersionNeed", "read_elf"]

MAX_PHDRS: Final = 256
MAX_DYNAMIC: Final = 4096
MAX_NOTE: Final = 4096
MAX_SEARCH_PATH: Final = 32768

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
        return _read(Image(data))
    except ElfError as error:
        raise ElfError(error.message, path=path) from None


_ET_DYN: Final = 3
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_GNU_PROPERTY = 1, 2, 3, 0x6474E553
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH = 0, 1, 5, 10, 14, 15
_DT_RUNPATH, _DT_FLAGS_1 = 29, 0x6FFFFFFB
_DF_1_NODEFLIB: Final = 0x800
_NT_GNU_PROPERTY_TYPE_0: Final = 5
_GNU_PROPERTY_X86_ISA_1_NEEDED: Final = 0xC0008002
_X86: Final = (Machine.I386, Machine.X86_64)

# type, offset, virtual address, size in the file, alignment
_Phdr: TypeAlias = tuple[int, int, int, int, int]


def _read(image: Image) -> ElfFile:
    """Take the file apart, in the order in which the loader would."""
    data, bits = image.data, image.layout.bits
    header = image.layout.header.unpack_from(data)
    kind, machine, version, _, phoff, _, flags, _, phentsize, phnum = header
    if data[6] != 1 or version != 1:
        raise ElfError("unknown ELF version")
    facts: dict[str, Any] = {}
    dynamic: _Phdr | None = None
    for phdr in _program_headers(image, phoff, phentsize, phnum):
        segment, offset, vaddr, size, align = phdr
        if segment == _PT_LOAD:
            image.load(vaddr, size, offset)
        elif segment == _PT_DYNAMIC and size:  # an empty one is none to the loader
            if dynamic is not None:
                raise ElfError("two dynamic segments")
            dynamic = phdr
        elif segment == _PT_INTERP:
            if "interpreter" in facts:
                raise ElfError("two interpreters")
            facts["interpreter"] = _interpreter(image, offset, size)
        elif segment == _PT_GNU_PROPERTY and machine in _X86 and align == bits // 8:
            note = data[offset : offset + min(size, MAX_NOTE)]
            facts["isa_level"] = _isa_level(image.layout, note)
    if dynamic is not None:
        facts.update(_dynamic(image, dynamic))
    return ElfFile(
        bits=bits,
        little_endian=data[5] == 1,
        osabi=data[7],
        type=kind,
        machine=machine,
        flags=flags,
        is_dynamic=dynamic is not None,
        **facts,
    )


def _program_headers(image: Image, phoff: int, phentsize: int, phnum: int) -> Iterator[_Phdr]:
    phdr = image.layout.phdr
    if not phnum:
        return iter(())
    if phentsize != phdr.size:
        raise ElfError(f"program headers of {phentsize} bytes instead of {phdr.size}")
    if phnum > MAX_PHDRS:
        raise ElfError(f"{phnum} program headers, more than {MAX_PHDRS}")
    return phdr.iter_unpack(image.region(phoff, phnum * phdr.size, "the program header table"))


def _interpreter(image: Image, offset: int, size: int) -> str:
    """Read what the kernel reads: it wants a zero byte at the very end."""
    if size > MAX_STRING:
        raise ElfError("the interpreter's name is too long")
    name, end, rest = image.region(offset, size, "the interpreter's name").partition(b"\0")
    if not end or not name or rest[-1:] not in (b"", b"\0"):
        raise ElfError("the interpreter's name is empty or has no end")
    return name.decode("utf-8", "surrogateescape")


def _dynamic(image: Image, phdr: _Phdr) -> dict[str, Any]:
    """Read the dynamic section; of a repeated single tag the last counts, as in ld.so.

    The loader goes by the address and to the first DT_NULL, ldconfig by the offset: what
    the two would read differently is refused.
    """
    _, offset, vaddr, size, _ = phdr
    entry = image.layout.dynamic
    single: dict[int, int] = {}
    needed: list[int] = []
    image.check(offset, size, "the dynamic segment")
    if image.offset(vaddr, "the dynamic segment") != offset:
        raise ElfError("the dynamic segment's address and its offset are two places")
    size = min(size - size % entry.size, (MAX_DYNAMIC + 1) * entry.size)
    table = entry.iter_unpack(image.data[offset : offset + size])
    for number, (tag, value) in enumerate(table):
        if tag == _DT_NULL:
            break
        if number >= MAX_DYNAMIC:
            raise ElfError(f"more than {MAX_DYNAMIC} dynamic entries")
        if tag == _DT_NEEDED:
            needed.append(value)
        else:
            single[tag] = value
    else:
        raise ElfError("the dynamic segment has no end")
    if _DT_STRTAB in single:
        image.set_strings(single[_DT_STRTAB], single.get(_DT_STRSZ, 0))
    return {
        "soname": _named(image, single, _DT_SONAME, MAX_STRING),
        "needed": tuple([image.string(at) for at in needed]),
        "rpath": _named(image, single, _DT_RPATH, MAX_SEARCH_PATH),
        "runpath": _named(image, single, _DT_RUNPATH, MAX_SEARCH_PATH),
        "flags_1": single.get(_DT_FLAGS_1, 0),
        "version_needs": version_needs(image, single),
        "versions": versions_defined(image, single),
    }


def _named(image: Image, single: dict[int, int], tag: int, longest: int) -> str | None:
    return image.string(single[tag], longest) if tag in single else None


def _isa_level(layout: Layout, note: bytes) -> int:
    """Return the level that ldconfig derives from x86's "ISA needed" property.

    It is the number of the highest bit set (sysdeps/x86/elf-read-prop.h). A note that is
    not as it should be says nothing, here as there.
    """
    align = layout.bits // 8
    at = 0
    while at + 16 <= len(note):
        namesz, descsz, kind, name = layout.note.unpack_from(note, at)
        if (namesz, kind, name) == (4, _NT_GNU_PROPERTY_TYPE_0, b"GNU\0"):
            return _isa_needed(layout, note[at + 16 : at + 16 + descsz])
        at += _aligned(12 + _aligned(namesz, 4), align) + _aligned(descsz, align)
    return 0


def _isa_needed(layout: Layout, properties: bytes) -> int:
    at = 0
    while at + 12 <= len(properties):
        kind, size = layout.words.unpack_from(properties, at)
        if kind == _GNU_PROPERTY_X86_ISA_1_NEEDED and size == 4:
            (needed,) = layout.word.unpack_from(properties, at + 8)
            return max(int(needed).bit_length() - 1, 0)
        at += 8 + _aligned(size, layout.bits // 8)
    return 0


def _aligned(size: int, align: int) -> int:
    return -(-size // align) * align
