"""Where credentials come from: order, keys, helpers, variables; and nowhere else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from layersmith.errors import InvalidInput, LayersmithError, StoreError
from layersmith.stores import helpers
from layersmith.stores.auth_files import auth_paths
from layersmith.stores.credentials import Credential, stored_credential

NAMES = ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
         "LAYERSMITH_USERNAME", "LAYERSMITH_PASSWORD", "LAYERSMITH_REGISTRY")  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def entry(user: str, password: str = "p") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, **config: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config))


def user(host: str, repository: str = "") -> str | None:
    found = stored_credential(host, repository)
    return found.username if found else None


# files


def test_files_are_read_in_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    files = [home / "run/containers/auth.json", home / ".config/containers/auth.json",
             home / ".docker/config.json"]  # fmt: skip
    assert auth_paths() == files
    for number, path in reversed(list(enumerate(files))):
        write(path, auths={"h.example": entry(f"u{number}")})
        assert user("h.example") == f"u{number}"
    write(files[0], auths={"other.example": entry("u")})
    assert user("h.example") == "u1"


def test_a_file_that_is_named_is_the_only_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".docker/config.json", auths={"h.example": entry("home")})
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "d"))
    assert user("h.example") is None
    write(home / "d/config.json", auths={"h.example": entry("docker")})
    assert user("h.example") == "docker"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(home / "a.json"))
    assert user("h.example") == "docker"
    write(home / "a.json", auths={"h.example": entry("named")})
    assert user("h.example") == "named"
    monkeypatch.delenv("DOCKER_CONFIG")
    (home / "a.json").unlink()
    assert user("h.example") is None


def test_an_empty_file_is_no_error(home: Path) -> None:
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text("\n")
    assert user("h.example") is None


def test_the_longest_key_that_fits_decides(home: Path) -> None:
    keys = {"h.example": "host", "h.example/team": "team", "h.example/team/app": "app",
            "h.example/tea": "tea", "h.example:5000/team": "port"}  # fmt: skip
    write(home / ".docker/config.json", auths={key: entry(name) for key, name in keys.items()})
    assert user("h.example", "team/app") == "app"
    assert user("h.example", "team/app/sub") == "app"
    assert user("h.example", "team/apple") == "team"
    assert user("h.example", "teams/app") == "host"
    assert user("h.example", "team") == "team"
    assert user("h.example") == "host"
    assert user("h.example:5000", "other") is None


def test_tokens(home: Path) -> None:
    write(home / ".docker/config.json", auths={
        "i.example": {"identitytoken": "s3cret-i"}, "r.example": {"registrytoken": "s3cret-r"}})  # fmt: skip
    identity, registry = stored_credential("i.example"), stored_credential("r.example")
    assert identity
    assert registry
    assert (identity.identity, identity.basic) == ("s3cret-i", "")
    assert (registry.registry, registry.basic) == ("s3cret-r", "")
    assert "s3cret" not in f"{identity!r}{registry!r}"
    assert identity.secrets >= {"s3cret-i"}  # and how it may be written: base64, quoted


def test_a_token_that_cannot_be_sent_is_refused(home: Path) -> None:
    write(home / ".docker/config.json", auths={"h.example": {"registrytoken": "s3cret\r\nX: y"}})
    with pytest.raises(InvalidInput) as caught:
        stored_credential("h.example")
    assert "s3cret" not in str(caught.value)


# variables


def test_variables_are_for_one_registry(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home / ".docker/config.json", auths={"h.example": entry("file"), "o.example": entry("o")})
    monkeypatch.setenv("LAYERSMITH_USERNAME", "ci")
    monkeypatch.setenv("LAYERSMITH_PASSWORD", "s3cret")
    monkeypatch.setenv("LAYERSMITH_REGISTRY", "H.example")
    assert stored_credential("h.example") == Credential("ci", "s3cret", "LAYERSMITH_USERNAME")
    assert user("o.example") == "o"
    assert user("h.example:5000") is None
    monkeypatch.setenv("LAYERSMITH_REGISTRY", "docker.io")
    assert user("registry-1.docker.io") == "ci"


@pytest.mark.parametrize(
    "values",
    [
        ("ci", "s3cret", ""),
        ("ci", "", "h.example"),
        ("", "s3cret", "h.example"),
        ("ci", "s3cret", "https://h.example"),
        ("ci", "s3cret", "h.example/team"),
        ("c:i", "s3cret", "h.example"),
    ],
)
def test_half_of_the_variables_is_an_error(
    values: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(NAMES[4:], values, strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as caught:
        stored_credential("h.example")
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"


# helpers


@pytest.fixture
def helper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install docker-credential-test: it answers from DIR/secrets, and notes what it is asked."""
    directory = home / "bin"
    directory.mkdir()
    program = directory / "docker-credential-test"
    program.write_text(
        "#!/bin/sh\nread -r server\n"
        f'echo "$1 $server" >> {directory}/asked\n'
        f'file="{directory}/$(echo "$server" | tr "/:" "__")"\n'
        'if [ -f "$file" ]; then cat "$file"; exit 0; fi\n'
        'echo "credentials not found in native keychain"; exit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return directory


def secret(helper: Path, server: str, user: str = "helped", secret: str = "s3cret") -> None:
    name = server.replace("/", "_").replace(":", "_")
    value = {"ServerURL": server, "Username": user, "Secret": secret}
    (helper / name).write_text(json.dumps(value))


def test_a_helper_for_a_host_goes_before_the_file(home: Path, helper: Path) -> None:
    write(home / ".docker/config.json", credHelpers={"h.example": "test"},
          auths={"h.example": entry("file"), "o.example": entry("o")})  # fmt: skip
    secret(helper, "h.example")
    found = stored_credential("h.example", "team/app")
    assert found
    assert (found.username, found.password) == ("helped", "s3cret")
    assert found.source == "docker-credential-test"
    assert user("o.example") == "o"
    assert (helper / "asked").read_text() == "get h.example\n"


def test_the_store_comes_after_what_the_file_says(home: Path, helper: Path) -> None:
    write(home / ".docker/config.json", credsStore="test",
          auths={"h.example": entry("file"), "o.example": {}})  # fmt: skip
    secret(helper, "o.example")
    assert user("h.example") == "file"
    assert user("o.example") == "helped"
    assert user("n.example") is None


def test_the_hub_has_a_name_of_its_own(home: Path, helper: Path) -> None:
    write(home / ".docker/config.json", credsStore="test", auths={})
    secret(helper, "https://index.docker.io/v1/")
    assert user("registry-1.docker.io") == "helped"


def test_a_helper_may_keep_an_identity_token(home: Path, helper: Path) -> None:
    write(home / ".docker/config.json", credsStore="test", auths={})
    secret(helper, "h.example", user="<token>")
    found = stored_credential("h.example")
    assert found
    assert (found.identity, found.basic) == ("s3cret", "")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo s3cret; echo s3cret >&2; exit 1", "ends with status 1"),
        ("echo s3cret", "does not answer with JSON"),
        ("echo '[]'", "does not name a user"),
        ('echo \'{"Username": 1, "Secret": "s3cret"}\'', "does not name a user"),
        ("kill -9 $$", "ends with status -9"),
        ("sleep 60", "takes more than"),
    ],
)
def test_a_helper_that_fails_is_an_error_and_nothing_else_is_tried(
    home: Path, helper: Path, script: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "_SECONDS", 0.3)
    program = helper / "docker-credential-bad"
    program.write_text(f"#!/bin/sh\nexec 2>/dev/null\n{script}\n")
    program.chmod(0o755)
    write(home / ".docker/config.json", credHelpers={"h.example": "bad"},
          auths={"h.example": entry("file")}, credsStore="test")  # fmt: skip
    with pytest.raises(StoreError, match=message) as caught:
        stored_credential("h.example")
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    assert "config.json" in caught.value.hint


@pytest.mark.parametrize("name", ["absent", "../x", "a/b", "a b", "x\n", "$(id)", "-"[:0] + ";", 7])
def test_only_a_name_on_the_path_is_run(home: Path, helper: Path, name: object) -> None:
    write(home / ".docker/config.json", credHelpers={"h.example": name})
    with pytest.raises(LayersmithError):
        stored_credential("h.example")


@pytest.mark.parametrize("host", ["h.example\nx", "h example", "", "a@b"])
def test_only_a_registry_is_asked_about(home: Path, helper: Path, host: str) -> None:
    write(home / ".docker/config.json", credsStore="test")
    with pytest.raises(InvalidInput):
        stored_credential(host)
    assert not (helper / "asked").exists()
