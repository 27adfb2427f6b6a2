"""What is shipped, what the base provides, and each way in which it can fail."""

import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.build.elf import AARCH64, EXEC, I386, elf
from tests.build.tree import Spec, root
from tests.unit.analysis.worlds import LIB, glibc_files, library, world

from layersmith.analysis.closure import Closure, Reason, Shipped, Unresolved, closure, verify
from layersmith.analysis.objects import Objects
from layersmith.analysis.problems import (
    AbiMismatch,
    BrokenObject,
    MissingInterpreter,
    MissingLibrary,
    UnsafeSearchPath,
)
from layersmith.errors import ClosureError, ElfError
from layersmith.rootfs.entries import Directory, File
from layersmith.rootfs.tree import Root, Tree

EXTENSION = "usr/local/lib/python3.13/lib-dynload/_x.so"
CONF: dict[str, Spec | None] = {"etc/ld.so.conf": b"/usr/local/lib\n"}
LOADER = "/lib64/ld-linux-x86-64.so.2"


def close(builder: Root, base: Root, *roots: str, accept: tuple[str, ...] = ()) -> Closure:
    return closure(builder, base, roots, allow_unresolved=accept)


def paths(result: Closure) -> list[str]:
    return [shipped.path for shipped in result.shipped]


def test_what_the_builder_alone_has_is_shipped_with_its_links_and_reasons() -> None:
    builder = world(
        {
            EXTENSION: library(None, "libffi.so.8", "libc.so.6"),
            f"{LIB}/libffi.so.8": "libffi.so.8.1.4",
            f"{LIB}/libffi.so.8.1.4": library("libffi.so.8", "libc.so.6"),
        }
    )
    result = close(builder, world({}), EXTENSION)
    assert result.shipped == (
        Shipped(
            f"{LIB}/libffi.so.8.1.4",
            (f"{LIB}/libffi.so.8",),  # not "lib", which the base has
            (Reason(EXTENSION, "libffi.so.8"),),
        ),
    )
    assert str(result.shipped[0].reasons[0]) == f"needed by {EXTENSION} as libffi.so.8"
    assert result.links == (f"{LIB}/libffi.so.8",)
    assert [(x.soname, x.path) for x in result.provided] == [
        ("ld-linux-x86-64.so.2", f"{LIB}/ld-linux-x86-64.so.2"),
        ("libc.so.6", f"{LIB}/libc.so.6"),
    ]
    assert result.provided[1].wanted_by == (f"{LIB}/libffi.so.8.1.4", EXTENSION)
    assert result.conf_directories == ()
    assert result.problems == ()
    result.check()


def test_what_the_base_has_is_not_shipped_and_keeps_its_own_place() -> None:
    builder = world(
        {EXTENSION: library(None, "libz.so.1"), f"{LIB}/libz.so.1": library("libz.so.1")}
    )
    base = world(
        {f"{LIB}/libz.so.1": "libz.so.1.3", f"{LIB}/libz.so.1.3": library("libz.so.1", pad=b"b")}
    )
    result = close(builder, base, EXTENSION)
    assert paths(result) == []
    assert (f"{LIB}/libz.so.1.3", (EXTENSION,)) in [(x.path, x.wanted_by) for x in result.provided]


def test_needs_of_needs() -> None:
    builder = world(
        {
            EXTENSION: library(None, "libgdbm.so.6"),
            f"{LIB}/libgdbm.so.6": library("libgdbm.so.6", "libreadline.so.8"),
            f"{LIB}/libreadline.so.8": library("libreadline.so.8", "libgdbm.so.6", "libtinfo.so.6"),
            f"{LIB}/libtinfo.so.6": library("libtinfo.so.6"),
        }
    )
    result = close(builder, world({}), EXTENSION)
    assert paths(result) == [
        f"{LIB}/{x}" for x in ("libgdbm.so.6", "libreadline.so.8", "libtinfo.so.6")
    ]
    assert [x.wanted_by for x in result.shipped[0].reasons] == [
        f"{LIB}/libreadline.so.8",
        EXTENSION,
    ]


def test_a_root_that_is_needed_is_not_shipped_twice() -> None:
    python, lib = "usr/local/bin/python3", "usr/local/lib/libpython3.13.so.1.0"
    builder = world(
        {
            **CONF,
            python: library(
                None, "libpython3.13.so.1.0", runpath="$ORIGIN/../lib", interpreter=LOADER
            ),
            lib: library("libpython3.13.so.1.0"),
            EXTENSION: library(None, "libpython3.13.so.1.0"),
        }
    )
    result = close(builder, world({}), python, lib, EXTENSION)
    assert paths(result) == []
    assert result.problems == ()
    assert result.conf_directories == ("/usr/local/lib",)  # for the extension


def test_a_directory_that_only_the_builders_configuration_knows() -> None:
    builder = world(
        {
            "etc/ld.so.conf": b"/opt/x/lib\n",
            EXTENSION: library(None, "libx.so.1"),
            "opt/x/lib/libx.so.1": library("libx.so.1"),
        }
    )
    result = close(builder, world({}), EXTENSION)
    assert paths(result) == ["opt/x/lib/libx.so.1"]
    assert result.conf_directories == ("/opt/x/lib",)


def test_a_default_directory_that_the_base_does_not_have() -> None:
    elsewhere = {f"{LIB}/ld-linux-x86-64.so.2": elf(soname="ld", pad=b"\0/lib64/\0/usr/lib64/\0")}
    builder = world(
        {**elsewhere, EXTENSION: library(None, "libx.so"), "usr/lib64/libx.so": library("libx.so")}
    )
    assert close(builder, world({}), EXTENSION).conf_directories == ("/lib64",)


def test_a_root_beats_the_bases_own() -> None:
    """A wheel brings its libraries with it: they are found by its RPATH, not the base's."""
    own = "app/x.libs/libz.so.1"
    builder = world(
        {
            "app/x/_x.so": library(
                None, "libz.so.1", rpath="$ORIGIN/../x.libs", wants={"libz.so.1": ["Z_2"]}
            ),
            own: library("libz.so.1", versions=["Z_2"]),
        }
    )
    base = world({f"{LIB}/libz.so.1": library("libz.so.1", versions=["Z_1"])})
    result = close(builder, base, "app/x/_x.so", own)
    assert result.problems == ()
    assert not [x for x in result.provided if x.soname == "libz.so.1"]


def test_unresolved() -> None:
    builder = world({EXTENSION: library(None, "libtk8.6.so", "libnone.so")})
    result = close(builder, world({}), EXTENSION, accept=("libtk*",))
    assert result.unresolved == (Unresolved("libtk8.6.so", (EXTENSION,)),)
    (problem,) = result.problems
    assert isinstance(problem, MissingLibrary)
    assert (problem.soname, problem.wanted_by) == ("libnone.so", EXTENSION)
    assert "/usr/lib/x86_64-linux-gnu" in problem.searched
    with pytest.raises(ClosureError, match=r"libnone\.so, needed by .*_x\.so") as caught:
        result.check()
    assert "--allow-unresolved" in caught.value.hint


def test_all_problems_together() -> None:
    builder = world(
        {
            "a.so": library(None, "libnone.so", "libtext.so", runpath=":/opt"),
            "b": library(None, interpreter="/lib/ld-musl-x86_64.so.1"),
            "opt/libtext.so": b"INPUT(-lx)",
        }
    )
    result = close(builder, world({}), "a.so", "b")
    assert {type(problem) for problem in result.problems} == {
        MissingLibrary,
        BrokenObject,
        UnsafeSearchPath,
        MissingInterpreter,
    }
    with pytest.raises(ClosureError) as caught:
        result.check()
    assert len(caught.value.problems) == 4
    assert "libtext.so" in caught.value.message


def test_a_version_that_the_base_lacks() -> None:
    """What happens with a builder of a newer release: sqlite wants GLIBC_2.38 of 2.36."""
    sqlite = f"{LIB}/libsqlite3.so.0"
    builder = world(
        {
            EXTENSION: library(None, "libsqlite3.so.0"),
            sqlite: library(
                "libsqlite3.so.0", "libc.so.6", wants={"libc.so.6": ["GLIBC_2.9", "GLIBC_2.38"]}
            ),
        }
    )
    base = root(glibc_files(versions=("GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.36", "GLIBC_PRIVATE")))
    (problem,) = close(builder, base, EXTENSION).problems
    assert problem == AbiMismatch(
        "libc.so.6", ("GLIBC_2.38",), sqlite, f"{LIB}/libc.so.6", "GLIBC_2.36"
    )
    with pytest.raises(ClosureError) as caught:
        close(builder, base, EXTENSION).check()
    assert caught.value.hint == "use a builder of the same Debian release as the base"
    assert str(problem) == (
        f"{sqlite} wants GLIBC_2.38 of libc.so.6, but {LIB}/libc.so.6 has GLIBC_2.36 at most"
    )


def test_a_weak_version_is_no_want_and_a_provider_without_versions_has_all() -> None:
    builder = world(
        {
            EXTENSION: library(
                None,
                "libc.so.6",
                "libold.so",
                wants={"libc.so.6": [("GLIBC_2.99", True)], "libold.so": ["OLD_9"]},
            ),
            f"{LIB}/libold.so": library("libold.so"),
        }
    )
    assert close(builder, world({}), EXTENSION).problems == ()


def test_a_version_that_the_builders_own_library_lacks() -> None:
    builder = world(
        {
            EXTENSION: library(None, "libx.so.1", wants={"libx.so.1": ["X_2"]}),
            f"{LIB}/libx.so.1": library("libx.so.1", versions=["Y_1"]),
        }
    )
    (problem,) = close(builder, world({}), EXTENSION).problems
    assert isinstance(problem, AbiMismatch)
    assert "does not define it" in str(problem)


def test_a_base_without_a_loader() -> None:
    builder = world({"bin/x": library(None, "libc.so.6", interpreter=LOADER)})
    result = close(builder, root({"etc/": None}), "bin/x")
    with pytest.raises(ClosureError, match="is not in the base"):
        result.check()
    assert result.problems == (MissingInterpreter(LOADER, "bin/x"),)
    assert f"{LIB}/libc.so.6" in paths(result)


def test_neither_has_a_c_library() -> None:
    empty = root({"x.so": library(None, "libc.so.6")})
    assert close(empty, empty, "x.so").shipped == ()


def test_roots_that_are_no_dynamic_objects_of_this_machine() -> None:
    builder = world(
        {
            "text": b"#!/bin/sh\n" * 300_000,
            "static": elf(type=EXEC, dynamic=False),
            "i386.so": elf(bits=32, machine=I386, needed=["libnone.so"]),
            "arm.so": elf(machine=AARCH64, needed=["libnone.so"]),
            "damaged.so": library(None, "libnone.so")[:200],
            "link": "/none",
        }
    )
    result = close(
        builder,
        world({}),
        "text",
        "static",
        "i386.so",
        "arm.so",
        "damaged.so",
        "link",
        "none",
        "usr",
    )
    assert (result.shipped, result.problems) == ((), ())


def test_builds_for_better_cpus_come_along() -> None:
    fast = f"{LIB}/glibc-hwcaps/x86-64-v3/libx.so.1"
    builder = world(
        {
            EXTENSION: library(None, "libx.so.1"),
            f"{LIB}/libx.so.1": library("libx.so.1"),
            fast: library("libx.so.1", "libfast.so"),
            f"{LIB}/libfast.so": library("libfast.so"),
        }
    )
    result = close(builder, world({}), EXTENSION)
    assert paths(result) == [fast, f"{LIB}/libfast.so", f"{LIB}/libx.so.1"]


def test_the_expected_and_the_allowed_are_the_same_to_it() -> None:
    builder = world({EXTENSION: library(None, "liba.so", "libb.so")})
    result = closure(
        builder,
        world({}),
        [EXTENSION],
        expected_unresolved=["liba.so"],
        allow_unresolved=["lib?.so"],
    )
    assert [x.soname for x in result.unresolved] == ["liba.so", "libb.so"]


def test_an_rpath_that_leaves_the_root_stays_in_it() -> None:
    builder = world(
        {
            EXTENSION: library(None, "libx.so", rpath="$ORIGIN/../../../../../../../../etc"),
            "etc/libx.so": library("libx.so"),
        }
    )
    assert paths(close(builder, world({}), EXTENSION)) == ["etc/libx.so"]


def overlaid(base: Root, builder: Root, result: Closure, *roots: str) -> Root:
    """Return the base with the roots and what is shipped, as the assembled image has them."""
    wanted = {*roots, *result.links, *(x.path for x in result.shipped)}
    placed: dict[str, Spec | None] = {}
    for path, entry in (*base.tree.walk(), *((x, builder.tree.entry(x)) for x in sorted(wanted))):
        side = builder if path in wanted else base
        if isinstance(entry, File):
            placed[path] = side.contents.read(entry)
        elif entry is not None and not isinstance(entry, Directory):
            placed[path] = entry
    return root(placed)


NAMES = [f"lib{letter}.so" for letter in "abcdef"]
GRAPH = st.dictionaries(
    st.sampled_from(NAMES),
    st.tuples(st.lists(st.sampled_from(NAMES), max_size=3), st.booleans()),
    min_size=1,
)


@settings(max_examples=60, deadline=None)
@given(graph=GRAPH, in_base=st.sets(st.sampled_from(NAMES)), order=st.randoms())
def test_laws(graph: dict[str, tuple[list[str], bool]], in_base: set[str], order: Random) -> None:
    files: dict[str, Spec | None] = {
        f"{LIB}/{name}": library(name, *needed, rpath="/opt" if inherits else None)
        for name, (needed, inherits) in graph.items()
    }
    builder = world(
        {
            **files,
            EXTENSION: library(None, *sorted(graph)),
            "opt/libf.so": library("libf.so", pad=b"o"),
        }
    )
    base = world({f"{LIB}/{name}": library(name, pad=b"base") for name in in_base})
    result = close(builder, base, EXTENSION)
    shipped = paths(result)

    assert result == close(builder, base, EXTENSION, EXTENSION)
    # Nothing is added by asking again with what was found, in any order. (With DT_RPATH an
    # object alone may need another file than it does where another one has loaded it.)
    again = [EXTENSION, *shipped]
    order.shuffle(again)
    if not any(inherits for _, inherits in graph.values()):
        assert paths(close(builder, base, *again)) == []
    # More roots never need less.
    more = close(builder, base, EXTENSION, *files)
    assert {*paths(more), *files} >= set(shipped)
    # No library of the base is shipped, and all that is shipped exists and is wanted.
    assert not {path.rpartition("/")[2] for path in shipped if path.startswith(LIB)} & in_base
    assert all(builder.tree.entry(path) for path in shipped)
    assert all(x.reasons for x in result.shipped)


def test_verify_agrees_with_the_closure() -> None:
    builder = world(
        {
            EXTENSION: library(None, "liba.so.1", "libtk.so"),
            f"{LIB}/liba.so.1": "liba.so.1.0",
            f"{LIB}/liba.so.1.0": library("liba.so.1", "libb.so"),
            f"{LIB}/libb.so": library("libb.so"),
        }
    )
    base = world({})
    result = close(builder, base, EXTENSION, accept=("libtk.so",))
    final = overlaid(base, builder, result, EXTENSION)
    assert verify(final, [EXTENSION, *paths(result)], accepted=["libtk.so"]) == ()
    (problem,) = verify(final, [EXTENSION])
    assert isinstance(problem, MissingLibrary)
    without = Root(base.tree, base.contents)
    assert verify(without, [EXTENSION]) == ()  # nothing there to load


def test_verify_finds_what_went_wrong_on_the_way() -> None:
    final = world(
        {EXTENSION: library(None, "liba.so", interpreter="/lib/ld-none"), "bin/x": b"text"}
    )
    problems = verify(final, [EXTENSION, "bin/x", "none"])
    assert {type(problem) for problem in problems} == {MissingInterpreter, MissingLibrary}
    assert verify(root({}), [EXTENSION]) == ()


def test_a_shared_memory_reads_each_object_once() -> None:
    builder = world({EXTENSION: library(None, "libc.so.6")})
    base = world({})
    objects = Objects()
    closure(builder, base, [EXTENSION], objects=objects)
    read: list[object] = []

    class Counting:
        def read(self, file: object) -> bytes:
            read.append(file)
            return builder.contents.read(file)  # type: ignore[arg-type]

        chunks = read

    counted = Root(Tree(builder.tree.root), Counting())  # type: ignore[arg-type]
    closure(counted, base, [EXTENSION], objects=objects)
    # The loader and the C library are looked at for their words, nothing else is read.
    assert len(read) <= 2


def test_problems_are_counted() -> None:
    builder = world({"x.so": library(None, *[f"lib{n}.so" for n in range(1100)])})
    with pytest.raises(ClosureError, match=r"in more than 1000 ways; lib0\.so, needed by x\.so"):
        close(builder, world({}), "x.so")
    with pytest.raises(ClosureError, match="in more than 1000 ways"):
        verify(builder, ["x.so"])
    assert close(builder, world({}), "x.so", accept=("lib*",)).problems == ()
    assert verify(builder, ["x.so"], accepted=("lib*",)) == ()


def test_directories_that_were_searched_are_told_in_short() -> None:
    many = ":".join(f"/opt/{n}" for n in range(500))
    (problem,) = close(
        world({"x.so": library(None, "liba.so", runpath=many)}), world({}), "x.so"
    ).problems
    assert str(problem).endswith("/opt/10, /opt/11, 493 more")


def test_versions_and_needs_do_not_multiply() -> None:
    """8,000 versions wanted by 4,000 needs for one library of 8,000 others: it took minutes."""
    wants = {"liba.so": [f"W_{n}" for n in range(8000)]}
    builder = world(
        {
            "usr/lib/liba.so": library("liba.so", versions=[f"V_{n}" for n in range(8000)]),
            "x.so": library(None, *["liba.so"] * 4000, wants=wants),
        }
    )
    start = time.process_time()
    with pytest.raises(ElfError, match="steps to resolve"):
        close(builder, world({}), "x.so")
    assert time.process_time() - start < 5


def test_many_programs_in_a_long_chain_end() -> None:
    count = 400
    files = {
        f"opt/lib{n}.so": library(f"lib{n}.so", f"lib{n + 1}.so", rpath="/opt")
        for n in range(count)
    }
    builder = world({**files, f"opt/lib{count}.so": library("last")})
    start = time.perf_counter()
    result = close(builder, world({}), *files)
    assert paths(result) == [f"opt/lib{count}.so"]
    assert time.perf_counter() - start < 5


def test_what_is_kept_of_objects_is_text() -> None:
    here = root({"usr/lib/a": elf(soname="a"), "usr/lib/b": elf(soname="\udcff")})
    objects = Objects()
    opened = [objects.open(here, f"usr/lib/{name}") for name in "ab"]
    again = Objects(objects.dump())
    assert [again.open(here, f"usr/lib/{name}") for name in "ab"] == opened
    assert again.grown  # b was read anew
