"""The bytes of ld.so.cache; ldconfig itself judges them in the interop tests."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.build.elf import AARCH64, elf
from tests.build.tree import root
from tests.unit.analysis.worlds import LIB, library, world

from layersmith.analysis.ldcache import encode, string_table, write_cache
from layersmith.analysis.ldindex import Entry, Index
from layersmith.errors import ElfError


def index_of(*entries: Entry, hwcaps: tuple[str, ...] = ()) -> Index:
    return Index(entries, hwcaps, (), {})


def decoded(data: bytes, order: str = "<") -> list[tuple[str, str, int, int]]:
    """Read a cache back: name, path, flags, hwcap."""
    (count,) = struct.unpack_from(order + "I", data, 20)

    def text(at: int) -> str:
        return data[at : data.index(b"\0", at)].decode()

    rows = [struct.unpack_from(order + "iIIIQ", data, 48 + 24 * n) for n in range(count)]
    return [(text(key), text(value), flags, hwcap) for flags, key, value, _, hwcap in rows]


def test_a_cache_of_one_library() -> None:
    data = encode(index_of(Entry("liba.so.1", "/lib/liba.so.1", 0x303)), "me", little_endian=True)
    strings = b"/lib/liba.so.1\0"
    extension = 48 + 24 + 16  # 15 bytes of strings, aligned to four
    assert data == b"".join(
        [
            b"glibc-ld.so.cache1.1",
            struct.pack("<IIB3xI12x", 1, len(strings), 2, extension),
            struct.pack("<iIIIQ", 0x303, 72 + 5, 72, 0, 0),
            strings,
            b"\0",
            struct.pack("<II", 0xEAA42174, 1),
            struct.pack("<IIII", 0, 0, extension + 8 + 16, 2),
            b"me",
        ]
    )


def test_big_endian() -> None:
    data = encode(index_of(Entry("liba.so.1", "/liba.so.1", 0x403)), "me", little_endian=False)
    assert data[28] == 3
    assert decoded(data, ">") == [("liba.so.1", "/liba.so.1", 0x403, 0)]


def test_no_libraries() -> None:
    assert decoded(encode(index_of(), "me", little_endian=True)) == []


def test_names_of_hwcaps() -> None:
    """Sorted, numbered, and only those that are used; but each is among the strings."""
    index = index_of(
        Entry("liba.so", "/lib/z/liba.so", 0x303, "z", 2),
        Entry("liba.so", "/lib/b/liba.so", 0x303, "b"),
        Entry("liba.so", "/lib/liba.so", 0x303),
        hwcaps=("z", "unused", "b"),
    )
    data = encode(index, "me", little_endian=True)
    assert [row[3] for row in decoded(data)] == [1 << 62 | 2 << 32 | 1, 1 << 62, 0]
    assert b"unused\0" in data
    (at,) = struct.unpack_from("<I", data, 32)
    sections = struct.unpack_from("<II IIII IIII II", data, at)
    assert sections[:2] == (0xEAA42174, 2)
    assert sections[2:6] == (0, 0, at + 8 + 32 + 8, 2)
    assert sections[6:10] == (1, 0, at + 8 + 32, 8)
    assert [data[x : x + 2] for x in sections[10:]] == [b"b\0", b"z\0"]
    assert data.endswith(b"me")


def test_strings_share_their_ends() -> None:
    offsets, table = string_table(["a.so", "lib/a.so", "b.so", "x", "/lib/a.so", "a.so"])
    assert table.count(b"a.so") == 1
    assert len(table) == len(b"/lib/a.so\0b.so\0x\0")
    assert table[offsets["a.so"] :].startswith(b"a.so\0")


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
        max_size=30,
    )
)
def test_every_string_is_where_it_is_said_to_be(texts: list[str]) -> None:
    offsets, table = string_table(texts)
    for text in texts:
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        assert table[offsets[text] : offsets[text] + len(raw)] == raw
    assert string_table(reversed(texts))[1] == table


def test_it_signs_with_the_words_of_the_c_library() -> None:
    data = write_cache(world({f"{LIB}/liba.so.1": library("liba.so.1")}))
    assert data.endswith(b"ldconfig (Debian GLIBC 2.41-12) stable release version 2.41")
    assert decoded(data)[1] == ("liba.so.1", "/lib/x86_64-linux-gnu/liba.so.1", 0x303, 0)


def test_the_machine_is_that_of_the_root() -> None:
    shown = world({}, machine=AARCH64)
    assert {row[2] for row in decoded(write_cache(shown))} == {0xA03}


def test_a_root_without_glibc() -> None:
    musl = root({"lib/ld-musl-x86_64.so.1": elf(), "lib64/ld-linux-x86-64.so.2": elf()})
    with pytest.raises(ElfError, match="no dynamic loader of glibc"):
        write_cache(musl)
