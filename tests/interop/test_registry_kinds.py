"""The whole program against docker-registry, in every way that people run it."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import requests
from fixtures import registry
from tests.build.certificates import self_signed
from tests.interop import tiny
from tests.interop.conftest import TARGET, Assembled, Result, layersmith
from tests.interop.peers import need
from tests.interop.registries import (
    KINDS,
    PASSWORD,
    USER,
    WRITABLE,
    Served,
    answered,
    ca_settings,
    opened,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop
NAME = "team/python"
PATIENCE = 15  # seconds: far less than trying again takes, enough for a busy machine


@pytest.fixture
def image(tmp_path: Path) -> tuple[str, str]:
    """A tiny image: its place and its digest."""
    return f"oci:{tmp_path}/tiny:{tiny.TAG}", str(tiny.image(tmp_path / "tiny").digest)


@pytest.fixture
def held(
    image: tuple[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Served]:
    """A registry of the kind that the test is marked with; it has the tiny image."""

    def fill(served: Served) -> None:
        assert run(served, "copy", image[0], f"{served.host}/{NAME}").code == 0

    with opened(request.param, tmp_path / "registry", fill) as served:
        yield served


of = pytest.mark.parametrize


def run(served: Served, *arguments: str, stdin: str = "", **settings: str) -> Result:
    return layersmith(*arguments, env=served.settings | settings, stdin=stdin)


def copy(served: Served, place: str) -> Result:
    return run(served, "copy", place, f"{served.host}/{NAME}", "--quiet")


def pulled(served: Served, tag: str, target: Path) -> str:
    """Let skopeo take it all; return the digest that it has then."""
    certificates = served.directory if served.ca else target
    subprocess.run(
        [need("skopeo"), "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
         f"--src-tls-verify={'true' if served.ca else 'false'}", f"--src-cert-dir={certificates}",
         f"docker://{served.host}/{NAME}:{tag}", f"oci:{target}:x"],
        check=True, capture_output=True, env=served.environment,
    )  # fmt: skip
    (entry,) = json.loads((target / "index.json").read_text())["manifests"]
    return str(entry["digest"])


def refused(done: Result, code: int, *words: str) -> None:
    """It failed in one line with a hint, and gave no secret away."""
    assert done.code == code, done.err
    assert all(word in done.err for word in words), done.err
    assert "Traceback" not in done.err
    assert PASSWORD not in done.err


@of("kind", WRITABLE)
def test_assembled_pushed_and_pulled_by_skopeo(
    kind: str, assembled: Assembled, mirrors: tuple[str, ...], tmp_path: Path
) -> None:
    with opened(kind, tmp_path / "registry") as served:
        done = run(
            served, "assemble", TARGET, *mirrors, f"--cache-dir={assembled.cache}", "--json",
            "--push", f"{served.host}/{NAME}",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert done.document["digest"] == assembled.digest
        assert pulled(served, TARGET, tmp_path / "back") == assembled.digest


@of("kind", KINDS)
def test_what_we_pushed_is_there_for_us_and_for_skopeo(
    kind: str, image: tuple[str, str], tmp_path: Path
) -> None:
    def fill(served: Served) -> None:
        assert copy(served, image[0]).code == 0

    with opened(kind, tmp_path / "registry", fill) as served:
        name = f"{served.host}/{NAME}"
        back = run(served, "copy", f"{name}:1", f"oci-archive:{tmp_path}/a.tar", "--json")
        assert back.code == 0, back.err
        assert back.document["digest"] == image[1]
        assert pulled(served, tiny.TAG, tmp_path / "back") == image[1]


# TLS


@of("held", ["TLS"], indirect=True)
def test_a_private_ca_is_named_in_any_usual_way(held: Served, image: tuple[str, str]) -> None:
    name, ca = f"{held.host}/{NAME}:1", str(held.ca)
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        settings = {"NO_PROXY": "*", **ca_settings(ca, variable)}
        done = layersmith("digest", name, env=settings)
        assert done.out == f"{image[1]}\n", done.err
    alone = {"NO_PROXY": "*", **ca_settings("")}
    done = layersmith("copy", image[0], name, "--ca-file", ca, "-q", env=alone)
    assert done.code == 0, done.err

    began = time.monotonic()
    refused(layersmith("digest", name, env=alone), 5, "TLS fails", "--ca-file")
    assert time.monotonic() - began < PATIENCE

    skipped = layersmith("digest", name, "--insecure-skip-tls-verify", held.host, env=alone)
    assert skipped.out == f"{image[1]}\n"
    assert "WARNING" in skipped.err
    assert held.host in skipped.err


def test_tls_on_this_machine_is_found(image: tuple[str, str], tmp_path: Path) -> None:
    ca, key = self_signed("localhost").write(tmp_path)
    alone = {"NO_PROXY": "*", **ca_settings("")}
    sections = {"tls": {"certificate": str(ca), "key": str(key)}}
    with registry.serve(directory=tmp_path, http=sections) as running:
        host = running.host.replace("127.0.0.1", "localhost")
        done = layersmith("copy", image[0], f"{host}/{NAME}", "--ca-file", str(ca), "-q", env=alone)
        assert done.code == 0, done.err
        refused(layersmith("digest", f"{host}/{NAME}:1", env=alone), 5, "TLS fails", "--ca-file")
        skipped = ("--insecure-skip-tls-verify", running.host)
        done = layersmith("digest", f"{running.host}/{NAME}:1", *skipped, env=alone)
        assert done.out == f"{image[1]}\n"


@of("held", ["TLS"], indirect=True)
def test_a_host_without_tls_is_not_one_with(held: Served) -> None:
    done = run(held, "digest", f"{held.host}/{NAME}:1", "--plain-http", held.host)
    refused(done, 5, "400")


# passwords


@of("held", ["htpasswd", "token"], indirect=True)
def test_logging_in_and_out(held: Served, image: tuple[str, str]) -> None:
    held.log_out()
    login = ("login", held.host, "--username", USER, "--password-stdin")
    refused(run(held, *login, stdin="wr0ng"), 4, held.host)
    assert "wr0ng" not in (held.directory / "config.json").read_text()
    denied = run(held, "copy", image[0], f"{held.host}/{NAME}:new")
    refused(denied, 4, "layersmith login")

    done = run(held, *login, stdin=PASSWORD)
    assert done.code == 0, done.err
    kept = held.directory / "config.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert copy(held, image[0]).code == 0
    # The peers find what we have kept.
    subprocess.run(
        [need("skopeo"), "login", "--get-login", f"--authfile={kept}", held.host], check=True
    )

    assert run(held, "logout", held.host).code == 0
    anonymous = run(held, "digest", f"{held.host}/{NAME}:1")
    if held.kind == "token":  # everybody may read there
        assert anonymous.out == f"{image[1]}\n"
    else:
        refused(anonymous, 4, "layersmith login")


@of("held", ["htpasswd", "token"], indirect=True)
def test_a_wrong_password_ends_it_at_once(held: Served, image: tuple[str, str]) -> None:
    held.log_in("wr0ng")
    began = time.monotonic()
    done = run(held, "copy", image[0], f"{held.host}/{NAME}:new", "--quiet")
    assert time.monotonic() - began < PATIENCE
    refused(done, 4)
    assert "wr0ng" not in done.err
    held.log_in()
    refused(run(held, "digest", f"{held.host}/{NAME}:new"), 3)


# tokens


@of("held", ["token"], indirect=True)
def test_a_token_is_widened_from_pull_to_push(held: Served, image: tuple[str, str]) -> None:
    tokens = held.tokens
    assert tokens is not None
    tokens.asked.clear()
    assert run(held, "copy", image[0], f"{held.host}/{NAME}:new", "--quiet").code == 0
    scopes = [scopes for _, scopes in tokens.asked]
    assert scopes[0] == [f"repository:{NAME}:pull"]
    assert [f"repository:{NAME}:pull,push"] in scopes
    assert len(scopes) <= 3


@of("held", ["token"], indirect=True)
def test_blobs_are_mounted_from_another_repository(held: Served, image: tuple[str, str]) -> None:
    before = len(held.registry.log)
    done = run(held, "copy", f"{held.host}/{NAME}:1", f"{held.host}/other/app", "--quiet")
    assert done.code == 0, done.err
    asked = answered(held.registry.log[before:])
    statuses = {status for _, target, status in asked if "mount=" in target}
    assert statuses == {201}
    assert not [target for method, target, _ in asked if method == "PUT" and "/uploads/" in target]
    assert run(held, "digest", f"{held.host}/other/app:1").out == f"{image[1]}\n"


@of("held", ["token"], indirect=True)
def test_a_token_that_is_over_is_replaced(held: Served, image: tuple[str, str]) -> None:
    tokens = held.tokens
    assert tokens is not None
    for number in (1, 2):  # the one for reading, the one for writing
        tokens.asked.clear()
        tokens.over = frozenset({number})
        done = run(held, "copy", image[0], f"{held.host}/{NAME}:after-{number}", "--quiet")
        assert done.code == 0, done.err
        assert number < len(tokens.asked) <= 4


# not to be written to


@of("held", ["read-only", "proxy"], indirect=True)
def test_a_push_is_refused_clearly(held: Served, image: tuple[str, str]) -> None:
    began = time.monotonic()
    done = run(held, "copy", image[0], f"{held.host}/{NAME}:new", "--quiet")
    assert time.monotonic() - began < PATIENCE
    refused(done, 5, held.host, "405")
    refused(run(held, "digest", f"{held.host}/{NAME}:new"), 3)


@of("held", ["proxy"], indirect=True)
def test_a_proxy_is_a_mirror(held: Served, image: tuple[str, str], tmp_path: Path) -> None:
    mirror = f"--mirror=registry.example={held.host}"
    place = f"registry.example/{NAME}:1"
    assert run(held, "digest", place, mirror).out == f"{image[1]}\n"
    done = run(held, "copy", place, f"oci:{tmp_path}/out", mirror, "--quiet")
    assert done.code == 0, done.err
    assert layersmith("digest", f"oci:{tmp_path}/out").out == f"{image[1]}\n"


# with what is deleted


@of("held", ["plain"], indirect=True)
def test_what_was_deleted_is_brought_again(
    held: Served, image: tuple[str, str], tmp_path: Path
) -> None:
    api = f"{held.registry.url}/v2/{NAME}"
    index = requests.get(
        f"{api}/manifests/1",
        headers={"Accept": "application/vnd.oci.image.index.v1+json"},
        timeout=10,
    ).json()
    manifest = requests.get(
        f"{api}/manifests/{index['manifests'][0]['digest']}",
        headers={"Accept": index["manifests"][0]["mediaType"]},
        timeout=10,
    ).json()
    for path in (
        f"manifests/{image[1]}",
        f"manifests/{index['manifests'][0]['digest']}",
        f"blobs/{manifest['layers'][0]['digest']}",
    ):
        assert requests.delete(f"{api}/{path}", timeout=10).status_code == 202
    refused(run(held, "digest", f"{held.host}/{NAME}:1"), 3)
    assert copy(held, image[0]).code == 0
    assert pulled(held, "1", tmp_path / "back") == image[1]
