"""Docker's config file: exact hosts, and nothing secret in any message."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from layersmith.errors import InvalidInput
from layersmith.stores.auth_files import config_path
from layersmith.stores.credentials import Credential, stored_credential


def _auth(username: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def _write(path: Path, auths: Any) -> None:
    path.write_text(json.dumps({"auths": auths, "HttpHeaders": {}}))


def test_only_the_exact_host_matches(config: Path) -> None:
    _write(config, {"h.example:5000": _auth("u", "p:with:colons")})
    found = stored_credential("h.example:5000")
    assert found is not None
    assert (found.username, found.password) == ("u", "p:with:colons")
    for other in ("h.example", "h.example:5001", "x.h.example:5000", "h.example:50000", ""):
        assert stored_credential(other) is None


@pytest.mark.parametrize(
    "key", ["h.example", "https://h.example", "https://h.example/", "https://h.example/v2/"]
)
def test_keys_may_be_written_as_urls(config: Path, key: str) -> None:
    _write(config, {key: {"username": "u", "password": "p"}})
    assert stored_credential("h.example") is not None


def test_a_key_for_one_repository_is_not_the_hosts(config: Path) -> None:
    _write(config, {"h.example/team/app": _auth("u", "p")})
    assert stored_credential("h.example") is None


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_has_several_names(config: Path, key: str) -> None:
    _write(config, {key: _auth("u", "p")})
    assert stored_credential("registry-1.docker.io") is not None


def test_entries_without_credentials_are_none(config: Path) -> None:
    _write(config, {"h": {}, "h2": None, "h3": {"identitytoken": 1}, "h4": {"auth": ""}})
    assert [stored_credential(f"h{n}") for n in ("", 2, 3, 4)] == [None] * 4
    config.write_text('{"auths": []}')
    assert stored_credential("h") is None


def test_no_file_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_path() == tmp_path / ".docker" / "config.json"
    assert stored_credential("h") is None

    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert config_path() is None
    assert stored_credential("h") is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths": {"h": {"auth": "c2VjcmV0"}}}',
        '{"auths": {"h": {"auth": "%%secret"}}}',
        '{"auths": {"h": {"username": "a:b", "password": "secret"}}}',
        '{"auths": {"h": {"username": "a", "password": "secret\\r\\nX-Evil: 1"}}}',
        '{"auths": {"h": {}, "h": {"auth": "secret"}}}',
    ],
)
def test_a_broken_file_is_one_line_without_secrets(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        stored_credential("h")
    assert str(config) in str(caught.value)
    assert "secret" not in f"{caught.value}{caught.value.hint}"
    assert "\n" not in str(caught.value)


def test_an_unreadable_file_is_an_error(config: Path) -> None:
    config.mkdir()
    with pytest.raises(InvalidInput, match="cannot be read"):
        stored_credential("h")


def test_a_credential_shows_nothing() -> None:
    credential = Credential("user", "pass", "~/.docker/config.json")
    assert credential.basic == "Basic dXNlcjpwYXNz"
    assert "pass" not in repr(credential)
    assert "user" not in repr(credential)
    assert {"pass", "cGFzcw==", "dXNlcjpwYXNz"} == credential.secrets


def test_secrets_are_known_in_every_writing() -> None:
    secrets = Credential("user", 'a/b"+c', "").secrets
    assert {'a/b"+c', "a%2Fb%22%2Bc", "a/b%22%2Bc", 'a/b\\"+c', "YS9iIitj"} <= secrets
