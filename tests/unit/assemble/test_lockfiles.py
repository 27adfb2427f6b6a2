"""Locks of other programs: what these are asked, and their own answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.build.wheels import wheel

from layersmith.apps.interpreter import Interpreter
from layersmith.assemble.lockfiles import _EXPORTERS, read_locked
from layersmith.errors import RecipeError
from layersmith.recipe.application import App

AMD = Interpreter("3.13.5", "x86_64", (2, 41))
UV = Path(sys.executable).with_name("uv")


@pytest.mark.parametrize(
    ("lock", "end"),
    [
        ("uv.lock", ["--extra", "a", "--extra", "b", "--group", "g"]),
        ("poetry.lock", ["--extras", "a", "--extras", "b", "--with", "g"]),
    ],
)
def test_extras_and_groups_as_each_names_them(lock: str, end: list[str]) -> None:
    command = _EXPORTERS[lock].command(Path(lock), ("a", "b"), ("g",))
    assert command[-len(end) :] == end
    assert command[0] == lock.partition(".")[0]


def test_pipenv_has_categories_and_no_extras() -> None:
    pipenv = _EXPORTERS["Pipfile.lock"]
    command = pipenv.command(Path("Pipfile.lock"), (), ("g", "h"))
    assert command == ["pipenv", "requirements", "--hash", "--categories", "packages g h"]
    assert "--categories" not in pipenv.command(Path("Pipfile.lock"), (), ())
    with pytest.raises(RecipeError, match="no extras"):
        pipenv.command(Path("Pipfile.lock"), ("x",), ())


PROJECT = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["alpha"]

[project.optional-dependencies]
fast = ["beta"]

[dependency-groups]
prod = ["gamma"]
dev = ["delta"]

[tool.uv]
no-index = true
find-links = ["wheels"]
"""


@pytest.fixture
def uv_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock that uv made of wheels of ours."""
    assert UV.exists(), "uv is one of the requirements"
    for name in ("alpha", "beta", "gamma", "delta"):
        wheel(name).write(tmp_path / "wheels")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.setenv("PATH", f"{UV.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    subprocess.run(
        [UV, "lock", "--quiet", "--offline", "--python", sys.executable], cwd=tmp_path, check=True
    )
    return tmp_path


def test_uv_s_own_lock(uv_lock: Path) -> None:
    def names(**chosen: tuple[str, ...]) -> list[str]:
        app = App(lock="uv.lock", **chosen)  # type: ignore[arg-type]
        locked, folder, _ = read_locked(app, uv_lock)
        assert folder == uv_lock
        return [pin.name for pin in locked.pins(AMD, app.extras, app.groups)]

    assert names() == ["alpha"]
    assert names(extras=("fast",), groups=("prod",)) == ["alpha", "beta", "gamma"]
    with pytest.raises(RecipeError, match=r"uv does not export uv\.lock: .*nope"):
        names(extras=("nope",))


def test_names_of_locks(tmp_path: Path) -> None:
    (tmp_path / "lock.toml").write_text("")
    with pytest.raises(RecipeError, match="no lock by its name"):
        read_locked(App(lock="lock.toml"), tmp_path)
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_locked(App(lock="requirements.txt"), tmp_path)
    (tmp_path / "requirements.txt").write_text("-r https://h.example/x.txt\n")
    with pytest.raises(RecipeError, match="is elsewhere"):
        read_locked(App(lock="requirements.txt"), tmp_path)
