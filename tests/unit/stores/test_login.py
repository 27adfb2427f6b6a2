"""Logging in and out: tried first, kept safely, and nothing else in the file changes."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.registry import FakeRegistry
from typer.testing import CliRunner

from layersmith.cli.app import app
from layersmith.errors import InvalidInput, LayersmithError, OutputError, Unauthorized
from layersmith.stores.credentials import stored_credential
from layersmith.stores.login import forget, keep, named_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "canary-user", "canary-s3cret"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REGISTRY_AUTH_FILE", "LAYERSMITH_USERNAME", "LAYERSMITH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return tmp_path / "docker" / "config.json"


@pytest.fixture(params=["basic", "token"])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeRegistry]:
    with FakeRegistry(basic=(USER, PASSWORD), tokens=request.param == "token") as registry:
        yield registry


def run(*arguments: str, stdin: str = "") -> Any:
    return CliRunner().invoke(app, arguments, input=stdin)


def log_in(host: str, password: str = PASSWORD) -> Any:
    return run("login", host, "-u", USER, "--password-stdin", stdin=f"{password}\n")


def test_credentials_that_work_are_kept(fake: FakeRegistry, config: Path) -> None:
    done = log_in(fake.host)
    assert done.exit_code == 0
    assert PASSWORD not in done.output
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert list(config.parent.iterdir()) == [config]
    found = stored_credential(fake.host)
    assert found
    assert (found.username, found.password) == (USER, PASSWORD)


def test_a_wrong_password_is_called_that(fake: FakeRegistry, config: Path) -> None:
    error = log_in(fake.host, "wr0ng").exception
    assert isinstance(error, Unauthorized)
    assert fake.host in error.message
    assert "check user name and password" in error.hint
    assert not config.exists()


def test_credentials_that_do_not_are_not(fake: FakeRegistry, config: Path) -> None:
    done = log_in(fake.host, "wr0ng")
    assert isinstance(done.exception, Unauthorized)
    assert "wr0ng" not in f"{done.exception}{done.exception.hint}"
    assert not config.exists()


def test_a_registry_for_everybody_says_so(config: Path) -> None:
    with FakeRegistry() as fake:
        done = log_in(fake.host)
        assert done.exit_code == 0
        assert "did not check" in done.output


@pytest.mark.parametrize(
    "arguments", [("--password-stdin",), ("-u", "a:b", "--password-stdin"), ("-u", USER)]
)
def test_what_is_missing_is_said(
    fake: FakeRegistry, config: Path, arguments: tuple[str, ...]
) -> None:
    done = run("login", fake.host, *arguments, stdin="")
    assert isinstance(done.exception, InvalidInput)
    assert not fake.log


def test_a_password_that_is_an_argument_is_not_repeated(fake: FakeRegistry, config: Path) -> None:
    done = run("login", fake.host, "-u", USER, PASSWORD)
    assert isinstance(done.exception, InvalidInput)
    assert PASSWORD not in f"{done.output}{done.exception}{done.exception.hint}"
    assert not fake.log


def test_the_rest_of_the_file_stays(config: Path) -> None:
    config.parent.mkdir()
    other = {"auths": {"o.example": {"auth": "bzpv"}, "https://h.example/v1/": {"auth": "eDp4"}},
             "HttpHeaders": {"X": "y"}, "detachKeys": "ctrl-e"}  # fmt: skip
    config.write_text(json.dumps(other))
    assert keep("h.example", USER, PASSWORD) == str(config)
    written = json.loads(config.read_text())
    assert written["HttpHeaders"] == {"X": "y"}
    assert set(written["auths"]) == {"o.example", "h.example"}
    assert forget("h.example") == [str(config)]
    assert forget("h.example") == []
    assert json.loads(config.read_text())["auths"] == {"o.example": {"auth": "bzpv"}}


def test_a_link_stays_a_link(config: Path, tmp_path: Path) -> None:
    config.parent.mkdir()
    (tmp_path / "real.json").write_text("{}")
    config.symlink_to(tmp_path / "real.json")
    keep("h.example", USER, PASSWORD)
    assert config.is_symlink()
    assert stored_credential("h.example")


def test_docker_hub_is_kept_as_docker_does(config: Path) -> None:
    assert named_registry("index.docker.io") == "docker.io"
    keep("docker.io", USER, PASSWORD)
    assert list(json.loads(config.read_text())["auths"]) == ["https://index.docker.io/v1/"]
    assert stored_credential("registry-1.docker.io")
    assert forget("docker.io") == [str(config)]


def test_a_repositorys_own_credentials_stay(config: Path) -> None:
    config.parent.mkdir()
    config.write_text(json.dumps({"auths": {"h.example/team": {"auth": "dDp0"}}}))
    keep("h.example", USER, PASSWORD)
    forget("h.example")
    assert list(json.loads(config.read_text())["auths"]) == ["h.example/team"]


def test_a_helper_keeps_them_where_there_is_one(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker-credential-test"
    program.write_text(
        f"#!/bin/sh\ncase $1 in store) cat > {tmp_path}/kept;; erase) rm {tmp_path}/kept;; get)"
        f' cat {tmp_path}/kept 2>/dev/null || {{ echo "credentials not found"; exit 1; }};; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config.parent.mkdir()
    config.write_text('{"credsStore": "test"}')
    assert keep("h.example", USER, PASSWORD) == "docker-credential-test"
    assert PASSWORD not in config.read_text()
    found = stored_credential("h.example")
    assert found
    assert found.password == PASSWORD
    assert forget("h.example") == ["docker-credential-test"]
    assert stored_credential("h.example") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written(config: Path) -> None:
    config.parent.mkdir(mode=0o500)
    with pytest.raises(OutputError):
        keep("h.example", USER, PASSWORD)


@pytest.mark.parametrize("host", ["", "h/x", "http://h", "u@h", "h:0", "h\n"])
def test_only_a_registry_can_be_logged_in_to(host: str) -> None:
    with pytest.raises(LayersmithError):
        named_registry(host)


def test_logout_says_what_it_did(config: Path) -> None:
    keep("h.example", USER, PASSWORD)
    assert "removed from" in run("logout", "h.example").output
    assert "no credentials" in run("logout", "h.example").output
