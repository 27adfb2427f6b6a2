"""Each rule of ld.so(8) by one small root; the interop tests ask the real loader."""

import time

import pytest
from msgspec import structs
from tests.build.elf import AARCH64, I386, elf
from tests.build.tree import Shelf, tree
from tests.unit.analysis.worlds import (
    LIB,
    answers,
    glibc_files,
    glibc_in,
    library,
    loaded,
    loader_in,
    world,
)

from layersmith.analysis.closure import load, verify
from layersmith.analysis.effort import Effort
from layersmith.analysis.linkmap import link_map
from layersmith.analysis.loader import Broken, Library
from layersmith.analysis.objects import Objects
from layersmith.analysis.searchpath import SearchPaths
from layersmith.errors import ElfError
from layersmith.rootfs.tree import Root

A, B = library("liba.so", pad=b"A"), library("libb.so", pad=b"B")


def test_rpath_serves_the_object_and_those_it_loads() -> None:
    root = world(
        {
            "app/main": library(None, "libb.so", rpath="/opt/x"),
            "opt/x/libb.so": library("libb.so", "liba.so"),
            "opt/x/liba.so": A,
            f"{LIB}/liba.so": A,
        }
    )
    assert answers(root, "app/main") == {"libb.so": "opt/x/libb.so", "liba.so": "opt/x/liba.so"}


def test_runpath_serves_the_object_only() -> None:
    root = world(
        {
            "app/main": library(None, "libb.so", runpath="/opt/x"),
            "opt/x/libb.so": library("libb.so", "liba.so"),
            "opt/x/liba.so": A,
        }
    )
    assert answers(root, "app/main") == {"libb.so": "opt/x/libb.so", "liba.so": None}


def test_rpath_is_ignored_beside_runpath() -> None:
    root = world(
        {
            "app/main": library(None, "liba.so", "libb.so", rpath="/opt/r", runpath="/opt/x"),
            "opt/r/liba.so": A,
            "opt/x/libb.so": B,
        }
    )
    assert answers(root, "app/main") == {"liba.so": None, "libb.so": "opt/x/libb.so"}


def test_an_object_with_runpath_does_not_use_what_it_inherits_but_passes_it_on() -> None:
    root = world(
        {
            "app/main": library(None, "libmid.so", rpath="/opt/x"),
            "opt/x/libmid.so": library("libmid.so", "liba.so", "libleaf.so", runpath="/opt/y"),
            "opt/x/liba.so": A,
            "opt/y/libleaf.so": library("libleaf.so", "libb.so"),
            "opt/x/libb.so": B,
        }
    )
    assert answers(root, "app/main") == {
        "libmid.so": "opt/x/libmid.so",
        "liba.so": None,
        "libleaf.so": "opt/y/libleaf.so",
        "libb.so": "opt/x/libb.so",
    }


@pytest.mark.parametrize(
    ("path", "directory"),
    [
        ("$ORIGIN/../lib", "app/lib"),
        ("${ORIGIN}/../lib", "app/lib"),
        ("/app/$LIB", f"app/lib/{'x86_64-linux-gnu'}"),
        ("/app/${LIB}/", f"app/lib/{'x86_64-linux-gnu'}"),
        ("/app/$PLATFORM", "app/x86_64"),
        ("/none:/app/lib//", "app/lib"),
    ],
)
def test_tokens(path: str, directory: str) -> None:
    root = world(
        {"app/bin/main": library(None, "liba.so", runpath=path), f"{directory}/liba.so": A}
    )
    assert answers(root, "app/bin/main") == {"liba.so": f"{directory}/liba.so"}


@pytest.mark.parametrize("path", ["$ORIGINAL/lib", "$ORIGIN_/lib", "${ORIGIN/lib", "$NONE/lib"])
def test_what_only_looks_like_a_token_stays(path: str) -> None:
    root = world({"app/main": library(None, "liba.so", runpath=path), "app/lib/liba.so": A})
    assert answers(root, "app/main") == {"liba.so": None}


def test_a_token_without_a_value_drops_the_element() -> None:
    root = world({})
    glibc = glibc_in(root)
    unknown = type(glibc)(64, 4242, True, glibc.interpreter, glibc.system)
    there = SearchPaths(unknown, Effort())
    opened = Objects().open(root, f"{LIB}/libc.so.6")
    assert opened is not None
    owner = load(loader_in(root), opened).objects[0]
    assert there.expand("/x/$PLATFORM", owner) is None
    runner = structs.replace(owner, elf=structs.replace(owner.elf, runpath="/a:/$PLATFORM:/b"))
    assert there.own(runner) == ("/a", "/b")
    assert there.expand("/x/$LIB", owner) == "/x/lib/x86_64-linux-gnu"


def test_origin_is_the_real_place_of_a_program_and_the_name_of_a_library() -> None:
    root = world(
        {
            "bin/main": "../opt/app/main",
            "opt/app/main": library(None, "libone.so", runpath="$ORIGIN/lib"),
            "opt/app/lib/libone.so": "/srv/libone.so",
            "srv/libone.so": library("libone.so", "liba.so", runpath="$ORIGIN"),
            "opt/app/lib/liba.so": A,
            "srv/liba.so": B,
        }
    )
    assert answers(root, "bin/main")["liba.so"] == "opt/app/lib/liba.so"


@pytest.mark.parametrize("path", ["", "/opt/x:", ":/opt/x", "/opt/x::/y", "lib:/opt/x", "./x"])
def test_the_working_directory_is_refused(path: str) -> None:
    root = world(
        {"main": library(None, "liba.so", runpath=path), "liba.so": A, "usr/lib/liba.so": A}
    )
    program = loaded(root, "main").objects[0]
    assert bool(SearchPaths(glibc_in(root), Effort()).refused(program)) == (path != "")
    assert answers(root, "main") == {"liba.so": "usr/lib/liba.so"}  # a default directory


def test_the_order_runpath_then_cache_then_defaults() -> None:
    everywhere = {
        "opt/x/liba.so": A,
        "usr/local/lib/liba.so": A,
        f"{LIB}/liba.so": A,
        "etc/ld.so.conf": b"/usr/local/lib\n",
    }
    main = {"main": library(None, "liba.so", runpath="/opt/x")}
    root = world({**everywhere, **main})
    assert answers(root, "main")["liba.so"] == "opt/x/liba.so"
    del everywhere["opt/x/liba.so"]
    assert answers(world({**everywhere, **main}), "main")["liba.so"] == "usr/local/lib/liba.so"
    del everywhere["usr/local/lib/liba.so"]
    assert answers(world({**everywhere, **main}), "main")["liba.so"] == f"{LIB}/liba.so"


def test_the_cache_knows_a_library_by_its_soname_alone() -> None:
    root = world(
        {
            "main": library(None, "liba.so.1", "libfile.so"),
            "usr/local/lib/libfile.so": library("liba.so.1"),
            "usr/local/lib/liba.so.1": "libfile.so",
            "etc/ld.so.conf": b"/usr/local/lib\n",
        }
    )
    assert answers(root, "main") == {
        "liba.so.1": "usr/local/lib/libfile.so",
        "libfile.so": None,  # not its soname, and no default directory
    }


def test_a_default_directory_knows_it_by_its_file_name() -> None:
    root = world({"main": library(None, "libfile.so"), f"{LIB}/libfile.so": library("liba.so.1")})
    assert answers(root, "main") == {"libfile.so": f"{LIB}/libfile.so"}


def test_nodefaultlib() -> None:
    root = world(
        {
            "main": library(None, "liba.so", "libb.so", flags_1=0x800),
            f"{LIB}/liba.so": A,
            "usr/local/lib/libb.so": B,
            "etc/ld.so.conf": b"/usr/local/lib\n",
        }
    )
    assert answers(root, "main") == {"liba.so": None, "libb.so": "usr/local/lib/libb.so"}


def test_another_class_or_machine_is_passed_over() -> None:
    root = world(
        {
            "main": library(None, "liba.so", runpath="/opt/a:/opt/b:/opt/c:/opt/d"),
            "opt/a/liba.so": elf(bits=32, machine=I386),
            "opt/b/liba.so": elf(machine=AARCH64),
            "opt/c/liba.so": elf(order=">"),
            "opt/d/liba.so": A,
        }
    )
    assert answers(root, "main") == {"liba.so": "opt/d/liba.so"}


@pytest.mark.parametrize("content", [b"", b"INPUT(-la)", b"\x7fELF", A[:70]])
def test_a_broken_candidate_ends_the_search(content: bytes) -> None:
    root = world(
        {
            "main": library(None, "liba.so", runpath="/opt/a:/opt/b"),
            "opt/a/liba.so": content,
            "opt/b/liba.so": A,
        }
    )
    (need,) = loaded(root, "main").needs
    assert isinstance(need.found, Broken)
    assert need.found.name == "/opt/a/liba.so"
    assert need.found.cause


def test_a_name_with_a_slash_is_a_path() -> None:
    root = world(
        {
            "app/main": library(
                None, "/opt/liba.so", "$ORIGIN/libb.so", "app/libc.so", runpath="/app"
            ),
            "opt/liba.so": A,
            "app/libb.so": B,
            "app/libc.so": library("x"),
        }
    )
    assert answers(root, "app/main") == {
        "/opt/liba.so": "opt/liba.so",
        "/app/libb.so": "app/libb.so",
        "app/libc.so": None,  # relative to the working directory
    }


def test_what_is_loaded_is_not_searched_for() -> None:
    root = world(
        {
            "main": library(None, "libfirst.so", "libb.so", runpath="/opt/x"),
            "opt/x/libfirst.so": library("liba.so.1", pad=b"1"),
            "opt/x/libb.so": library("libb.so", "liba.so.1", "libfirst.so"),
            f"{LIB}/liba.so.1": A,
        }
    )
    assert answers(root, "main")["liba.so.1"] == "opt/x/libfirst.so"
    assert len(loaded(root, "main").objects) == 3


def test_breadth_first() -> None:
    """libc.so of the deeper object comes too late: the shallow one is there."""
    root = world(
        {
            "main": library(None, "liba.so", "libz.so.1", runpath="/opt/m"),
            "opt/m/liba.so": library("liba.so", "libz.so.1", runpath="/opt/deep"),
            "opt/m/libz.so.1": library("libz.so.1", pad=b"shallow"),
            "opt/deep/libz.so.1": library("libz.so.1", pad=b"deep"),
        }
    )
    assert answers(root, "main")["libz.so.1"] == "opt/m/libz.so.1"


def test_a_link_under_another_name_is_the_same_object() -> None:
    root = world(
        {
            "main": library(None, "liba.so", "libb.so", runpath="/opt"),
            "opt/liba.so": library("libx.so"),
            "opt/libb.so": "liba.so",
        }
    )
    assert len(loaded(root, "main").objects) == 2
    assert answers(root, "main")["libb.so"] == "opt/liba.so"


def test_a_hard_link_is_the_same_object() -> None:
    shelf = Shelf()
    file = shelf.file(library("libx.so"))
    files = {
        path: shelf.file(spec) if isinstance(spec, bytes) else spec
        for path, spec in glibc_files().items()
    }
    files["main"] = shelf.file(library(None, "liba.so", "libb.so", runpath="/opt"))
    files |= {"opt/liba.so": file, "opt/libb.so": file}
    root = Root(tree(files), shelf)
    assert len(loaded(root, "main").objects) == 2
    assert answers(root, "main")["libb.so"] == "opt/liba.so"


def test_cycles_end() -> None:
    root = world(
        {
            "main": library(None, "libfreetype.so.6", runpath="/opt"),
            "opt/libfreetype.so.6": library("libfreetype.so.6", "libharfbuzz.so.0", runpath="/opt"),
            "opt/libharfbuzz.so.0": library("libharfbuzz.so.0", "libfreetype.so.6", runpath="/opt"),
        }
    )
    assert [x.path for x in loaded(root, "main").objects] == [
        "main",
        "opt/libfreetype.so.6",
        "opt/libharfbuzz.so.0",
    ]


def test_the_loader_itself_is_there_from_the_start() -> None:
    root = world({"main": library(None, "libc.so.6", interpreter="/lib64/ld-linux-x86-64.so.2")})
    assert answers(root, "main") == {
        "libc.so.6": f"{LIB}/libc.so.6",
        "ld-linux-x86-64.so.2": f"{LIB}/ld-linux-x86-64.so.2",
    }


def test_links_crossed_are_told() -> None:
    root = world(
        {
            "main": library(None, "liba.so.1"),
            f"{LIB}/liba.so.1": "liba.so.1.2",
            f"{LIB}/liba.so.1.2": A,
        }
    )
    (need,) = loaded(root, "main").needs
    assert isinstance(need.found, Library)
    assert (need.found.name, need.found.links) == (
        "/lib/x86_64-linux-gnu/liba.so.1",
        ("lib", f"{LIB}/liba.so.1"),
    )


def test_links_that_lead_nowhere_are_no_library() -> None:
    root = world(
        {
            "main": library(None, "liba.so", "libb.so"),
            f"{LIB}/liba.so": "liba.so",
            f"{LIB}/libb.so": "none",
        }
    )
    assert answers(root, "main") == {"liba.so": None, "libb.so": None}


def test_builds_for_better_cpus_are_an_addition() -> None:
    root = world(
        {
            "main": library(None, "liba.so"),
            f"{LIB}/liba.so": A,
            f"{LIB}/glibc-hwcaps/x86-64-v3/liba.so": library("liba.so", pad=b"fast"),
            f"{LIB}/glibc-hwcaps/x86-64-v4/liba.so": elf(machine=AARCH64),
        }
    )
    (need,) = loaded(root, "main").needs
    assert isinstance(need.found, Library)
    assert need.found.path == f"{LIB}/liba.so"
    variants = loader_in(root).variants(need.found)
    assert [x.path for x in variants] == [f"{LIB}/glibc-hwcaps/x86-64-v3/liba.so"]


def test_upstream_directories_are_read_from_the_loader() -> None:
    root = world(
        {
            f"{LIB}/ld-linux-x86-64.so.2": elf(soname="ld", pad=b"\0/lib64/\0/usr/lib64/\0"),
            "main": library(None, "liba.so", "libb.so", runpath="/opt/$LIB"),
            "usr/lib64/liba.so": A,
            "opt/lib64/libb.so": B,
        }
    )
    assert glibc_in(root).system == ("/lib64", "/usr/lib64")
    assert answers(root, "main") == {"liba.so": "usr/lib64/liba.so", "libb.so": "opt/lib64/libb.so"}


def test_a_chain_of_ten_thousand_is_no_recursion() -> None:
    files = {
        f"opt/lib{n}.so": library(f"lib{n}.so", f"lib{n + 1}.so", rpath="/opt")
        for n in range(10_000)
    }
    root = world({**files, "opt/lib10000.so": A})
    assert len(loaded(root, "opt/lib0.so").objects) == 10_001


def test_rpaths_of_a_chain_are_searched_from_the_object_up() -> None:
    root = world(
        {
            "app/main": library(None, "liba.so", "libc.so", rpath="/opt/main"),
            "opt/main/liba.so": library("liba.so", "libb.so", rpath="/opt/a:/opt/main"),
            "opt/a/libb.so": library("libb.so", "libx.so", "liby.so"),
            "opt/main/libb.so": B,
            "opt/main/libx.so": library("libx.so"),
            "opt/a/liby.so": library("liby.so"),
            "opt/main/liby.so": library("liby.so", pad=b"main"),
        }
    )
    found = answers(root, "app/main")
    assert [found[name] for name in ("libb.so", "libx.so", "liby.so")] == [
        "opt/a/libb.so",
        "opt/main/libx.so",
        "opt/a/liby.so",
    ]


def test_rpaths_of_a_chain_are_bounded() -> None:
    def path(start: int) -> str:
        return ":".join(f"/opt/{number}" for number in range(start, start + 600))

    root = world(
        {
            "main": library(None, "liba.so", rpath=path(0)),
            "opt/7/liba.so": library("liba.so", "libb.so", rpath=path(600)),
        }
    )
    with pytest.raises(ElfError, match="DT_RPATH of more than"):
        loaded(root, "main")


def test_the_files_looked_for_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layersmith.analysis.loader._TRY", 100_000)
    root = world({"main": library(None, *[f"lib{number}.so" for number in range(30)])})
    with pytest.raises(ElfError, match="more than 1000000 steps"):
        loaded(root, "main")


def test_needs_are_bounded() -> None:
    """Chains that every program walks anew, in a thousand directories."""
    root = world(
        {
            f"opt{n}/lib{n}.so": library(f"lib{n}.so", f"lib{n + 1}.so", rpath=f"/opt{n + 1}")
            for n in range(900)
        }
    )
    start = time.process_time()
    with pytest.raises(ElfError, match="more than 1000000 steps"):
        verify(root, [f"opt{n}/lib{n}.so" for n in range(900)], accepted=["*"])
    assert time.process_time() - start < 5


def test_what_expands_beyond_a_path_is_no_name() -> None:
    """500 times an $ORIGIN of 3,000 characters, in 250 needs: it took half a minute."""
    deep = "/".join(["d" * 250] * 12)
    root = world(
        {
            f"{deep}/main": library(
                None, *["$ORIGIN" * 500] * 250, "liba.so", runpath="$ORIGIN$ORIGIN:$ORIGIN/x"
            ),
            f"{deep}/x/liba.so": A,
        }
    )
    start = time.process_time()
    found = answers(root, f"{deep}/main")
    assert found == {"$ORIGIN" * 500: None, "liba.so": f"{deep}/x/liba.so"}
    assert time.process_time() - start < 1


def test_endless_search_paths_are_refused() -> None:
    path = ":".join(f"/opt/{number}" for number in range(2000))
    root = world({"main": library(None, "liba.so", runpath=path)})
    with pytest.raises(ElfError, match="more than 1024"):
        loaded(root, "main")


def test_a_link_map_needs_no_interpreter() -> None:
    root = world({"main": library(None, "liba.so"), f"{LIB}/liba.so": A})
    opened = Objects().open(root, "main")
    assert opened is not None
    loader = loader_in(root)
    program = load(loader, opened).objects[0]
    assert len(link_map(program, None, loader.find, loader.paths).objects) == 2


BANNER = "GNU C Library ("


@pytest.mark.parametrize(
    "text",
    [
        "\0/" + "lib" * 300_000,
        "\0" + "/lib" * 300_000 + "/",
        (BANNER + "x) ") * 50_000,
        (BANNER + "x) release version ") * 30_000,
        BANNER + "x) release version " + "1" * 9000 + ".\n",
    ],
)
def test_words_of_a_c_library_are_soon_read(text: str) -> None:
    """18 KB of the third kind took 20 seconds, the last one was no number."""
    words = text.encode()
    root = world(
        {
            f"{LIB}/ld-linux-x86-64.so.2": elf(
                soname="ld", pad=b"\0/lib64/\0/usr/lib64/\0" + words
            ),
            "usr/lib64/libc.so.6": elf(soname="libc.so.6", pad=words),
        }
    )
    start = time.process_time()
    assert glibc_in(root).version == ()
    assert glibc_in(root).system == ("/lib64", "/usr/lib64")
    assert time.process_time() - start < 2
