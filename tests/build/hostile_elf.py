"""ELF objects that were made to be misread, each in both classes and both byte orders.

A shape is either refused, with the words its error has, or read with the facts it says:
those that glibc's loader would find.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.build import elfedit as at
from tests.build.elf import elf
from tests.build.elfedit import Edit, note

from layersmith.analysis.elf import MAX_DYNAMIC, MAX_PHDRS, MAX_SEARCH_PATH
from layersmith.analysis.elfimage import MAX_STRING

LAYOUTS = [(64, "<"), (64, ">"), (32, "<"), (32, ">")]


@dataclass(frozen=True)
class Case:
    """Bytes, and either the words of the `error` that refuses them or `facts` read of them."""

    name: str
    data: bytes
    error: str = ""
    facts: tuple[tuple[str, object], ...] = ()


Bad: TypeAlias = Iterator[tuple[str, str, Edit]]
Good: TypeAlias = Iterator[tuple[str, dict[str, object], Edit]]


def cases() -> Iterator[Case]:
    """Yield every shape in every layout."""
    for bits, order in LAYOUTS:
        whole = Edit.of(bits, order)
        where = f"{bits}{'le' if order == '<' else 'be'}"
        for refused in (_headers, _segments, _dynamic, _lengths, _versions, _links):
            for name, error, edit in refused(whole):
                yield Case(f"{where} {name}", edit.data, error)
        for read in (_odd_headers, _odd_segments, _odd_dynamic, _odd_notes):
            for name, facts, edit in read(whole):
                yield Case(f"{where} {name}", edit.data, facts=tuple(facts.items()))
        for length in whole.boundaries:
            yield Case(f"{where} cut at {length}", whole.data[:length], ".")


BEYOND, NOWHERE, STRING = "beyond the end", "in no loaded segment", "a string is outside"
PLACES, OVER = "two places", "overlap or do not ascend"
NEED, DEFINITION = at.VERNEED, at.VERDEF
NAMES: dict[str, object] = {"soname": "liba.so.1", "needed": ("libb.so", "libc.so.6")}
VERSIONS: dict[str, object] = {"versions": ("liba.so.1", "A_1", "A_2"), **NAMES}

# A line a shape, whatever its length.
# fmt: off


def _headers(e: Edit) -> Bad:
    for n in (0, 3, 255):
        yield f"class {n}", "class or byte order", e.put(4, 1, n)
        yield f"byte order {n}", "class or byte order", e.put(5, 1, n)
    for n in (0, 2, 255):
        yield f"ident version {n}", "ELF version", e.put(6, 1, n)
    for n in (0, 2, 1 << 31):
        yield f"version {n}", "ELF version", e.header(version=n)
    yield "the other byte order", "ELF version", e.put(5, 1, 3 - e.data[5])
    for n in (MAX_PHDRS + 1, 0xFFFE, 0xFFFF):
        yield f"phnum {n}", "program headers", e.header(phnum=n)
    for n in (0, 1, 31, 33, 55, 57, 0xFFFF):
        yield f"phentsize {n}", "instead of", e.header(phentsize=n)
    for n in (*e.huge, len(e.data), len(e.data) - 1):
        yield f"phoff {n:#x}", BEYOND, e.header(phoff=n)


def _segments(e: Edit) -> Bad:
    for n in e.huge:
        yield f"dynamic at {n:#x}", BEYOND, e.segment(at.DYNAMIC, offset=n)
        yield f"dynamic of {n:#x}", BEYOND, e.segment(at.DYNAMIC, filesz=n)
        yield f"interpreter at {n:#x}", BEYOND, e.segment(at.INTERP, offset=n)
        yield f"load at {n:#x}", PLACES, e.segment(at.LOAD, offset=n)
        yield f"load address {n:#x}", NOWHERE, e.segment(at.LOAD, vaddr=n)
        yield f"dynamic address {n:#x}", NOWHERE, e.segment(at.DYNAMIC, vaddr=n)
    for n in (MAX_STRING + 1, e.huge[0]):
        yield f"interpreter of {n:#x}", "too long", e.segment(at.INTERP, filesz=n)
    yield "interpreter of no bytes", "empty", e.segment(at.INTERP, filesz=0)
    yield "interpreter without an end", "no end", e.segment(at.INTERP, filesz=3)
    yield "interpreter with a tail", "no end", _made(e, interpreter="/lib/ld.so\0tail").segment(at.INTERP, filesz=14)
    yield "interpreter of no name", "empty", _made(e, interpreter="\0")
    yield "two interpreters", "two interpreters", e.segment(at.STACK, type=3, offset=_interpreter(e), filesz=11)
    yield "load of no bytes", NOWHERE, e.segment(at.LOAD, filesz=0)
    yield "no load at all", NOWHERE, e.segment(at.LOAD, type=0)
    yield "a load over the first", OVER, e.segment(at.STACK, type=1, offset=0, vaddr=8, filesz=8)
    yield "a load in front of the first", OVER, e.segment(at.STACK, type=1, vaddr=0).segment(at.LOAD, vaddr=e.huge[1])
    yield "a load that shares a page", OVER, e.segment(at.STACK, type=1, offset=16, vaddr=len(e.data) + 32, filesz=1)
    yield "two dynamic segments", "two dynamic", e.segment(at.STACK, type=2, offset=0, filesz=64)
    yield "a dynamic segment in two places", PLACES, e.segment(at.DYNAMIC, vaddr=0)
    yield "half a dynamic entry", "no end", e.segment(at.DYNAMIC, filesz=e.word)
    yield "a dynamic segment without an end", "no end", e.segment(at.DYNAMIC, filesz=e.dynamic[1] - 2 * e.word)


def _dynamic(e: Edit) -> Bad:
    for n in e.huge:
        yield f"strtab {n:#x}", NOWHERE, e.entry(at.STRTAB, n)
        yield f"strsz {n:#x}", BEYOND, e.entry(at.STRSZ, n)
        for tag in (at.NEEDED, at.SONAME, at.RUNPATH):
            yield f"tag {tag} at {n:#x}", STRING, e.entry(tag, n)
    yield "strsz 0", STRING, e.entry(at.STRSZ, 0)
    yield "strsz 1", STRING, e.entry(at.STRSZ, 1)
    yield "a last string without an end", STRING, e.entry(at.STRSZ, e.get(e.entries[at.STRSZ] + e.word, 0) - 1)
    yield "no strtab", STRING, e.retag(at.STRTAB, 0x7FFF)
    yield "no strsz", STRING, e.retag(at.STRSZ, 0x7FFF)


def _lengths(e: Edit) -> Bad:
    path = "/" * (MAX_SEARCH_PATH + 1)
    yield "a name too long", STRING, _made(e, soname="x" * (MAX_STRING + 1))
    yield "a need too long", STRING, _made(e, needed=["x" * (MAX_STRING + 1)])
    yield "a version too long", STRING, _made(e, versions=["x" * (MAX_STRING + 1)])
    yield "a search path too long", STRING, _made(e, runpath=path)
    yield "an old search path too long", STRING, _made(e, rpath=path)
    yield "too many entries", "dynamic entries", _made(e, needed=["x"] * (MAX_DYNAMIC + 1))
    yield "too many strings", "bytes of strings", _made(e, needed=[f"{n}{'x' * 4000}" for n in range(300)])
    yield "one string too often", "bytes of strings", _made(e, needed=["x" * 4000] * 300)


def _versions(e: Edit) -> Bad:
    for table, name in ((NEED, "needs"), (DEFINITION, "definitions")):
        for n in e.huge:
            yield f"{name} at {n:#x}", NOWHERE, e.entry(table, n)
        for n in (0, 2, 0xFFFF):
            yield f"{name} of revision {n}", "unknown revision", e.record(table, 0, 2, n)


def _links(e: Edit) -> Bad:
    huge = 0xFFFFFFFF
    yield "a file's name nowhere", STRING, e.record(NEED, 4, 4, huge)
    yield "needs of a file nowhere", BEYOND, e.record(NEED, 8, 4, huge)
    yield "the next file nowhere", BEYOND, e.record(NEED, 12, 4, huge)
    yield "the next file a byte on", ".", e.record(NEED, 12, 4, 1)
    yield "a version's name nowhere", STRING, e.record(NEED, 24, 4, huge)
    yield "the next version nowhere", BEYOND, e.record(NEED, 28, 4, huge)
    yield "the next version a byte on", ".", e.record(NEED, 28, 4, 1)
    yield "the names of a definition nowhere", BEYOND, e.record(DEFINITION, 12, 4, huge)
    yield "a definition's name nowhere", STRING, e.record(DEFINITION, 20, 4, huge)
    yield "the next definition nowhere", BEYOND, e.record(DEFINITION, 16, 4, huge)
    yield "the next definition a byte on", ".", e.record(DEFINITION, 16, 4, 1)
    yield "needs without an end", "without an end", _endless(e, NEED, 16, {12: 16})
    yield "definitions without an end", "without an end", _endless(e, DEFINITION, 20, {12: 8, 16: 20})


def _odd_headers(e: Edit) -> Good:
    yield "nothing odd", VERSIONS, e
    yield "sections that lie", NAMES, e.header(shoff=e.huge[0], shentsize=0, shnum=65535, shstrndx=65535)
    yield "sections of no size", NAMES, e.header(shoff=1, shentsize=0, shnum=1)
    yield "an entry point nowhere", NAMES, e.header(entry=e.huge[0])
    yield "a header of no size", NAMES, e.header(ehsize=0)
    yield "a machine that nobody knows", {**NAMES, "machine": 0xFFFF}, e.header(machine=0xFFFF)
    yield "a type that nobody knows", {**NAMES, "type": 0xFEFE}, e.header(type=0xFEFE)
    yield "no program headers", {"needed": (), "is_dynamic": False}, e.header(phnum=0)
    yield "the other class", {"needed": (), "is_dynamic": False}, e.put(4, 1, 3 - e.data[4])
    yield "none, of no size, nowhere", {"is_dynamic": False}, e.header(phnum=0, phentsize=0, phoff=e.huge[0])


def _odd_segments(e: Edit) -> Good:
    yield "sizes in memory that lie", NAMES, e.segment(at.LOAD, memsz=0, align=3, paddr=e.huge[0])
    yield "a load beyond the end", NAMES, e.segment(at.LOAD, filesz=e.huge[1])
    yield "a second load behind the first", NAMES, e.segment(at.STACK, type=1, offset=e.huge[0], vaddr=e.huge[1], filesz=e.huge[0])
    yield "a second, empty dynamic segment", NAMES, e.segment(at.STACK, type=2, offset=0, filesz=0)
    yield "an empty dynamic segment", {"needed": (), "is_dynamic": False}, e.segment(at.DYNAMIC, filesz=0)
    yield "segments that nobody knows", NAMES, e.segment(at.STACK, type=0x7FFFFFFF, offset=e.huge[0], filesz=e.huge[0])
    yield "an odd interpreter", {"interpreter": "\x1b[2J/../ld"}, _made(e, interpreter="\x1b[2J/../ld")


def _odd_dynamic(e: Edit) -> Good:
    odd = b"\xff\x1b[31m\n".decode("utf-8", "surrogateescape")
    many = ["x"] * (MAX_DYNAMIC - 20)
    yield "an end at the start", {"needed": (), "soname": None}, e.retag(at.NEEDED, 0)
    yield "a name twice", {"soname": "iba.so.1"}, _made(e, tags=[(at.SONAME, 2 + len("libb.so\0libc.so.6\0"))])
    yield "a name inside of another", {"soname": "so.1"}, e.entry(at.SONAME, e.get(e.entries[at.SONAME] + e.word, 0) + 5)
    yield "a name that is empty", {"soname": ""}, e.entry(at.SONAME, 0)
    yield "a need that is empty", {"needed": ("", "libc.so.6")}, e.entry(at.NEEDED, 0)
    yield "a name of odd bytes", {"soname": odd}, _made(e, soname=odd)
    yield "many needs", {"needed": tuple(many)}, _made(e, needed=many, wants=None)
    yield "all bits of flags", {"flags_1": 0xFFFFFFFF}, _made(e, flags_1=0xFFFFFFFF)
    for n in (0, 1, 8193, e.huge[0]):
        yield f"{n} versions, it is said", VERSIONS, e.entry(at.VERDEFNUM, n).entry(at.VERNEEDNUM, n)
    for n in (0, 1, 65535):
        yield f"{n} of a file, it is said", VERSIONS, e.record(NEED, 2, 2, n)


def _odd_notes(e: Edit) -> Good:
    yield "a note nowhere", {"isa_level": 0}, e.segment(at.PROPERTY, offset=e.huge[0])
    yield "a note cut short", {"isa_level": 0}, e.segment(at.PROPERTY, filesz=15)
    yield "a note of another alignment", {"isa_level": 0}, e.segment(at.PROPERTY, align=1)
    for number, parts in enumerate(_NOTES):
        data = note(e.order, e.word, *parts)
        made = Edit(elf(bits=e.bits, order=e.order, isa=5, pad=data), e.bits, e.order)
        yield f"odd notes {number}", {"isa_level": 0}, made.segment(at.PROPERTY, offset=len(made.data) - len(data), filesz=len(data))


# fmt: on
_NAME = b"GNU\0"
_NOTES: list[list[tuple[int, int, int, bytes, bytes]]] = [
    [(0xFFFFFFFF, 0, 5, _NAME, b"")],
    [(4, 0xFFFFFFFF, 5, _NAME, b"")],
    [(4, 0xFFFFFFFF, 6, _NAME, b"")],
    [(0, 0, 0, b"", b"")] * 400,
    [(4, 8, 5, _NAME, b"\0" * 8)] * 200,
    [(4, 12, 5, _NAME, b"\xff" * 12)],
    [(5, 12, 5, _NAME, b"\x02\x80\0\xc0\4\0\0\0\1\0\0\0")],
]


def _made(edit: Edit, **more: Any) -> Edit:
    return Edit.of(edit.bits, edit.order, **more)


def _interpreter(edit: Edit) -> int:
    return edit.get(edit.segments[at.INTERP] + (8 if edit.bits == 64 else 4), 0)


def _endless(edit: Edit, table: int, size: int, fields: dict[int, int]) -> Edit:
    """Return an object with more records than there may be, each with a link to the next."""
    record = Edit(bytes(size), edit.bits, edit.order).put(0, 2, 1)
    for offset, value in fields.items():
        record = record.put(offset, 4, value)
    pad = record.data * 9000
    made = Edit(elf(bits=edit.bits, order=edit.order, soname="x", tags=[(table, 1)], pad=pad), edit.bits, edit.order)  # fmt: skip
    return made.entry(table, len(made.data) - len(pad))
