"""What no ELF header names: data that libraries open while they run."""

from __future__ import annotations

from tests.build.tree import tree

from layersmith.plan.runtime import EXPECTED_UNRESOLVED, runtime_data

BUILDER = tree(
    {
        "usr/share/terminfo/x/xterm": b"",
        "usr/share/terminfo/l/linux": "../x/xterm",
        "usr/lib/terminfo": "../share/terminfo",
        "etc/inputrc": b"",
        "usr/lib/locale/C.utf8/LC_CTYPE": b"",
    }
)


def paths(*sonames: str) -> set[str]:
    return {path for path, _ in runtime_data(BUILDER, sonames)}


def test_curses_finds_its_terminals() -> None:
    found = paths("libtinfo.so.6")
    assert {"usr/share/terminfo/x/xterm", "usr/share/terminfo/l/linux"} <= found
    assert "etc/inputrc" not in found


def test_readline_finds_its_keys_and_the_reason_is_told() -> None:
    assert dict(runtime_data(BUILDER, ["libreadline.so.8"])) == {
        "etc/inputrc": "key bindings, read by libreadline.so.8"
    }


def test_the_locale_comes_with_libc() -> None:
    assert "usr/lib/locale/C.utf8/LC_CTYPE" in paths("libc.so.6")


def test_nothing_comes_for_libraries_that_read_nothing() -> None:
    assert paths("libz.so.1", "libtinfo_not.so.6", "notlibtinfo.so.6") == set()


def test_nothing_comes_from_a_builder_that_has_nothing() -> None:
    assert list(runtime_data(tree({}), ["libtinfo.so.6", "libreadline.so.8"])) == []


def test_the_order_of_names_does_not_matter() -> None:
    names = ["libtinfo.so.6", "libtinfo.so.5", "libreadline.so.8"]
    assert list(runtime_data(BUILDER, names)) == list(runtime_data(BUILDER, names[::-1]))


def test_tk_and_tcl_are_expected_to_be_absent() -> None:
    assert EXPECTED_UNRESOLVED == ("libtcl*.so*", "libtk*.so*")
