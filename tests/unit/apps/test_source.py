"""Which files of a directory are the application's, what they become, and how it starts."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from layersmith.apps.ignoring import make_filter
from layersmith.apps.starting import find_start
from layersmith.assemble.appsource import Source, SourceContents, read_source
from layersmith.errors import OutputError, RecipeError
from layersmith.recipe.application import App
from layersmith.rootfs.entries import Directory, File, Symlink
from layersmith.rootfs.tree import MemoryContents

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "/app/.venv/bin/python"


def takes(path: str, ignore: str = "", **globs: tuple[str, ...]) -> bool:
    chosen = make_filter(globs.get("include", ()), globs.get("exclude", ()), ignore)
    parents = [path[:at] for at, char in enumerate(path) if char == "/"]
    return all(map(chosen.enters, parents)) and chosen.takes(path)


@pytest.mark.parametrize(
    ("ignore", "path", "expected"),
    [
        ("", "a.py", True),
        ("*.py", "a.py", False),
        ("*.py", "x/a.py", True),
        ("**/*.py", "x/y/a.py", False),
        ("**/*.py", "a.py", False),
        ("x", "x/a.py", False),
        ("/x/", "x/a.py", False),
        ("x", "y/x", True),
        ("*/x", "y/x", False),
        ("# a.py", "a.py", True),
        ("  a.py  ", "a.py", False),
        ("*\n!a.py", "a.py", True),
        ("*\n!a.py", "b.py", False),
        ("!a.py\n*", "a.py", False),
        ("x\n!x/keep.py", "x/keep.py", True),
        ("x\n!x/keep.py", "x/a.py", False),
        ("[a-c].py", "b.py", False),
        ("[a-c].py", "d.py", True),
        ("[^a].py", "b.py", False),
        ("a?.py", "ab.py", False),
        ("a\\*.py", "a*.py", False),
        ("a\\*.py", "ab.py", True),
        ("x/**", "x/y/z", False),
        ("x/../a.py", "a.py", False),
        (".", "a.py", False),
        ("a.b", "axb", True),
    ],
)
def test_dockerignore(ignore: str, path: str, expected: bool) -> None:
    assert takes(path, ignore) is expected


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "x/.git/config",
        ".venv/bin/python",
        "x/__pycache__/a.pyc",
        "a.pyc",
        ".dockerignore",
    ],
)
def test_nobody_s_source(path: str) -> None:
    assert not takes(path)


def test_globs() -> None:
    assert takes("shop/main.py", include=("shop/**",))
    assert not takes("other/main.py", include=("shop/**",))
    assert not takes("shop/tests/x.py", exclude=("tests",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "src"
    (top / "shop").mkdir(parents=True)
    (top / "shop" / "main.py").write_text("run\n")
    (top / "shop" / "tool").write_text("#!/bin/sh\n")
    (top / "shop" / "tool").chmod(0o700)
    (top / "link").symlink_to("shop/main.py")
    return tmp_path


def source(folder: Path, **more: object) -> Source:
    return read_source(App(source="src", **more), folder)  # type: ignore[arg-type]


def test_files_have_two_modes_and_one_owner(folder: Path) -> None:
    found = source(folder, owner="1000:1001", mode="0640").entries
    meta = {path: (e.meta.mode, e.meta.uid, e.meta.gid) for path, e in found.items()}
    assert meta["app/shop/main.py"] == (0o640, 1000, 1001)
    assert meta["app/shop/tool"] == (0o750, 1000, 1001)
    assert meta["app/shop"] == (0o750, 1000, 1001)
    assert meta["app"] == (0o755, 1000, 1001)
    assert found["app/link"] == Symlink(found["app/link"].meta, "shop/main.py")
    plain = source(folder).entries
    assert (plain["app/shop/main.py"].meta.mode, plain["app/shop/tool"].meta.mode) == (0o644, 0o755)
    assert isinstance(plain["app/shop"], Directory)


def test_contents_are_read_from_the_disk_and_verified(folder: Path) -> None:
    found = source(folder)
    contents = SourceContents(found.paths, MemoryContents())
    entry = found.entries["app/shop/main.py"]
    assert isinstance(entry, File)
    assert contents.read(entry) == b"run\n"
    (folder / "src" / "shop" / "main.py").write_text("ran\n")
    with pytest.raises(OutputError, match="changed while it was read"):
        contents.read(entry)


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "shop/../../x"])
def test_links_that_lead_out(folder: Path, target: str) -> None:
    (folder / "src" / "bad").symlink_to(target)
    with pytest.raises(RecipeError, match="leads out of the source"):
        source(folder)
    assert "app/bad" not in source(folder, exclude=("bad",)).entries


def test_what_is_no_file(folder: Path) -> None:
    os.mkfifo(folder / "src" / "pipe")
    with pytest.raises(RecipeError, match="no file, directory or link"):
        source(folder)


def test_directories_that_are_too_deep(folder: Path) -> None:
    deep = folder.joinpath("src", *"d" * 202)
    deep.mkdir(parents=True)
    with pytest.raises(RecipeError, match="deeper than 200"):
        source(folder)
    assert source(folder, exclude=("d",)).entries


def test_names_that_would_delete(folder: Path) -> None:
    (folder / "src" / ".wh.x").write_text("")
    with pytest.raises(RecipeError, match="would delete"):
        source(folder)


def test_a_source_of_nothing(folder: Path) -> None:
    with pytest.raises(RecipeError, match="no file of"):
        source(folder, include=("*.nothing",))
    with pytest.raises(RecipeError, match="no directory"):
        read_source(App(source="gone"), folder)


def test_an_exception_to_nothing_is_no_pattern() -> None:
    with pytest.raises(RecipeError, match="'!' is no pattern") as caught:
        make_filter((), (), "*.py\n!\n")
    assert caught.value.place == ".dockerignore:2"


def test_objects_are_told_by_their_first_bytes(folder: Path) -> None:
    (folder / "src" / "mod.so").write_bytes(b"\x7fELF...")
    assert source(folder).objects == ("app/mod.so",)


def test_a_git_directory_does_not_matter(folder: Path) -> None:
    before = source(folder).entries
    subprocess.run(["mkdir", "-p", folder / "src" / ".git" / "objects"], check=True)
    (folder / "src" / ".git" / "HEAD").write_text("x")
    assert source(folder).entries == before


SCRIPTS = {"gunicorn": True, "shell": False}


@pytest.mark.parametrize(
    ("text", "words", "calls"),
    [
        (None, (PYTHON,), None),
        ("", (PYTHON,), None),
        ("-m shop --fast", (PYTHON, "-m", "shop", "--fast"), None),
        ("shop.main:run", (PYTHON, "/app/.venv/bin/layersmith-start"), ("shop.main", "run")),
        ("shop:App.run -v", (PYTHON, "/app/.venv/bin/layersmith-start", "-v"), ("shop", "App.run")),
        (
            "gunicorn shop:app -b '0.0.0.0 x'",
            (PYTHON, "/app/.venv/bin/gunicorn", "shop:app", "-b", "0.0.0.0 x"),
            None,
        ),
        ("shell x", ("/app/.venv/bin/shell", "x"), None),
        ("main.py", (PYTHON, "/app/main.py"), None),
        ("./main.py", (PYTHON, "/app/main.py"), None),
        ("/app/main.py x", (PYTHON, "/app/main.py", "x"), None),
        ("größe:läuft", (PYTHON, "/app/.venv/bin/layersmith-start"), ("größe", "läuft")),
    ],
)
def test_entry_points(
    text: str | None, words: tuple[str, ...], calls: tuple[str, str] | None
) -> None:
    assert find_start(text, SCRIPTS, {"main.py"}) == (words, calls)


@pytest.mark.parametrize(
    "text", ["nothing", "-x", "-m", "'x", "evil:run()", "a b:c", "a.:b", "a:²"]
)
def test_what_is_no_entry_point(text: str) -> None:
    with pytest.raises(RecipeError, match="entrypoint"):
        find_start(text, SCRIPTS, set())


def test_a_script_for_a_shell_is_none_for_python() -> None:
    with pytest.raises(RecipeError, match=r"'\./start\.sh' is for a shell") as caught:
        find_start("./start.sh", SCRIPTS, {"start.sh"})
    assert "[app.env]" in caught.value.hint
