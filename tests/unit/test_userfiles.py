"""Files that a user names: bounded, and no named pipe holds a run for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from layersmith.cli.app import app
from layersmith.errors import LayersmithError
from layersmith.userfiles import read_file


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pylock.toml"
    os.mkfifo(path)
    return path


def test_a_file_is_read_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_file(path, 10) == b"12345"
    assert read_file(path, 3) == b"1234"
    (tmp_path / "link").symlink_to(path)
    assert read_file(tmp_path / "link", 10) == b"12345"


def test_a_named_pipe_is_refused_also_behind_a_link(pipe: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(OSError, match="named pipe"):
            read_file(path, 10)


def test_what_a_shell_puts_in_the_place_of_a_file_is_read() -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, b"said")
        os.close(writer)
        assert read_file(Path(f"/dev/fd/{reader}"), 10) == b"said"
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--file", "pylock.toml"),
        ("plan", "3.13-debian13", "--lock", "pylock.toml"),
        ("app", "build", "3.13-debian13", "-d", "pylock.toml"),
        ("assemble", "--bundle", "pylock.toml"),
        ("bundle", "inspect", "pylock.toml"),
        ("bundle", "verify", "pylock.toml"),
        ("rebuild", "--provenance", "pylock.toml"),
        ("rebuild", "--bundle", "pylock.toml"),
        ("sign", "registry.example/x", "--key", "pylock.toml"),
        ("attest", "oci:x", "--key", "k", "--type", "spdx", "--predicate", "pylock.toml"),
        ("scan", "oci:x", "--db", "y", "--ignore-file", "pylock.toml"),
        ("scan", "sbom:pylock.toml", "--db", "pylock.toml"),
        ("test", "oci:x", "--file", "pylock.toml"),
        ("inspect", "oci-archive:pylock.toml"),
        ("inspect", "docker-archive:pylock.toml"),
    ],
    ids=lambda words: " ".join(words[:-1]),
)
def test_no_command_waits_for_a_named_pipe(pipe: Path, words: tuple[str, ...]) -> None:
    extra = ("--cache-dir", "cache") if words[0] in ("plan", "app", "assemble", "rebuild") else ()
    done = CliRunner().invoke(app, [*words, *extra])
    assert isinstance(done.exception, LayersmithError), done.output
    assert done.exception.exit_code not in (0, 70)
