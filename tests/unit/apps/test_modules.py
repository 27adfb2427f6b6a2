"""Which module an entry point may name: what is there, and what nobody can know."""

from __future__ import annotations

import pytest
from tests.build.tree import root

from layersmith.apps.interpreter import Interpreter
from layersmith.apps.modules import PATH_FILE, Modules
from layersmith.apps.starting import find_start
from layersmith.errors import RecipeError

SITE = "app/.venv/lib/python3.13/site-packages"
LIBRARY = "usr/local/lib/python3.13"
PYTHON = {
    f"{LIBRARY}/http/server.py": b"",
    f"{LIBRARY}/timeit.py": b"",
    f"{LIBRARY}/lib-dynload/_bz2.cpython-313-x86_64-linux-gnu.so": b"",
}


def modules(*paths: str, text: bytes = b"") -> Modules:
    """Return what can be imported with a source of `paths`, or what they name in full.

    Every file of the source is `text`, and link.py a link.
    """
    installed = {path for path in paths if path.startswith(SITE)}
    interpreter = Interpreter("3.13.5", "x86_64", (2, 41))
    return Modules(
        interpreter,
        set(paths) - installed,
        installed,
        lambda: root(PYTHON),
        lambda path: text if path != "link.py" else None,
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("shop", "shop.py"),
        ("shop", "shop/__init__.py"),
        ("shop", "shop/views.py"),  # a namespace package
        ("shop", "shop.cpython-313-x86_64-linux-gnu.so"),
        ("shop.main", "shop/main.py"),
        ("shop.main", "shop/main/__main__.py"),
        ("shop.main", "shop"),  # a link to a directory
        ("shop.main", "shop/main"),
        ("demo", f"{SITE}/demo.py"),
        ("demo.made.at.run.time", f"{SITE}/demo/__init__.py"),
        ("demo", f"{SITE}/demo.abi3.so"),
        ("hidden", f"{SITE}/elsewhere.pth"),  # that may be anywhere
        ("timeit", "x.py"),
        ("http.server", "x.py"),
        ("_bz2", "x.py"),
        ("sys", "x.py"),  # in no file
        ("hidden", "sitecustomize.py"),  # that may say where
        ("hidden", f"{SITE}/sitecustomize/__init__.py"),
        ("shop.main", "shop.cpython-313-x86_64-linux-gnu.so"),  # a whole package, compiled
        ("shop.main", "shop/__init__.abi3.so"),
        ("link.main", "link.py"),
    ],
)
def test_what_can_be_imported(name: str, path: str) -> None:
    assert modules(path).has(name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("shop", "shopping.py"),
        ("shop", "src/shop.py"),
        ("shop", "shop.txt"),
        ("shop", "shop.d/a.py"),
        ("shop.main", "shop/mainly.py"),
        ("shop.main", "shop.py"),
        ("main", "shop/main.py"),
        ("demo", f"{SITE}/demo-1.0.dist-info/METADATA"),
        ("demo", f"{SITE}/x/demo.py"),
        ("demo", f"{SITE}/{PATH_FILE}"),
        ("demo", f"{SITE}/x/elsewhere.pth"),
        ("demo", "lib/sitecustomize.py"),
        ("shop/main", "shop/main.py"),
        (".shop", "shop.py"),
        ("shop.", "shop.py"),
        ("", "shop.py"),
        ("bz2", "x.py"),
    ],
)
def test_what_cannot(name: str, path: str) -> None:
    assert not modules(path).has(name)


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("shop.py", True),
        ("shop/__main__.py", True),
        ("shop/__main__/__init__.py", True),
        ("shop", True),  # a link
        ("shop/__init__.py", False),
        ("shop/main.py", False),
        (f"{SITE}/shop/__init__.py", True),  # nobody looks into those of others
    ],
)
@pytest.mark.parametrize("text", ["-m shop", "python -m shop -v", "python3.13 -m shop"])
def test_a_package_is_run_by_its_main(text: str, path: str, runs: bool) -> None:
    scripts = {"python": False, "python3.13": False}
    if runs:
        assert find_start(text, scripts, set(), modules(path)).calls is None
        return
    with pytest.raises(RecipeError, match=r"shop is a package without a __main__\.py"):
        find_start(text, scripts, set(), modules(path))


def test_a_module_that_python_has_too_is_not_called() -> None:
    with pytest.raises(RecipeError, match="would be Python's own module"):
        find_start("timeit:run", {}, set(), modules("timeit.py"))
    for text, *paths in (
        ("-m timeit", "timeit.py"),  # then the source comes first
        ("timeit:run", "timeit.py", "sitecustomize.py"),
        ("timeit:main", "shop.py"),
        ("turtle:run", "turtle.py"),  # Python's is not in the image
    ):
        assert find_start(text, {}, set(), modules(*paths))


@pytest.mark.parametrize("text", ["python -m shpo", "python3 -m", "-m ''", "-m shop/main"])
def test_a_module_for_python_is_looked_for_too(text: str) -> None:
    with pytest.raises(RecipeError, match="no module"):
        find_start(text, {"python": False, "python3": False}, set(), modules("shop/main.py"))


@pytest.mark.parametrize("text", [b"__path__ += [x]", b"import sys\nsys.modules['a'] = b"])
def test_a_package_may_find_its_modules_in_a_way_of_its_own(text: bytes) -> None:
    assert modules("shop.py", text=text).has("shop.main")
    package = modules("shop/__init__.py", text=text)
    assert package.has("shop.main.deep")
    assert not package.has("shopping.main")
    assert not modules("shop/__init__.py", text=b"import os").has("shop.main")


@pytest.mark.parametrize("text", ["shop.main:run", "-m shop.main", "-m shop.main --fast"])
def test_an_entry_point_of_no_module_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"no module shop\.main in the source") as caught:
        find_start(text, {}, set(), modules("other.py"))
    assert "include, exclude" in caught.value.hint


@pytest.mark.parametrize("path", ["src/shop/main.py", "src/shop/main/__init__.py"])
def test_a_source_one_directory_too_high_is_told(path: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find_start("shop.main:run", {}, set(), modules("a/b/c/shop/main.py", path))
    assert "it is in src/ of the source" in caught.value.hint
