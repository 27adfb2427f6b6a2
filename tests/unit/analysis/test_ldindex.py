"""What ldconfig takes, prefers and skips; the interop tests ask ldconfig itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.build.elf import AARCH64, ARM, EXEC, I386, X86_64, elf
from tests.build.tree import Spec, root
from tests.unit.analysis.worlds import LIB, index_in, library, world

from layersmith.analysis.elf import read_elf
from layersmith.analysis.glibc import Glibc
from layersmith.analysis.ldindex import Entry, Index, cache_flags, name_order, read_index
from layersmith.analysis.objects import Objects
from layersmith.rootfs.entries import Kind, Meta, Special

SYSTEM = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib")
DEBIAN = Glibc(
    64, X86_64, True, "/lib64/ld-linux-x86-64.so.2", SYSTEM, "(Debian) stable release version 2.41"
)
A1, A2 = library("liba.so.1", pad=b"1"), library("liba.so.1", pad=b"2")


def index_of(files: dict[str, Spec | None], *directories: str, glibc: Glibc = DEBIAN) -> Index:
    return read_index(root(files), glibc, directories, Objects())


def found(files: dict[str, Spec | None], *directories: str) -> dict[str, str]:
    return {entry.soname: entry.path for entry in index_of(files, *directories).entries}


def test_an_entry_is_the_soname_in_the_directory_as_it_was_named() -> None:
    index = index_of({"opt/x/libreal.so.1.2": A1, "opt/y": "x"}, "/opt/y")
    assert index.entries == (Entry("liba.so.1", "/opt/y/liba.so.1", 0x303),)
    assert index.links == (("opt/x/liba.so.1", "libreal.so.1.2"),)
    assert index.lookup("liba.so.1") == "/opt/y/liba.so.1"
    assert index.lookup("libreal.so.1.2") is None


def test_without_a_soname_the_file_name_counts() -> None:
    assert found({"usr/lib/liba.so.3": library(None)}) == {"liba.so.3": "/usr/lib/liba.so.3"}


@pytest.mark.parametrize(
    "name",
    [
        "foo.so",
        "liba.a",
        "liba.txt",
        "xlib.so",
        "ld.so",
        "ld64.so",
        "liba.so.dpkg-new",
        "liba.so.dpkg-tmp",
        "liba.so;5f00",
        "liba.so.#prelink#",
        "liba.so.#prelink#.abc123",
    ],
)
def test_names_that_are_not_looked_at(name: str) -> None:
    assert found({f"usr/lib/{name}": library(None)}) == {}


@pytest.mark.parametrize(
    "name", ["liba.so", "libx.so.y", "ld-2.41.so", "ld.so.1", "ld64.so.2", "lib.so"]
)
def test_names_that_are(name: str) -> None:
    assert name in found({f"usr/lib/{name}": library(None)})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GROUP ( libc.so.6 )",
        elf(type=EXEC),
        elf(dynamic=False),
        elf(machine=AARCH64),
        elf()[:80],
    ],
)
def test_files_that_are_no_libraries_of_this_machine(content: bytes) -> None:
    assert found({"usr/lib/liba.so": content, "usr/lib/libd.so/": None}) == {}


def test_the_higher_name_wins_by_number() -> None:
    index = index_of({"usr/lib/liba.so.1.9": A1, "usr/lib/liba.so.1.10": A2})
    assert index.links == (("usr/lib/liba.so.1", "liba.so.1.10"),)


def test_a_file_wins_over_a_link() -> None:
    files: dict[str, Spec | None] = {
        "usr/lib/liba.so.1": "/opt/liba",
        "opt/liba": A1,
        "usr/lib/liba.so.1.2": A2,
    }
    assert index_of(files).links == (("usr/lib/liba.so.1", "liba.so.1.2"),)


def test_a_link_with_another_name_than_the_soname_counts_as_a_file() -> None:
    files: dict[str, Spec | None] = {
        "usr/lib/liba.so.1.9": "/opt/liba",
        "opt/liba": A1,
        "usr/lib/liba.so.1.2": A2,
    }
    assert index_of(files).links == (("usr/lib/liba.so.1", "liba.so.1.9"),)


def test_the_link_for_the_linker_is_an_entry_of_its_own() -> None:
    files: dict[str, Spec | None] = {
        "usr/lib/liba.so": "liba.so.1",
        "usr/lib/liba.so.1": "liba.so.1.2",
        "usr/lib/liba.so.1.2": A1,
    }
    index = index_of(files)
    assert [entry.soname for entry in index.entries] == ["liba.so.1", "liba.so"]
    assert index.links == ()


def test_stale_and_endless_links_are_skipped() -> None:
    assert (
        found({"usr/lib/liba.so": "none", "usr/lib/libb.so": "libb.so", "usr/lib/libc.so": "/usr"})
        == {}
    )


def test_special_files_are_skipped() -> None:
    assert found({"usr/lib/libpipe.so": Special(Meta(0o644), Kind.FIFO)}) == {}


def test_a_directory_reached_twice_counts_once_under_its_first_name() -> None:
    files: dict[str, Spec | None] = {
        "lib": "usr/lib",
        f"{LIB}/liba.so.1": A1,
        "usr/lib/libb.so": library("libb.so"),
    }
    assert found(files) == {
        "liba.so.1": "/lib/x86_64-linux-gnu/liba.so.1",
        "libb.so": "/lib/libb.so",
    }
    assert found(files, "/usr/lib")["libb.so"] == "/usr/lib/libb.so"


def test_directories_that_are_none() -> None:
    files: dict[str, Spec | None] = {"opt/loop": "loop", "opt/file": b"x", "usr/lib/liba.so.1": A1}
    assert found(files, "/opt/loop", "/opt/file", "/opt/none") == {
        "liba.so.1": "/usr/lib/liba.so.1"
    }


def test_the_first_directory_comes_first() -> None:
    files: dict[str, Spec | None] = {"opt/a/liba.so.1": A1, "opt/b/liba.so.1": A2}
    index = index_of(files, "/opt/b", "/opt/a")
    assert [entry.path for entry in index.entries] == ["/opt/b/liba.so.1", "/opt/a/liba.so.1"]
    assert index.lookup("liba.so.1") == "/opt/b/liba.so.1"


def test_builds_for_better_cpus() -> None:
    levels = "usr/lib/glibc-hwcaps"
    files: dict[str, Spec | None] = {
        "usr/lib/liba.so.1": A1,
        f"{levels}/x86-64-v2/liba.so.1.5": library("liba.so.1", isa=2),
        f"{levels}/x86-64-v3/liba.so.1": library("liba.so.1", isa=4),
        f"{levels}/x86-64-v3/any": "liba.so.1",
        f"{levels}/x86-64-v4/": None,
        f"{levels}/.hidden/liba.so.1": A1,
        f"{levels}/a:b/liba.so.1": A1,
        f"{levels}/file": b"",
        f"{levels}/again": "x86-64-v2",
    }
    index = index_of(files)
    assert index.hwcaps == ("again", "x86-64-v2", "x86-64-v3", "x86-64-v4")
    assert index.entries == (
        Entry("liba.so.1", "/usr/lib/glibc-hwcaps/again/liba.so.1.5", 0x303, "again", 1),
        Entry("liba.so.1", "/usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1", 0x303, "x86-64-v3", 2),
        Entry("liba.so.1", "/usr/lib/liba.so.1", 0x303),
    )
    assert index.lookup("liba.so.1") == "/usr/lib/liba.so.1"
    assert index.links == ()


def test_a_loader_is_never_relinked() -> None:
    name = "ld-linux-x86-64.so.2"
    files: dict[str, Spec | None] = {
        f"usr/lib/{name}": "liba.so.1",
        "usr/lib/liba.so.1": A1,
        "usr/lib/ld-2.31.so": library(name),
    }
    assert index_of(files).links == ()


def test_old_ldconfigs_take_what_dpkg_leaves() -> None:
    old = Glibc(64, X86_64, True, "", SYSTEM, "(Debian GLIBC 2.36-9) stable release version 2.36")
    assert old.version == (2, 36)
    assert index_of({"usr/lib/liba.so.1.dpkg-new": library(None)}, glibc=old).entries


@pytest.mark.parametrize(
    ("host", "data", "flags"),
    [
        (X86_64, elf(), 0x303),
        (X86_64, elf(bits=32), 0x803),  # x32
        (X86_64, elf(bits=32, machine=I386), 0x3),
        (X86_64, elf(bits=32, machine=ARM), None),
        (AARCH64, elf(machine=AARCH64), 0xA03),
        (AARCH64, elf(machine=X86_64), 0xA03),  # aarch64's ldconfig sees the class only
        (AARCH64, elf(bits=32, machine=ARM, flags=0x5000400), 0x903),
        (AARCH64, elf(bits=32, machine=ARM, flags=0x5000200), 0xB03),
        (AARCH64, elf(bits=32, machine=ARM, flags=0x5000000), 0x3),
        (AARCH64, elf(bits=32, machine=ARM), 0x3),
        (243, elf(machine=243), 0x1003),
        (243, elf(), None),
        (22, elf(machine=22, order=">"), None),  # another byte order than the host's
    ],
)
def test_flags(host: int, data: bytes, flags: int | None) -> None:
    read = read_elf(data, "x")
    assert read is not None
    assert cache_flags(read, Glibc(64, host, True, "", SYSTEM)) == flags


def test_lookup_gives_only_what_the_loader_takes() -> None:
    files: dict[str, Spec | None] = {
        "opt/a/liba.so.1": elf(bits=32, machine=I386),
        f"{LIB}/liba.so.1": A1,
    }
    assert index_of(files, "/opt/a").lookup("liba.so.1") == f"/{LIB}/liba.so.1"


def test_a_real_lay_out() -> None:
    shown = world({f"{LIB}/liba.so.1": A1})
    names = [entry.soname for entry in index_in(shown).entries]
    assert names == ["libc.so.6", "liba.so.1", "ld-linux-x86-64.so.2"]


def test_the_order_of_names() -> None:
    names = ["lib", "liba.so", "liba.so.1", "liba.so.2", "liba.so.10", "libb.so", "lib1.so"]
    assert sorted(set(names), key=name_order) == names
    assert name_order("lib01.so") == name_order("lib1.so")
    assert name_order("liba.so.1" + "0" * 9999) > name_order("liba.so.9")
    assert name_order("libé", signed=True) < name_order("lib", signed=True)
    assert name_order("lib") < name_order("libé")


@given(st.text("ab.019", max_size=8), st.text("ab.019", max_size=8))
def test_the_order_is_that_of_the_c_function(first: str, second: str) -> None:
    a, b = name_order(first), name_order(second)
    assert (a > b) - (a < b) == libcmp(first, second)


def libcmp(p1: str, p2: str) -> int:
    """`_dl_cache_libcmp`, written as the C is: two cursors."""
    i = j = 0
    while i < len(p1):
        c1, c2 = p1[i], p2[j : j + 1]
        if c1.isdigit() and c2.isdigit():
            ends = []
            for text, at in ((p1, i), (p2, j)):
                end = at
                while end < len(text) and text[end].isdigit():
                    end += 1
                ends.append(end)
            v1, v2 = int(p1[i : ends[0]]), int(p2[j : ends[1]])
            if v1 != v2:
                return 1 if v1 > v2 else -1
            i, j = ends
        elif c1.isdigit():
            return 1
        elif c2.isdigit():
            return -1
        elif c1 != c2:
            return 1 if c1 > c2 else -1
        else:
            i, j = i + 1, j + 1
    return -1 if j < len(p2) else 0
