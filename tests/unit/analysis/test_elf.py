"""The ELF reader: what it reads, and that nothing can make it do more than that."""

import struct
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.build.elf import AARCH64, EXEC, X86_64, elf

from layersmith.analysis.elf import (
    MAX_DYNAMIC,
    MAX_PHDRS,
    MAX_SEARCH_PATH,
    ElfFile,
    Machine,
    VersionNeed,
    read_elf,
)
from layersmith.analysis.elfimage import MAX_STRING
from layersmith.errors import ElfError

WHOLE = {
    "soname": "liba.so.1",
    "needed": ["libb.so", "libc.so.6"],
    "interpreter": "/lib/ld.so",
    "wants": {"libc.so.6": ["GLIBC_2.3", ("GLIBC_2.9", True)], "libb.so": ["B_1"]},
    "versions": ["A_1", "A_2"],
    "isa": 5,
    "flags_1": 0x800,
}


def read(data: bytes) -> ElfFile:
    found = read_elf(data, "usr/lib/x.so")
    assert found is not None
    return found


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_class_and_byte_order(bits: int, order: str) -> None:
    found = read(elf(bits=bits, order=order, rpath="$ORIGIN", runpath="/x:/y", **WHOLE))  # type: ignore[arg-type]
    assert found.abi == (bits, Machine.X86_64, order == "<")
    assert found.is_shared
    assert found.is_dynamic
    assert found.ignores_default_directories
    assert (found.soname, found.needed) == ("liba.so.1", ("libb.so", "libc.so.6"))
    assert (found.rpath, found.runpath) == ("$ORIGIN", "/x:/y")
    assert found.interpreter == "/lib/ld.so"
    assert found.isa_level == 2  # the highest bit of 0b101
    assert found.versions == ("liba.so.1", "A_1", "A_2")
    assert found.version_needs == (
        VersionNeed("libc.so.6", "GLIBC_2.3", weak=False),
        VersionNeed("libc.so.6", "GLIBC_2.9", weak=True),
        VersionNeed("libb.so", "B_1", weak=False),
    )


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"#!/bin/sh\n", b"MZ" * 100])
def test_what_is_no_elf_file(data: bytes) -> None:
    assert read_elf(data, "x") is None


def test_a_static_program() -> None:
    found = read(elf(dynamic=False, type=EXEC, machine=AARCH64))
    assert not found.is_dynamic
    assert not found.is_shared
    assert (found.needed, found.soname, found.interpreter) == ((), None, None)


def test_names_that_are_not_text_travel() -> None:
    found = read(elf(soname=b"lib\xff.so".decode("utf-8", "surrogateescape")))
    assert (found.soname or "").encode("utf-8", "surrogateescape") == b"lib\xff.so"


def test_the_isa_is_read_on_x86_only() -> None:
    assert read(elf(machine=AARCH64, isa=5)).isa_level == 0
    assert read(elf(isa=0)).isa_level == 0
    assert read(elf(isa=1)).isa_level == 0


def test_the_message_names_the_file() -> None:
    with pytest.raises(ElfError, match=r"^usr/lib/x\.so: .*cut short"):
        read(b"\x7fELF")


def patched(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + layout, changed, offset, *values)
    return bytes(changed)


BASE = elf(**WHOLE, runpath="/x")  # type: ignore[arg-type]
PHOFF, PHENTSIZE, PHNUM = 32, 54, 56
FIRST = 64  # the PT_LOAD header; offset at +8, size at +32


def header_at(kind: int) -> int:
    """Return where the program header of `kind` is."""
    for number in range(8):
        at = FIRST + 56 * number
        if struct.unpack_from("<I", BASE, at)[0] == kind:
            return at
    raise AssertionError(kind)


def entry_at(tag: int) -> int:
    """Return where the value of the dynamic entry `tag` is."""
    start, size = struct.unpack_from("<Q16xQ", BASE, header_at(2) + 8)
    for at in range(start, start + size, 16):
        if struct.unpack_from("<Q", BASE, at)[0] == tag:
            return int(at) + 8
    raise AssertionError(tag)


HUGE = [2**63, 2**64 - 1, 2**32, len(BASE), len(BASE) - 1]


@pytest.mark.parametrize(
    "data",
    [
        patched(BASE, 4, "B", 3),  # class
        patched(BASE, 5, "B", 0),  # byte order
        patched(BASE, 6, "B", 2),  # version
        patched(BASE, 20, "I", 0),
        patched(BASE, PHNUM, "H", 65535),
        patched(BASE, PHNUM, "H", MAX_PHDRS + 1),
        patched(BASE, PHENTSIZE, "H", 0),
        patched(BASE, PHENTSIZE, "H", 32),
        *[patched(BASE, PHOFF, "Q", offset) for offset in HUGE],
        *[patched(BASE, header_at(2) + 8, "Q", offset) for offset in HUGE],
        *[patched(BASE, header_at(2) + 32, "Q", size) for size in HUGE[:-1]],
        *[patched(BASE, header_at(3) + 8, "Q", offset) for offset in HUGE],
        *[patched(BASE, header_at(3) + 32, "Q", size) for size in (*HUGE, 0)],
        *[
            patched(BASE, entry_at(tag), "Q", address)
            for tag in (5, 0x6FFFFFFC, 0x6FFFFFFE)
            for address in HUGE
        ],
        *[patched(BASE, entry_at(tag), "Q", offset) for tag in (1, 14, 29) for offset in HUGE],
        patched(BASE, entry_at(10), "Q", 0),  # DT_STRSZ
        patched(BASE, entry_at(10), "Q", 2**63),
        elf(needed=["x" * (MAX_STRING + 1)]),
        elf(runpath="/" * (MAX_SEARCH_PATH + 1)),
        elf(interpreter="/" * (MAX_STRING + 1)),
        elf(needed=["x"] * (MAX_DYNAMIC + 1)),
        elf(needed=[f"{n}{'x' * 4000}" for n in range(300)]),  # all strings together
    ],
)
def test_damage_is_an_elf_error(data: bytes) -> None:
    with pytest.raises(ElfError):
        read_elf(data, "x")


def test_a_string_must_end_inside_its_table() -> None:
    size = struct.unpack_from("<Q", BASE, entry_at(10))[0]
    for shorter in range(1, size):
        try:
            read_elf(patched(BASE, entry_at(10), "Q", size - shorter), "x")
        except ElfError as error:
            assert "string" in error.message  # noqa: PT017
            return
    pytest.fail("no string was cut")


STACK = header_at(0x6474E551)


@pytest.mark.parametrize(
    "data",
    [
        patched(BASE, STACK, "I4xQQ8xQ", 1, 0, 0, len(BASE)),  # over the first
        patched(BASE, STACK, "I4xQQ8xQ", 1, 16, len(BASE) + 32, 1),  # in its last page
        patched(BASE, STACK, "I4xQQ8xQ", 2, 0, 0, 64),  # a second dynamic segment
        patched(BASE, STACK, "I4xQQ8xQ", 3, *struct.unpack_from("<QQ8xQ", BASE, header_at(3) + 8)),
        patched(BASE, header_at(2) + 16, "Q", 0),  # its address is another place
        patched(BASE, header_at(2) + 32, "Q", 16),  # its end lies behind it
    ],
)
def test_what_two_readers_would_read_differently_is_refused(data: bytes) -> None:
    """The loader goes by addresses and the last mapping, ldconfig and readelf by offsets."""
    with pytest.raises(ElfError, match=r"overlap|two |no end"):
        read(data)


def test_segments_apart_are_no_harm() -> None:
    apart = patched(BASE, STACK, "I4xQQ8xQ", 1, 16, 1 << 20, 64)
    assert read(apart) == read(BASE)
    empty = patched(BASE, STACK, "I4xQQ8xQ", 2, 0, 0, 0)
    assert read(empty) == read(BASE)


@pytest.mark.parametrize("count", [0, 1, 10_000, 2**63])
def test_links_count_and_not_what_is_said_of_them(count: int) -> None:
    """As in the loader, which looks at the counts of version tables nowhere."""
    said = BASE
    for tag in (0x6FFFFFFF, 0x6FFFFFFD):
        said = patched(said, entry_at(tag), "Q", count)
    assert read(said) == read(BASE)


def test_version_tables_that_loop_are_counted() -> None:
    need = struct.unpack_from("<Q", BASE, entry_at(0x6FFFFFFE))[0]
    many = patched(BASE, entry_at(0x6FFFFFFF), "Q", 8000)
    for at in (need + 12, need + 16 + 12):  # the links to the next file and version
        for link in (1, 16, 2**32 - 16, 2**32 - 1):
            only_elf_error(patched(many, at, "I", link))


def test_many_large_dynamic_segments_are_read_once() -> None:
    data = bytearray(elf(pad=b"\1" * (8 << 20)))
    table = b"".join(
        struct.pack("<IIQQQQQQ", 2, 6, 64, 64, 64, 8 << 20, 8 << 20, 8) for _ in range(MAX_PHDRS)
    )
    struct.pack_into("<Q", data, PHOFF, len(data))
    struct.pack_into("<H", data, PHNUM, MAX_PHDRS)
    only_elf_error(bytes(data) + table)


REAL = Path(sys.executable).resolve().read_bytes()[: 1 << 20] + b"\0" * 100
CHANGES = st.lists(st.tuples(st.integers(0, 4096), st.binary(min_size=1, max_size=9)), max_size=6)


def only_elf_error(data: bytes) -> None:
    start = time.perf_counter()
    try:
        found = read_elf(data, "x")
        assert found is None or len(found.needed) <= MAX_DYNAMIC
    except ElfError:
        pass
    assert time.perf_counter() - start < 1


@settings(max_examples=400, deadline=None)
@given(changes=CHANGES, length=st.integers(0, len(BASE)))
def test_any_change_of_a_small_object(changes: list[tuple[int, bytes]], length: int) -> None:
    data = bytearray(BASE)
    for offset, value in changes:
        at = offset % len(data)
        data[at : at + len(value)] = value
    only_elf_error(bytes(data))
    only_elf_error(bytes(data[:length]))


@settings(max_examples=200, deadline=None)
@given(changes=CHANGES, at=st.integers(0, len(REAL)))
def test_any_change_of_a_real_program(changes: list[tuple[int, bytes]], at: int) -> None:
    data = bytearray(REAL)
    for offset, value in changes:
        place = offset if offset % 2 else (at + offset) % len(data)
        data[place : place + len(value)] = value
    only_elf_error(bytes(data))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    only_elf_error(data)
    only_elf_error(b"\x7fELF\2\1\1" + data)
    only_elf_error(BASE[:64] + data)


def test_it_is_fast() -> None:
    data = elf(
        needed=[f"lib{n}.so" for n in range(10)],
        wants={f"lib{n}.so": [f"V_{m}" for m in range(4)] for n in range(10)},
        machine=X86_64,
    )
    start = time.perf_counter()
    for _ in range(200):
        read_elf(data, "x")
    assert time.perf_counter() - start < 200 * 0.001  # generous: it takes about 40 us
