"""Selection: CPython whole, less what no application needs, and what a user asks for."""

from __future__ import annotations

import pytest
from tests.build.tree import tree

from layersmith.errors import RecipeError
from layersmith.plan.selection import GROUPS, Selection, check_matched, select_files

LIB = "usr/local/lib/python3.13"
BUILDER = tree(
    {
        "usr/local/bin/python3.13": b"\x7fELF python",
        "usr/local/bin/python3": "python3.13",
        "usr/local/bin/python3.13-config": b"sh",
        "usr/local/bin/pip3": b"pip",
        "usr/local/bin/idle3": b"idle",
        "usr/local/include/python3.13/Python.h": b"h",
        "usr/local/lib/libpython3.13.so.1.0": b"\x7fELF",
        "usr/local/lib/libpython3.13.a": b"!<arch>",
        "usr/local/lib/pkgconfig/python3.pc": b"pc",
        f"{LIB}/os.py": b"import",
        f"{LIB}/__pycache__/os.pyc": b"pyc",
        f"{LIB}/config-3.13-x86_64-linux-gnu/Makefile": b"all:",
        f"{LIB}/ensurepip/__init__.py": b"",
        f"{LIB}/idlelib/x.py": b"",
        f"{LIB}/lib-dynload/_ssl.so": b"\x7fELF",
        f"{LIB}/lib-dynload/_testcapi.so": b"\x7fELF",
        f"{LIB}/lib-dynload/xxlimited.so": b"\x7fELF",
        f"{LIB}/lib-dynload/_tkinter.cpython-313.so": b"\x7fELF",
        f"{LIB}/site-packages/pip/__init__.py": b"",
        f"{LIB}/site-packages/pip-25.0.dist-info/METADATA": b"",
        f"{LIB}/site-packages/README.txt": b"readme",
        f"{LIB}/sqlite3/tests/t.py": b"",
        f"{LIB}/test/test_os.py": b"12345",
        f"{LIB}/test/support.py": b"123",
        f"{LIB}/testing_is_not_test.py": b"",
        f"{LIB}/tkinter/__init__.py": b"",
        f"{LIB}/turtle.py": b"",
        f"{LIB}/turtledemo/x.py": b"",
        f"{LIB}/unittest/case.py": b"",
        "usr/local/share/man/man1/python.1": b"man",
        "usr/localized/x": b"not in /usr/local",
        "usr/lib/x86_64-linux-gnu/libz.so.1": b"\x7fELF",
        "usr/share/doc/a": b"doc",
        "etc/passwd": b"root",
        "etc/ld.so.cache": b"cache",
        "dev/null": b"",
    }
)
PLAIN = {
    "usr/local/bin/python3",
    "usr/local/bin/python3.13",
    "usr/local/lib/libpython3.13.so.1.0",
    f"{LIB}/lib-dynload/_ssl.so",
    f"{LIB}/os.py",
    f"{LIB}/site-packages/README.txt",
    f"{LIB}/testing_is_not_test.py",
    f"{LIB}/unittest/case.py",
}


def files(selection: Selection) -> set[str]:
    """Return the chosen paths that are no directories."""
    return {path for path in selection.chosen if path not in FOLDERS}


FOLDERS = {path for path, entry in BUILDER.walk() if hasattr(entry, "children")}


def test_cpython_is_taken_less_what_only_developers_need() -> None:
    selection = select_files(BUILDER, (), ())
    assert files(selection) == PLAIN
    assert set(selection.chosen.values()) == {"CPython", "the builder's site-packages"}


def test_what_is_left_out_is_told_with_its_reason_and_size() -> None:
    left = {one.name: one for one in select_files(BUILDER, (), ()).left_out}
    assert set(left) == {
        *("headers", "config", "static", "pip", "ensurepip", "idlelib", "tkinter", "turtle"),
        *("turtledemo", "test", "bytecode", "man"),
    }
    assert left["turtle"].paths == (f"{LIB}/turtle.py",)
    assert left["test"].size == 5 + 3 + 4 + 4
    assert f"{LIB}/test/support.py" in left["test"].paths
    assert f"{LIB}/sqlite3/tests/t.py" in left["test"].paths
    assert all(one.why for one in left.values())


@pytest.mark.parametrize(
    ("group", "path"),
    [
        ("headers", "usr/local/include/python3.13/Python.h"),
        ("config", f"{LIB}/config-3.13-x86_64-linux-gnu/Makefile"),
        ("static", "usr/local/lib/libpython3.13.a"),
        ("pip", f"{LIB}/site-packages/pip/__init__.py"),
        ("ensurepip", f"{LIB}/ensurepip/__init__.py"),
        ("idlelib", f"{LIB}/idlelib/x.py"),
        ("tkinter", f"{LIB}/lib-dynload/_tkinter.cpython-313.so"),
        ("turtle", f"{LIB}/turtle.py"),
        ("turtledemo", f"{LIB}/turtledemo/x.py"),
        ("test", f"{LIB}/test/test_os.py"),
        ("bytecode", f"{LIB}/__pycache__/os.pyc"),
        ("man", "usr/local/share/man/man1/python.1"),
    ],
)
def test_each_group_is_left_out_and_can_be_brought_back(group: str, path: str) -> None:
    assert group in GROUPS
    assert path not in select_files(BUILDER, (), ()).chosen
    back = select_files(BUILDER, (group,), ())
    assert back.chosen[path] in {"CPython", "the builder's site-packages"}
    assert group not in {one.name for one in back.left_out}


def test_every_group_is_tested_above() -> None:
    assert len(GROUPS) == 12


def test_a_glob_brings_back_what_it_names_only() -> None:
    selection = select_files(BUILDER, (f"{LIB}/test/support.py",), ())
    assert selection.chosen[f"{LIB}/test/support.py"] == (
        f"asked for by --include {LIB}/test/support.py"
    )
    assert f"{LIB}/test/test_os.py" not in selection.chosen


def test_a_glob_brings_what_is_outside_of_cpython() -> None:
    selection = select_files(BUILDER, ("usr/share/doc", "**/libz.so.*"), ())
    assert files(selection) == PLAIN | {"usr/share/doc/a", "usr/lib/x86_64-linux-gnu/libz.so.1"}


def test_a_name_that_only_starts_like_cpythons_directory_is_not_in_it() -> None:
    assert "usr/localized/x" not in select_files(BUILDER, ("usr/share/doc",), ()).chosen


def test_an_exclusion_takes_away() -> None:
    selection = select_files(BUILDER, (), (f"{LIB}/unittest", "*.txt"))
    gone = {f"{LIB}/unittest/case.py", f"{LIB}/site-packages/README.txt"}
    assert files(selection) == PLAIN - gone
    left = {one.name: one for one in selection.left_out}
    assert left["exclude *.txt"].paths == (f"{LIB}/site-packages/README.txt",)
    assert left["exclude *.txt"].why == "as asked"


def test_an_exclusion_wins_over_an_inclusion() -> None:
    selection = select_files(BUILDER, ("test",), ("**/test_os.py",))
    assert f"{LIB}/test/support.py" in selection.chosen
    assert f"{LIB}/test/test_os.py" not in selection.chosen
    assert "usr/share/doc/a" not in select_files(BUILDER, ("usr/share/doc",), ("a",)).chosen


def test_what_belongs_to_the_builders_machine_is_never_taken() -> None:
    chosen = select_files(BUILDER, ("etc", "dev", "usr/share/doc"), ()).chosen
    assert "etc" in chosen
    assert not {"etc/passwd", "etc/ld.so.cache", "dev", "dev/null"} & set(chosen)


def test_an_option_that_matches_nothing_on_any_platform_is_an_error() -> None:
    both = select_files(BUILDER, ("usr/share/doc", "usr/share/dok"), ("no/such",))
    assert both.unmatched == {"--include usr/share/dok", "--exclude no/such"}
    only_there = select_files(tree({"usr/share/dok": b""}), ("usr/share/dok",), ())
    check_matched([both.unmatched, only_there.unmatched])
    with pytest.raises(RecipeError, match="--exclude no/such matches nothing") as caught:
        check_matched([both.unmatched])
    assert "headers" in caught.value.hint


def test_what_the_image_makes_anew_is_nothing_to_include() -> None:
    assert select_files(BUILDER, ("etc/passwd",), ()).unmatched == {"--include etc/passwd"}


def test_a_builder_without_python_gives_nothing() -> None:
    assert select_files(tree({"etc/x": b""}), (), ()) == Selection({}, (), frozenset())
