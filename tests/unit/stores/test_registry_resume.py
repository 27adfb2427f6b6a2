"""Bodies that break off: continued where they broke, and never with other bytes."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor
from tests.fakes.clock import FakeClock
from tests.fakes.registry import Drop, FakeRegistry, Reply, error

from layersmith.errors import DigestMismatch, NotFound, RegistryError, SizeMismatch
from layersmith.oci.content import read_document
from layersmith.oci.reference import Reference
from layersmith.stores.cache import Cache, CachedSource
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

BLOB = bytes(range(256)) * 4096
REPO = "team/app"

pytestmark = pytest.mark.usefixtures("docker_config")


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.add_blob(REPO, BLOB)
        yield registry


def read(repository: RegistryRepository, data: bytes = BLOB) -> bytes:
    return read_document(repository, descriptor(data))


def sent(fake: FakeRegistry) -> list[str]:
    return [request.headers.get("range", "all") for request in fake.log]


@pytest.mark.parametrize("reset", [False, True])
def test_it_goes_on_where_it_broke(
    fake: FakeRegistry, repository: RegistryRepository, reset: bool
) -> None:
    fake.once("GET", "blobs", Drop(after=700_000, reset=reset))
    assert read(repository) == BLOB
    first, second = sent(fake)
    assert first == "all"
    start = int(second.removeprefix("bytes=").rstrip("-"))
    assert reset or start == 700_000
    assert 0 < start <= 700_000


def test_it_goes_on_as_often_as_it_has_to(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    big = BLOB * 8
    fake.add_blob(REPO, big)
    fake.always("GET", "blobs", Drop(after=100_000))
    with repository.open(descriptor(big)) as stream:
        got = b"".join(iter(lambda: stream.read(1 << 18), b""))
    assert got == big
    assert len(fake.log) == -(-len(big) // 100_000)


def test_it_does_not_go_on_without_progress(
    fake: FakeRegistry, repository: RegistryRepository, clock: FakeClock
) -> None:
    fake.always("GET", "blobs", Drop(after=100))
    with pytest.raises(RegistryError, match="cut off"):
        read(repository)
    assert len(fake.log) == 20
    assert clock.passed < 180


def test_a_registry_without_ranges_is_read_again_from_the_start(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.ranges = False
    fake.once("GET", "blobs", Drop(after=700_000))
    fake.once("GET", "blobs", Drop(after=300_000))
    fake.once("GET", "blobs", Drop(after=900_000))
    assert read(repository) == BLOB
    assert sent(fake) == ["all", "bytes=700000-", "bytes=700000-", "bytes=900000-"]


@pytest.mark.parametrize(
    "said",
    [None, "", "bytes 0-1048575/1048576", "bytes 700001-1048575/1048576",
     "bytes 700000-1048574/1048576", "bytes 700000-1048575/1048577", "bytes 700000-/1048576",
     "items 700000-1048575/1048576", "bytes */1048576"],
)  # fmt: skip
def test_another_range_than_asked_for_is_not_used(
    fake: FakeRegistry, repository: RegistryRepository, said: str | None
) -> None:
    fake.once("GET", "blobs", Drop(after=700_000))
    fake.once("GET", "blobs", lambda reply: reply.header("Content-Range", said))
    assert read(repository) == BLOB
    assert sent(fake) == ["all", "bytes=700000-", "all"]


def test_a_range_that_is_refused_is_not_asked_for_again(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("GET", "blobs", Drop(after=700_000))
    fake.once("GET", "blobs", Reply(416))
    fake.once("GET", "blobs", Drop(after=800_000))
    assert read(repository) == BLOB
    assert sent(fake) == ["all", "bytes=700000-", "all", "all"]


def test_other_bytes_in_the_rest_are_found(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("GET", "blobs", Drop(after=700_000))
    fake.once("GET", "blobs", lambda reply: Reply(206, reply.headers, b"x" * len(reply.body)))
    with pytest.raises(DigestMismatch):
        read(repository)


def test_a_part_that_nobody_asked_for_is_refused(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("GET", "blobs", lambda reply: Reply(206, reply.headers, reply.body))
    with pytest.raises(RegistryError, match="answers 206"):
        read(repository)


def test_a_blob_that_vanishes_meanwhile_is_an_error(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("GET", "blobs", Drop(after=700_000))
    fake.once("GET", "blobs", error(404, "BLOB_UNKNOWN"))
    with pytest.raises(NotFound):
        read(repository)


def test_the_rest_may_come_through_a_redirect(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    with FakeRegistry() as storage:
        storage.add_blob("x", BLOB)
        storage.once("GET", "storage", Drop(after=500_000))
        fake.redirect_blobs = storage.url
        assert read(repository) == BLOB
        assert sent(storage) == ["all", "bytes=500000-"]
        assert not any(r.authorization for r in storage.log)


def test_an_answer_without_length_that_ends_early(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("GET", "blobs", lambda reply: Reply(200, reply.headers, reply.body[:1000], -1))
    assert read(repository) == BLOB
    fake.always("GET", "blobs", lambda reply: Reply(200, reply.headers, b"", -1))
    with pytest.raises(SizeMismatch):
        read(repository)


def test_wrong_bytes_are_fetched_once_more_into_the_cache(
    fake: FakeRegistry, repository: RegistryRepository, tmp_path: Path
) -> None:
    def wrong(reply: Reply) -> Reply:
        return Reply(200, reply.headers, reply.body[:-1] + b"x")

    source = CachedSource(repository, Cache(tmp_path))
    fake.once("GET", "blobs", wrong)
    assert read_document(source, descriptor(BLOB)) == BLOB
    assert len(fake.log) == 2
    other = BLOB + b"y"
    fake.add_blob(REPO, other)
    fake.always("GET", "blobs", wrong)
    with pytest.raises(DigestMismatch):
        read_document(source, descriptor(other))
    assert len(fake.log) == 4


# slow peers

QUICK = Limits(connect=1, read=0.3, floor=2000)


@contextmanager
def dripping(head: bytes, body: bytes, interval: float, tail: Callable[[], bytes]) -> Iterator[str]:
    """Send `head`, then `body` byte by byte; after the first connection, `tail()` at once."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        first = True
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65536)
                if not first:
                    connection.sendall(tail())
                    continue
                first = False
                connection.sendall(head)
                for byte in body:
                    if stop.wait(interval):
                        break
                    connection.sendall(bytes([byte]))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def slow(host: str) -> Registries:
    return Registries(RegistryOptions(limits=QUICK), clock=FakeClock())


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"


def test_a_body_that_drips_is_left_and_fetched_anew() -> None:
    data = bytes(1000)
    began = time.monotonic()
    with (
        dripping(WHOLE, data, 0.02, lambda: WHOLE + data) as host,
        slow(host) as registries,
    ):
        assert read(registries.repository(Reference.parse(f"{host}/{REPO}:1")), data) == data
    assert time.monotonic() - began < 2


def test_headers_that_drip_are_left() -> None:
    data = bytes(1000)
    began = time.monotonic()
    with (
        dripping(b"", WHOLE, 0.02, lambda: WHOLE + data) as host,
        slow(host) as registries,
    ):
        assert read(registries.repository(Reference.parse(f"{host}/{REPO}:1")), data) == data
    assert time.monotonic() - began < 2


def test_a_reader_may_take_its_time(fake: FakeRegistry) -> None:
    with Registries(RegistryOptions(limits=QUICK)) as registries:
        repository = registries.repository(Reference.parse(f"{fake.host}/{REPO}:1"))
        with repository.open(descriptor(BLOB)) as stream:
            assert len(stream.read(1000)) == 1000
            time.sleep(0.7)
            rest = b"".join(iter(lambda: stream.read(1 << 18), b""))
    assert len(rest) == len(BLOB) - 1000
    assert len(fake.log) == 1
