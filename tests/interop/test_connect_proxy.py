"""Through tinyproxy: registries over TLS in a tunnel, others request by request."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from fixtures import registry
from tests.build.certificates import self_signed
from tests.interop import tiny
from tests.interop.conftest import Result, layersmith
from tests.interop.peers import need
from tests.interop.registries import ca_settings, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop
USER, PASSWORD = "proxy-user", "pr0xy-canary"
BASIC = "cHJveHktdXNlcjpwcjB4eS1jYW5hcnk="  # both, as a header has them
_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class Proxy:
    """A proxy that wants a password, and what it has logged."""

    host: str
    log_file: Path

    def settings(self, *variables: str, **more: str) -> dict[str, str]:
        """Return an environment in which these variables name the proxy."""
        url = f"http://{USER}:{PASSWORD}@{self.host}"
        return {"NO_PROXY": "", **dict.fromkeys(variables, url), **more}

    def asked(self) -> list[str]:
        """Return what clients asked for, and forget it."""
        lines = self.log_file.read_text().splitlines()
        self.log_file.write_text("")
        return [line.partition("): ")[2] for line in lines if " Request (" in line]


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    host, log = f"127.0.0.1:{registry.free_port('127.0.0.1')}", tmp_path / "proxy.log"
    settings = tmp_path / "tinyproxy.conf"
    settings.write_text(
        f"Listen 127.0.0.1\nPort {host.partition(':')[2]}\nTimeout 20\nMaxClients 50\n"
        f'LogFile "{log}"\nLogLevel Connect\nBasicAuth {USER} {PASSWORD}\n'
    )
    with subprocess.Popen(
        [need("tinyproxy"), "-d", "-c", settings], stdout=subprocess.DEVNULL
    ) as it:
        try:
            _wait(host)
            yield Proxy(host, log)
        finally:
            it.terminate()


def _wait(host: str) -> None:
    name, _, port = host.partition(":")
    for _ in range(250):
        try:
            socket.create_connection((name, int(port))).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nobody answers at {host}")


@pytest.fixture
def place(tmp_path: Path) -> str:
    tiny.image(tmp_path / "tiny")
    return f"oci:{tmp_path}/tiny:{tiny.TAG}"


def copied(place: str, host: str, settings: dict[str, str], *options: str) -> Result:
    """Copy to a registry and back to a layout: uploads, downloads and documents."""
    done = layersmith("copy", place, f"{host}/team/tiny", "-q", *options, env=settings)
    if done.code:
        return done
    back = place.replace("tiny:", f"back-{time.monotonic_ns()}:")
    return layersmith("copy", f"{host}/team/tiny:1", back, "-q", *options, env=settings)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_tls_goes_through_a_tunnel(proxy: Proxy, place: str, tmp_path: Path, variable: str) -> None:
    with opened("TLS", tmp_path / "registry") as served:
        settings = served.settings | proxy.settings(variable)
        done = copied(place, served.host, settings)
        assert done.code == 0, done.err
        asked = proxy.asked()
        assert asked
        assert {line.rpartition(" ")[0] for line in asked} == {f"CONNECT {served.host}"}


def test_plain_http_is_asked_for_by_the_proxy(proxy: Proxy, place: str, tmp_path: Path) -> None:
    with registry.serve(name=socket.gethostname()) as running:
        plain = ("--plain-http", running.host)
        done = copied(place, running.host, proxy.settings("http_proxy"), *plain)
        assert done.code == 0, done.err
        assert any(line.startswith(f"PUT {running.url}/v2/team/tiny/") for line in proxy.asked())
        assert PASSWORD not in running.log
        assert BASIC not in running.log


def test_no_proxy_and_our_own_machine_go_without(proxy: Proxy, tmp_path: Path) -> None:
    both = ("HTTPS_PROXY", "HTTP_PROXY")
    with opened("TLS", tmp_path / "registry") as served, registry.serve() as ours:
        name = served.host.partition(":")[0]
        for host, excluded in (
            (served.host, name),
            (served.host, f"other.example,{served.host}"),
            (ours.host, ""),
        ):
            settings = served.settings | proxy.settings(*both, NO_PROXY=excluded)
            done = layersmith("digest", f"{host}/team/tiny:1", env=settings)
            assert done.code == 3, done.err
    assert proxy.asked() == []


@pytest.mark.parametrize(("known", "answer"), [(True, "401"), (False, "407")])
def test_a_proxy_that_refuses_is_told_from_a_registry(
    proxy: Proxy, tmp_path: Path, known: bool, answer: str
) -> None:
    """tinyproxy answers a wrong password as a registry would: still it is the proxy's answer."""
    url = f"http://{USER}:wr0ng@{proxy.host}" if known else f"http://{proxy.host}"
    with seeing(tmp_path) as (host, ca, seen):
        settings = {"NO_PROXY": "", "HTTPS_PROXY": url, **ca_settings(ca)}
        done = layersmith("digest", f"{host}/team/tiny:1", env=settings)
    assert done.code == 5
    assert f"the proxy cannot be used ({answer}" in done.err
    assert "wr0ng" not in done.err
    assert not seen


class _Seen(BaseHTTPRequestHandler):
    """Says no, and remembers the request as it came."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        vars(self.server)["seen"].append(f"{self.requestline}\n{self.headers}")
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815


@contextmanager
def seeing(directory: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Serve over TLS; yield the host, its CA and what it has seen."""
    name = socket.gethostname()
    public, private = self_signed(name).write(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    seen: list[str] = []
    with ThreadingHTTPServer((name, 0), _Seen) as server:
        vars(server)["seen"] = seen
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"{name}:{server.server_address[1]}", str(public), seen
        server.shutdown()


def test_the_proxys_password_is_for_the_proxy_alone(proxy: Proxy, tmp_path: Path) -> None:
    with seeing(tmp_path) as (host, ca, seen):
        settings = proxy.settings("HTTPS_PROXY") | ca_settings(ca)
        done = layersmith("digest", f"{host}/team/tiny:1", env=settings)
    assert done.code == 3, done.err
    assert {line.rpartition(" ")[0] for line in proxy.asked()} == {f"CONNECT {host}"}
    assert seen
    for request in seen:
        assert "authorization" not in request.lower()
        assert BASIC not in request
        assert PASSWORD not in request
    assert PASSWORD not in done.err
