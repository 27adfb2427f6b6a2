"""Where a registry is spoken to: mirrors, plain HTTP, Docker Hub's other name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from layersmith.errors import InvalidInput
from layersmith.stores.registry_options import Endpoint, RegistryOptions, endpoint_for

NOTHING = RegistryOptions()


def test_a_registry_is_itself_over_tls() -> None:
    endpoint = endpoint_for("ghcr.io", NOTHING)
    assert endpoint == Endpoint("ghcr.io")
    assert endpoint.origin == "https://ghcr.io"
    assert endpoint.repository("a/b") == "a/b"


def test_docker_hub_answers_elsewhere() -> None:
    assert endpoint_for("docker.io", NOTHING).host == "registry-1.docker.io"


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_our_own_machine_needs_no_tls(host: str) -> None:
    endpoint = endpoint_for(host, NOTHING)
    assert endpoint.origin == f"http://{host}"
    assert endpoint.guess  # unless TLS answers


@pytest.mark.parametrize("host", ["localhost:5000", "registry.example"])
def test_an_option_is_no_guess(host: str) -> None:
    named = frozenset({host})
    plain = endpoint_for(host, RegistryOptions(plain_http=named), insecure=True)
    assert plain == Endpoint(host, plain_http=True)
    assert endpoint_for(host, RegistryOptions(unverified=named), insecure=True) == Endpoint(host)


@pytest.mark.parametrize("host", ["localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"])
def test_others_need_it(host: str) -> None:
    assert endpoint_for(host, NOTHING) == Endpoint(host)
    assert endpoint_for(host, RegistryOptions(plain_http=frozenset({host}))).plain_http


def test_a_mirror_takes_the_registrys_place() -> None:
    options = RegistryOptions(mirrors={"docker.io": "127.0.0.1:5000/hub/cache"})
    endpoint = endpoint_for("docker.io", options)
    assert endpoint == Endpoint("127.0.0.1:5000", "hub/cache", plain_http=True, guess=True)
    assert endpoint.repository("library/python") == "hub/cache/library/python"
    assert endpoint_for("quay.io", options).host == "quay.io"
    hub = RegistryOptions(mirrors={"a.example": "docker.io"})
    assert endpoint_for("a.example", hub).host == "registry-1.docker.io"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/x",
        "http://h:5000",
        "h:0",
        "h:99999",
        "h/",
        "h/UP",
        "h/a:b",
        "h/a@b",
        "u:p@h",
        "h/../x",
    ],
)
def test_a_bad_mirror_is_one_line(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a mirror") as caught:
        endpoint_for("docker.io", RegistryOptions(mirrors={"docker.io": text}))
    assert "docker.io=127.0.0.1:5000" in caught.value.hint


def test_the_module_itself_loads_no_network_library() -> None:
    code = (
        "import sys, layersmith.stores.registry\n"
        "bad = {'oras', 'requests', 'urllib3', 'http.client', 'ssl', 'jsonschema'}\n"
        "sys.exit(str(bad & set(sys.modules)) if bad & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
