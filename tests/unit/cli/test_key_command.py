"""key generate and key public as a user types them."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from layersmith.cli.app import app
from layersmith.errors import InvalidInput, InvalidKey, LayersmithError, OutputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COSIGN_PASSWORD", raising=False)
    monkeypatch.setenv("LAYERSMITH_KEY_PASSWORD", "secret")
    return tmp_path


def run(*arguments: str, stdin: str = "") -> str:
    done = CliRunner().invoke(app, arguments, input=stdin)
    if isinstance(done.exception, LayersmithError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return str(done.stdout)


@pytest.mark.parametrize("form", ["pkcs8", "cosign"])
@pytest.mark.parametrize("kind", ["ecdsa-p256", "ed25519"])
def test_a_pair_is_made(here: Path, kind: str, form: str) -> None:
    said = run("key", "generate", "--type", kind, "--format", form, "-o", "k")
    assert said.startswith(f"k.key and k.pub: {kind}, sha256:")
    assert stat.S_IMODE((here / "k.key").stat().st_mode) == 0o600
    assert run("key", "public", "k.key") == (here / "k.pub").read_text()
    assert "secret" not in said
    assert sorted(path.name for path in here.iterdir()) == ["k.key", "k.pub"]


@pytest.mark.parametrize("taken", ["k.key", "k.pub"])
def test_nothing_is_written_over(here: Path, taken: str) -> None:
    (here / taken).symlink_to("nowhere")
    with pytest.raises(OutputError, match=f"{taken} is there already"):
        run("key", "generate", "-o", "k")
    assert [path.name for path in here.iterdir()] == [taken]


def test_a_key_may_be_in_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("key", "generate")
    monkeypatch.setenv("THE_KEY", (here / "layersmith.key").read_text())
    assert run("key", "public", "env://THE_KEY") == (here / "layersmith.pub").read_text()
    with pytest.raises(InvalidKey, match="NONE holds no key"):
        run("key", "public", "env://NONE")
    with pytest.raises(InvalidKey, match="awskms:// keys are not supported"):
        run("key", "public", "awskms://x")


def test_the_password_comes_from_stdin_or_cosigns_variable(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("key", "generate", "--password-stdin", stdin="other\n")
    with pytest.raises(InvalidKey, match="the password is wrong"):
        run("key", "public", "layersmith.key")
    monkeypatch.delenv("LAYERSMITH_KEY_PASSWORD")
    with pytest.raises(InvalidKey, match="nobody to ask"):
        run("key", "public", "layersmith.key")
    monkeypatch.setenv("COSIGN_PASSWORD", "other")
    assert "PUBLIC KEY" in run("key", "public", "layersmith.key")


def test_what_is_no_kind_or_format_is_refused() -> None:
    for option in ("--type", "--format"):
        with pytest.raises(InvalidInput, match=f"{option} 'rsa'"):
            run("key", "generate", option, "rsa")


def test_no_key_is_said_in_one_line(here: Path) -> None:
    (here / "big").write_bytes(b"x" * (65 << 10))
    for where, why in (("none", "cannot be read"), ("big", "larger than 64 KiB")):
        with pytest.raises(InvalidKey, match=why):
            run("key", "public", where)


@pytest.mark.parametrize("form", ["pkcs8", "cosign"])
def test_a_key_without_a_password_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("LAYERSMITH_KEY_PASSWORD", "")
    done = CliRunner().invoke(app, ("key", "generate", "--format", form))
    assert "the private key has no password" in done.stderr
    monkeypatch.setenv("LAYERSMITH_KEY_PASSWORD", "secret")
    done = CliRunner().invoke(app, ("key", "generate", "--format", form, "-o", "k"))
    assert (done.exit_code, done.stderr) == (0, "")
