"""CPython under /usr/local: its own files, and the release that its library names."""

from __future__ import annotations

import pytest
from tests.build.tree import root

from layersmith.analysis.cpython import cpython_version, is_cpython, standard_libraries

LIB = "usr/local/lib/libpython3.13.so.1.0"


@pytest.mark.parametrize(
    "path",
    [
        "usr/local/bin/python3.13",
        "usr/local/bin/python3",
        "usr/local/bin/python",
        "usr/local/bin/pydoc3.13",
        "usr/local/bin/idle3",
        "usr/local/bin/2to3-3.12",
        "usr/local/bin/python3.13-config",
        "usr/local/lib/libpython3.13.so.1.0",
        "usr/local/lib/libpython3.so",
        "usr/local/lib/python3.13/os.py",
        "usr/local/lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so",
        "usr/local/lib/python3.13/site-packages/README.txt",
        "usr/local/lib/python3.13/__pycache__/os.cpython-313.pyc",
        "usr/local/include/python3.13/Python.h",
        "usr/local/lib/pkgconfig/python-3.13-embed.pc",
        "usr/local/share/man/man1/python3.13.1",
    ],
)
def test_what_cpython_installs_is_its_own(path: str) -> None:
    assert is_cpython(path)


@pytest.mark.parametrize(
    "path",
    [
        "usr/local/bin/pip3.13",
        "usr/local/bin/pythonista",
        "usr/local/bin/python3.13/x",
        "usr/local/lib/libpythonic.so",
        "usr/local/lib/python3.13/site-packages/x.py",
        "usr/local/lib/python3.13/site-packages/README.txt/x",
        "usr/lib/python3.13/os.py",
        "usr/local/lib/python2.7/os.py",
        "usr/local/share/x",
        "usr/local/lib/python3.13",
    ],
)
def test_nothing_else_is(path: str) -> None:
    assert not is_cpython(path)


@pytest.mark.parametrize("said", ["3.13.5", "3.13.0rc2", "3.13.15"])
def test_the_library_says_its_release(said: str) -> None:
    files = {LIB: b"\x7fELF\0%.80s (%.80s)\0" + said.encode() + b"\0" + b"3.14.1\0more"}
    assert cpython_version(root(files), "3.13") == said


def test_a_static_python_says_it_itself() -> None:
    files = {"usr/local/bin/python3.13": b"\x7fELF\0" + b"3.13.5+\0"}
    assert cpython_version(root(files), "3.13") == "3.13.5"


@pytest.mark.parametrize("text", [b"", b"3.13.5", b"\0003.13\0", b"\0003.1.5\0", b"\0003.13.5.1\0"])
def test_a_library_that_says_nothing_is_not_believed(text: bytes) -> None:
    assert cpython_version(root({LIB: text}), "3.13") is None


def test_standard_libraries_are_found_by_what_every_python_has() -> None:
    tree = root(
        {
            "usr/local/lib/python3.13/os.py": b"",
            "usr/local/lib/python3.9/os.py": b"",
            "usr/local/lib/python3.12/site-packages/left.py": b"",
            "usr/local/lib/python3/os.py": b"",
        }
    ).tree
    assert standard_libraries(tree) == ["3.13", "3.9"]
