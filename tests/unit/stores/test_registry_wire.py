"""The wire itself: broken connections, slow peers, TLS, proxies, many threads."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.certificates import self_signed
from tests.build.image import descriptor
from tests.fakes.clock import FakeClock
from tests.fakes.registry import Drop, FakeRegistry, error

from layersmith.errors import InvalidInput, RegistryError, SizeMismatch
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, Descriptor
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries
from layersmith.stores.registry_client import RegistryClient
from layersmith.stores.registry_options import Endpoint, Limits, RegistryOptions
from layersmith.stores.registry_repository import RegistryRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RAW = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
BLOB = bytes(range(256)) * 4096
REPO = "team/app"
QUICK = Limits(connect=0.5, read=0.25)


@pytest.fixture(autouse=True)
def _no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.add_manifest(REPO, RAW, OCI_INDEX, "1")
        registry.add_blob(REPO, BLOB)
        yield registry


@pytest.fixture
def registries() -> Iterator[Registries]:
    with Registries(RegistryOptions(limits=QUICK), clock=FakeClock()) as opened:
        yield opened


def at(registries: Registries, host: str) -> RegistryRepository:
    return registries.repository(Reference.parse(f"{host}/{REPO}:1"))


@contextmanager
def peer(*answers: bytes, hold: bool = False) -> Iterator[str]:
    """Give every connection the next of `answers`, whatever it asks; keep it open if `hold`."""
    kept: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            # Who is asked may hang up in the middle of what is no HTTP.
            with suppress(OSError):
                connection.recv(65536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR if not hold else socket.SHUT_RD)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for sock in (listener, *kept):
            sock.close()


# keep-alive


def test_one_connection_serves_many_requests(fake: FakeRegistry, registries: Registries) -> None:
    repository = at(registries, fake.host)
    for _ in range(3):
        repository.resolve("1")
        assert not repository.has(descriptor(b"absent"))
        assert read_document(repository, descriptor(BLOB)) == BLOB
        repository.put(descriptor(b"x"), held(b"x"))
    assert fake.connections_made == 1


def test_a_connection_closed_while_idle_is_replaced(
    fake: FakeRegistry, registries: Registries
) -> None:
    repository = at(registries, fake.host)
    repository.resolve("1")
    fake.close_idle()
    repository.resolve("1")
    repository.put(descriptor(b"x"), held(b"x"))
    assert fake.counts()["HEAD manifests"] == 2


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_closed_in_our_face_is_replaced(
    fake: FakeRegistry, registries: Registries, reset: bool
) -> None:
    repository = at(registries, fake.host)
    fake.once("HEAD", "manifests", Drop(reset=reset))
    assert repository.resolve("1")
    fake.always("HEAD", "manifests", Drop(reset=reset))
    with pytest.raises(RegistryError, match="closed") as caught:
        repository.resolve("1")
    assert caught.value.temporary
    assert caught.value.status == 0


def test_a_body_that_was_begun_is_not_sent_again_before_a_look(
    fake: FakeRegistry, registries: Registries
) -> None:
    fake.once("PUT", "uploads", Drop(reset=True))
    at(registries, fake.host).put(descriptor(BLOB + b"x"), held(BLOB + b"x"))
    assert [r.method for r in fake.log] == ["POST", "PUT", "HEAD", "POST", "PUT"]


# peers that do not answer


def test_a_refused_connection(registries: Registries) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(RegistryError, match=f"http://{host}: the connection is refused") as caught:
        at(registries, host).resolve("1")
    assert caught.value.temporary


def test_a_name_that_does_not_resolve(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RegistryError, match="cannot be resolved"):
        at(registries, "no.such.example").resolve("1")


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["nothing", "half the headers", "half the body"],
)
def test_a_stalled_peer_is_noticed(registries: Registries, answer: bytes) -> None:
    began = time.monotonic()
    with (
        peer(*[answer] * 4, hold=True) as host,
        pytest.raises(RegistryError, match="no answer in time") as caught,
    ):
        read_document(at(registries, host), descriptor(b"123456789"))
    assert time.monotonic() - began < 4 * 0.25 + 1
    assert caught.value.temporary


@pytest.mark.parametrize(
    "answer",
    [
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n123456789",
    ],
)
def test_what_is_not_http_is_a_plain_error(registries: Registries, answer: bytes) -> None:
    with peer(*[answer] * 40) as host, pytest.raises(RegistryError) as caught:
        read_document(at(registries, host), descriptor(b"123456789"))
    assert host in str(caught.value)


def test_chunked_content_is_content(registries: Registries) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    with peer(answer) as host:
        assert read_document(at(registries, host), descriptor(b"abcd")) == b"abcd"
    with peer(answer.replace(b"0\r\n\r\n", b"")) as host:  # all bytes came: no harm was done
        assert read_document(at(registries, host), descriptor(b"abcd")) == b"abcd"
    short = answer.replace(b"1\r\nd\r\n", b"")
    with peer(short) as host, pytest.raises(SizeMismatch):
        read_document(at(registries, host), descriptor(b"abcd"))


def test_an_early_answer_to_an_upload_is_read(registries: Registries) -> None:
    start = b"HTTP/1.1 202 A\r\nLocation: /u\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    data = bytes(8 << 20)
    with peer(start, refusal) as host, pytest.raises(RegistryError) as caught:
        at(registries, host).put(descriptor(data), held(data))
    assert caught.value.status in (0, 413)  # the kernel may drop the answer with the data


# TLS


@contextmanager
def certificate(directory: Path) -> Iterator[tuple[ssl.SSLContext, Path]]:
    """Make a self-signed certificate for 127.0.0.1."""
    public, private = self_signed("127.0.0.1").write(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    yield context, public


@contextmanager
def over_tls(host: str, ca_file: Path | None) -> Iterator[RegistryRepository]:
    """Open a repository over TLS although the host is our own."""
    endpoint = Endpoint(host)
    client = RegistryClient(endpoint, RegistryOptions(ca_file=ca_file, limits=QUICK))
    reference = Reference.parse(f"{host}/{REPO}:1")
    try:
        yield RegistryRepository(
            client, endpoint, reference, lambda _: endpoint, Registries()._progress
        )
    finally:
        client.close()


def test_tls_with_a_private_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with certificate(tmp_path) as (context, ca_file), FakeRegistry(tls=context) as fake:
        fake.add_manifest(REPO, RAW, OCI_INDEX, "1")
        with over_tls(fake.host, ca_file) as repository:
            assert repository.resolve("1")
        with over_tls(fake.host, None) as repository:
            with pytest.raises(RegistryError, match="TLS fails") as caught:
                repository.resolve("1")
            assert "--ca-file" in caught.value.hint
            assert not caught.value.temporary
            assert "self-signed" in str(caught.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        with over_tls(fake.host, None) as repository:
            assert repository.resolve("1")


def test_one_host_may_go_unverified(tmp_path: Path) -> None:
    with certificate(tmp_path) as (context, _), FakeRegistry(tls=context) as fake:
        for unverified, works in ((fake.host, True), ("127.0.0.1:1", False)):
            options = RegistryOptions(unverified=frozenset({unverified}), limits=QUICK)
            client = RegistryClient(Endpoint(fake.host), options)
            url = client.url(f"{fake.host}/v2/")
            if works:
                response = client.do_request(url)
                assert response.status_code == 200
                response.close()
            else:
                with pytest.raises(RegistryError, match="TLS fails"):
                    client.do_request(url)
            client.close()


def opened(**options: Any) -> Registries:
    return Registries(RegistryOptions(limits=QUICK, **options), clock=FakeClock())


def resolved(registries: Registries, host: str) -> Descriptor:
    return registries.repository(Reference.parse(f"{host}/{REPO}:1")).resolve("1")


def test_our_own_machine_with_tls(tmp_path: Path) -> None:
    with certificate(tmp_path) as (context, ca_file), FakeRegistry(tls=context) as fake:
        digest = fake.add_manifest(REPO, RAW, OCI_INDEX, "1")
        with opened(ca_file=ca_file) as registries:
            assert resolved(registries, fake.host).digest == digest
        with opened() as registries, pytest.raises(RegistryError, match="TLS fails"):
            resolved(registries, fake.host)
        named = frozenset({fake.host})
        with opened(unverified=named) as registries:
            assert resolved(registries, fake.host).digest == digest
        with opened(plain_http=named) as registries:
            with pytest.raises(RegistryError, match="400") as caught:
                resolved(registries, fake.host)
            assert "--plain-http" in caught.value.hint


def test_many_threads_find_tls_at_once(tmp_path: Path) -> None:
    with certificate(tmp_path) as (context, ca_file), FakeRegistry(tls=context) as fake:
        digest = fake.add_manifest(REPO, RAW, OCI_INDEX, "1")
        with opened(ca_file=ca_file) as registries, ThreadPoolExecutor(8) as pool:
            found = [pool.submit(resolved, registries, fake.host) for _ in range(16)]
            assert {one.result().digest for one in found} == {digest}


def test_the_first_answer_decides(fake: FakeRegistry, registries: Registries) -> None:
    fake.once("HEAD", "manifests/1", error(400, "NAME_INVALID"))
    with pytest.raises(RegistryError, match="400"):
        resolved(registries, fake.host)
    assert resolved(registries, fake.host)
    connections = fake._server.connections_made
    fake.once("HEAD", "manifests/1", error(400, "NAME_INVALID"))
    with pytest.raises(RegistryError, match="400"):
        resolved(registries, fake.host)
    assert fake._server.connections_made == connections  # no handshake is tried again


def test_what_registries_conf_calls_insecure(
    tmp_path: Path, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "registries.conf"
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
    with certificate(tmp_path) as (context, _), FakeRegistry(tls=context) as secure:
        secure.add_manifest(REPO, RAW, OCI_INDEX, "1")
        hosts = (fake.host, secure.host)
        conf.write_text("".join(f"[[registry]]\nlocation='{h}'\ninsecure=true\n" for h in hosts))
        with opened() as registries:
            for host in hosts:
                assert resolved(registries, host)
            # it is written to in the same way
            place = Reference.parse(f"{secure.host}/{REPO}:2")
            assert registries.repository(place, mirrored=False).resolve("1")
        conf.write_text(f"[[registry]]\nlocation='{fake.host}'\nblocked=true\n")
        with opened() as registries, pytest.raises(InvalidInput, match="blocked"):
            registries.repository(Reference.parse(f"{fake.host}/{REPO}:2"), mirrored=False)


def test_ca_certificates_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent, bad = tmp_path / "no", tmp_path / "bad.pem"
    bad.write_text("nonsense")
    with pytest.raises(InvalidInput, match="no CA certificates"):
        RegistryClient(Endpoint("h.example"), RegistryOptions(ca_file=absent))
    monkeypatch.setenv("SSL_CERT_FILE", str(absent))
    with pytest.raises(InvalidInput, match="no CA certificates"):
        RegistryClient(Endpoint("h.example"), RegistryOptions())
    with pytest.raises(InvalidInput, match="no CA certificates"):
        RegistryClient(Endpoint("h.example"), RegistryOptions(ca_file=bad))
    bad.write_text("-----BEGIN CERTIFICATE-----\nnonsense")
    with certificate(tmp_path) as (context, _), FakeRegistry(tls=context) as fake:
        client = RegistryClient(Endpoint(fake.host), RegistryOptions(ca_file=bad))
        with pytest.raises(RegistryError, match="TLS fails") as caught:
            client.do_request(client.url(f"{fake.host}/v2/"))
        assert not caught.value.temporary
        client.close()


def test_tls_to_a_server_without_it(fake: FakeRegistry) -> None:
    with over_tls(fake.host, None) as repository, pytest.raises(RegistryError, match="TLS fails"):
        repository.resolve("1")


def test_tls_is_never_left(tmp_path: Path) -> None:
    with certificate(tmp_path) as (context, ca_file), FakeRegistry(tls=context) as fake:
        fake.add_blob(REPO, BLOB)
        fake.redirect_blobs = f"http://{fake.host}"
        with over_tls(fake.host, ca_file) as repository:
            with pytest.raises(RegistryError, match="leaves TLS"):
                read_document(repository, descriptor(BLOB))
            fake.location = lambda path: f"http://{fake.host}{path}"
            with pytest.raises(RegistryError, match="leaves TLS"):
                repository.put(descriptor(b"x"), held(b"x"))


# proxies


def test_a_proxy_is_used_for_others_and_never_for_ourselves(
    fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with FakeRegistry() as proxy:
        monkeypatch.setenv("http_proxy", f"http://user:canary@{proxy.host}")
        proxy.once("HEAD", "manifests", error(404, "MANIFEST_UNKNOWN"))
        options = RegistryOptions(plain_http=frozenset({"r.example"}), limits=QUICK)
        with Registries(options) as registries:
            assert at(registries, fake.host).resolve("1")
            assert not at(registries, "r.example").has(Descriptor(
                media_type=OCI_INDEX, digest=Digest.of(b""), size=0))  # fmt: skip
        (request,) = proxy.log
        assert request.target.startswith("http://r.example/v2/team/app/manifests/")
        assert "proxy-authorization" in request.headers
        assert "proxy-authorization" not in fake.log[0].headers


# threads, memory, silence


@pytest.mark.parametrize(
    "place",
    [
        "http://:80",
        "http://127.0.0.1:99999",
        "http://[::1",
        "gopher://h",
        "socks5://h",
        "http://a..b",
    ],
)
def test_a_proxy_that_is_none_is_said_at_once(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", place.replace("//", "//user:secret@"))
    monkeypatch.delenv("http_proxy", raising=False)
    options = RegistryOptions(plain_http=frozenset({"registry.example"}))
    with Registries(options, clock=FakeClock()) as registries:
        repository = registries.repository(Reference.parse("registry.example/team/app:1"))
        with pytest.raises(RegistryError, match="the proxy cannot be used") as caught:
            repository.resolve("1")
    assert not caught.value.temporary
    assert "HTTP_PROXY" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_many_threads_read_and_write(fake: FakeRegistry, registries: Registries) -> None:
    blobs = [bytes([n]) * 300_000 for n in range(24)]
    repository = at(registries, fake.host)

    def there_and_back(data: bytes) -> bool:
        repository.put(descriptor(data), held(data))
        return read_document(repository, descriptor(data)) == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, blobs))
    assert fake.connections_made <= 8


def test_a_closed_registry_can_be_used_again(fake: FakeRegistry) -> None:
    registries = Registries()
    repository = at(registries, fake.host)
    repository.resolve("1")
    registries.close()
    repository.resolve("1")
    registries.close()
    assert fake.connections_made == 2


def test_one_client_serves_an_origin(fake: FakeRegistry, registries: Registries) -> None:
    clients = {id(at(registries, fake.host).__dict__["_client"]) for _ in range(3)}
    assert len(clients) == 1


def test_nothing_of_ours_is_logged(
    fake: FakeRegistry, registries: Registries, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    at(registries, fake.host).resolve("1")
    assert not [r for r in caplog.records if r.name.startswith(("layersmith", "oras"))]
