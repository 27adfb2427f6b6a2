"""The cache commands, and what a run does without a cache that it can write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from layersmith.cli.app import app
from layersmith.cli.cache import parsed_size
from layersmith.cli.cachedir import cache_directory
from layersmith.errors import InvalidInput, OutputError, VerificationError
from layersmith.stores.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cache = Cache(tmp_path)
    cache.remember("a", b"1")
    cache.remember("b", b"22")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["cache", *arguments, "--cache-dir", str(folder)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_info_and_list(folder: Path) -> None:
    assert "2 memos, 131 B" in run(folder, "info")
    found = json.loads(run(folder, "info", "--json"))
    assert found["kinds"] == {"memo": {"count": 2, "size": 131}}
    assert len(run(folder, "list").splitlines()) == 2
    assert [item["kind"] for item in json.loads(run(folder, "list", "--json"))] == ["memo"] * 2


def test_prune(folder: Path) -> None:
    assert run(folder, "prune", "--max-size", "1GB") == "removed 0 items, 0 B\n"
    assert json.loads(run(folder, "prune", "--max-size", "0", "--json"))["size"] == 131
    assert run(folder, "list") == ""


def test_verify_tells_and_removes(folder: Path) -> None:
    assert run(folder, "verify") == "checked 2 items, removed 0\n"
    path = next((folder / "v1/memo").iterdir())
    path.write_bytes(b"rotten")
    with pytest.raises(VerificationError, match="1 damaged"):
        run(folder, "verify")
    assert not path.exists()
    assert json.loads(run(folder, "verify", "--json")) == {"checked": 1, "removed": []}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("123", 123), ("5k", 5000), ("500MB", 500_000_000), ("2GiB", 2 << 30),
        ("1.5 g", 1_500_000_000), ("0.5KiB", 512), ("3 TB", 3 * 10**12), ("7B", 7),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parsed_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "x", "1e9", "5 parsec", "9" * 30, "\u0663MB", "."])
def test_no_sizes(text: str) -> None:
    with pytest.raises(InvalidInput):
        parsed_size(text)


def test_a_cache_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with cache_directory(tmp_path / "new" / "cache") as path:
        assert path == tmp_path / "new" / "cache"
        assert list(path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_a_run_goes_without_a_cache_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with cache_directory(tmp_path / "file" / "cache") as path:
        (path / "x").write_bytes(b"works")
    assert not path.exists()
    warning = capsys.readouterr().err
    assert warning.startswith("layersmith: warning: the cache ")
    assert len(warning.splitlines()) == 1


def test_a_run_without_a_cache_and_without_a_temporary_directory_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with (
        pytest.raises(OutputError, match="making a temporary directory: "),
        cache_directory(tmp_path / "file" / "cache"),
    ):
        pass
