"""Uploads that go wrong on the way: lost sessions, lost answers, registries that want chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor
from tests.fakes.clock import FakeClock
from tests.fakes.registry import Drop, FakeRegistry, Instead, Reply, Request, error

from layersmith.errors import (
    LayersmithError,
    MissingContent,
    NotFound,
    RegistryError,
    Unauthorized,
    VerificationError,
)
from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

MIB = 1 << 20
BLOB = bytes(range(256)) * 4096 * 9  # 9 MiB: three chunks
REPO = "team/app"
WHAT = Digest.of(BLOB)


@pytest.fixture
def fake(docker_config: Path) -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def limits() -> Limits:
    return Limits(connect=2, read=2)


def put(repository: RegistryRepository, data: bytes = BLOB) -> None:
    repository.put(descriptor(data), held(data))


def methods(fake: FakeRegistry) -> list[str]:
    return [request.method for request in fake.log]


# sessions and answers that get lost


@pytest.mark.parametrize("status", [404, 410, 416])
def test_a_lost_session_is_replaced(
    fake: FakeRegistry, repository: RegistryRepository, clock: FakeClock, status: int
) -> None:
    fake.once("PUT", "uploads", Instead(lambda _: error(status, "BLOB_UPLOAD_UNKNOWN")), times=3)
    put(repository)
    assert fake.blobs[REPO] == {WHAT: BLOB}
    assert methods(fake) == ["POST", "PUT", *["HEAD", "POST", "PUT"] * 3]
    assert clock.passed == 0


def test_sessions_are_not_lost_for_ever(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.always("PUT", "uploads", Instead(lambda _: error(404, "BLOB_UPLOAD_UNKNOWN")))
    with pytest.raises(RegistryError, match="BLOB_UPLOAD_UNKNOWN"):
        put(repository)
    assert fake.counts()["PUT uploads"] == 4


@pytest.mark.parametrize(
    "lost",
    [Drop(acted=True), Drop(acted=True, reset=True), lambda _: error(404, "BLOB_UPLOAD_UNKNOWN")],
    ids=["closed", "reset", "404"],
)
def test_a_lost_201_is_found(
    fake: FakeRegistry, repository: RegistryRepository, lost: Drop
) -> None:
    fake.once("PUT", "uploads", lost)
    put(repository)
    assert methods(fake) == ["POST", "PUT", "HEAD"]
    assert fake.blobs[REPO] == {WHAT: BLOB}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 429])
def test_a_session_is_used_again_after_an_answer_that_passes(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    fake.once("PUT", "uploads", error(status, "UNAVAILABLE"), times=3)
    put(repository)
    assert methods(fake) == ["POST", "PUT", "PUT", "PUT", "PUT"]


def test_what_a_failed_put_left_behind_costs_the_session_only(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("PUT", "uploads", error(500, "UNKNOWN"))
    fake.once("PUT", "uploads", Instead(lambda _: error(400, "DIGEST_INVALID")))
    put(repository)
    assert methods(fake) == ["POST", "PUT", "PUT", "HEAD", "POST", "PUT"]


def test_the_session_of_a_mount_may_be_lost_too(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.mounts = False
    fake.add_blob("library/base", BLOB)
    base = Reference.parse(f"{fake.host}/library/base:1")
    assert not repository.mount(descriptor(BLOB), base)
    fake.uploads.clear()
    put(repository)
    assert methods(fake) == ["POST", "PUT", "HEAD", "POST", "PUT"]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, RegistryError), (401, Unauthorized), (403, Unauthorized)]
)
def test_what_cannot_succeed_is_sent_once(
    fake: FakeRegistry, repository: RegistryRepository, status: int, kind: type[LayersmithError]
) -> None:
    fake.always("PUT", "uploads", error(status, "DENIED"))
    with pytest.raises(kind):
        put(repository)
    assert methods(fake) == ["POST", "PUT"]


def test_wrong_bytes_are_not_tried_again(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    with pytest.raises(VerificationError):
        repository.put(descriptor(BLOB), held(BLOB[:-1] + b"x"))
    assert fake.counts()["POST uploads"] == 1
    assert not fake.blobs


def test_progress_never_counts_twice(fake: FakeRegistry) -> None:
    told = []

    class Told:
        def advance(self, task: str, done: int, total: int) -> None:
            if total:
                told.append(done)

    fake.once("PUT", "uploads", error(503, "UNAVAILABLE"), times=2)
    with Registries(RegistryOptions(), Told(), FakeClock()) as registries:
        put(registries.repository(Reference.parse(f"{fake.host}/{REPO}:1")))
    assert sum(told) == len(BLOB)


def test_abandoning_does_not_wait_for_a_host_that_is_gone(
    fake: FakeRegistry, repository: RegistryRepository, clock: FakeClock
) -> None:
    fake.mounts = False
    assert not repository.mount(descriptor(BLOB), Reference.parse(f"{fake.host}/library/base:1"))
    fake.always("DELETE", "uploads", error(503, "UNAVAILABLE"))
    repository.abandon()
    assert clock.passed == 0


# chunks


def patches(fake: FakeRegistry) -> list[str]:
    return [r.headers["content-range"] for r in fake.log if r.method == "PATCH"]


@pytest.mark.parametrize("status", [405, 411, 413, 501])
def test_a_registry_that_takes_no_whole_blob_gets_chunks(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    fake.once("PUT", "uploads", Instead(lambda _: error(status, "UNSUPPORTED")))
    put(repository)
    assert fake.blobs[REPO] == {WHAT: BLOB}
    assert patches(fake) == ["0-4194303", "4194304-8388607", "8388608-9437183"]
    assert len(fake.log[-1].body) == 0
    assert fake.log[-1].headers["content-length"] == "0"
    fake.log.clear()
    other = BLOB + b"x"
    put(repository, other)  # remembered: no blob is sent in vain
    assert methods(fake) == ["POST", "PATCH", "PATCH", "PATCH", "PUT"]


def test_a_registry_that_names_a_least_chunk_gets_chunks(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.least_chunk = 8 * MIB
    put(repository)
    assert patches(fake) == ["0-8388607", "8388608-9437183"]
    put(repository, b"")
    put(repository, b"x")
    assert set(fake.blobs[REPO].values()) == {BLOB, b"", b"x"}


def test_an_absurd_least_chunk_is_an_error(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.least_chunk = 1 << 35
    with pytest.raises(RegistryError, match="chunks of 34359738368 bytes"):
        put(repository)


def test_chunks_become_smaller_where_they_must(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.largest_body = MIB
    put(repository)
    assert fake.blobs[REPO] == {WHAT: BLOB}
    assert patches(fake)[:2] == ["0-4194303", "0-1048575"]
    fake.largest_body = 1000
    with pytest.raises(RegistryError, match="413"):
        put(repository, BLOB + b"x")


@pytest.mark.parametrize("status", [405, 413, 501])
def test_a_refused_chunk_of_the_least_size_is_not_sent_in_larger_ones(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    fake.least_chunk = 1000
    fake.once("PATCH", "uploads", error(status, "UNSUPPORTED"))
    with pytest.raises(RegistryError, match=str(status)):
        put(repository)
    assert patches(fake) == ["0-999"]


@pytest.mark.parametrize(
    "fault",
    [error(500, "UNKNOWN"), error(416, "RANGE_INVALID"), Drop(), Drop(acted=True),
     Drop(acted=True, reset=True), lambda _: error(502, "UNKNOWN"), error(429, "TOOMANYREQUESTS")],
    ids=["500", "416", "closed", "closed after", "reset after", "502 after", "429"],
)  # fmt: skip
def test_a_chunk_goes_on_from_where_the_registry_is(
    fake: FakeRegistry, repository: RegistryRepository, fault: Drop
) -> None:
    fake.least_chunk = 4 * MIB
    fake.once(
        "PATCH",
        "uploads",
        Instead(lambda r: fake._uploads_patch(r, REPO, r.path.rpartition("/")[2])),
    )
    fake.once("PATCH", "uploads", fault, times=3)
    put(repository)
    assert fake.blobs[REPO] == {WHAT: BLOB}
    assert fake.sessions_opened == 1
    assert fake.counts()["GET uploads"] >= 1


def test_a_registry_may_have_taken_part_of_a_chunk(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    def half(request: Request) -> Reply:
        session = request.path.rpartition("/")[2]
        fake.chunks[session] += request.body[:1000]
        return fake._at(202, REPO, session)

    fake.least_chunk = 4 * MIB
    fake.once("PATCH", "uploads", Instead(half))
    put(repository)
    assert patches(fake)[:2] == ["0-4194303", "1000-4194303"]
    assert fake.blobs[REPO] == {WHAT: BLOB}


def test_a_session_that_loses_chunks_is_replaced(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    def forgetful(request: Request) -> Reply:
        fake.chunks[request.path.rpartition("/")[2]] = b"xy"
        return fake._at(416, REPO, request.path.rpartition("/")[2])

    fake.least_chunk = 4 * MIB
    fake.once(
        "PATCH",
        "uploads",
        Instead(lambda r: fake._uploads_patch(r, REPO, r.path.rpartition("/")[2])),
    )
    fake.once("PATCH", "uploads", Instead(forgetful))
    put(repository)
    assert fake.sessions_opened == 2
    assert fake.blobs[REPO] == {WHAT: BLOB}


def test_a_session_lost_between_chunks_is_replaced(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    def vanished(_: Request) -> Reply:
        fake.uploads.clear()
        return error(404, "BLOB_UPLOAD_UNKNOWN")

    fake.least_chunk = 4 * MIB
    fake.once("PATCH", "uploads", Instead(vanished))
    put(repository)
    assert fake.sessions_opened == 2
    assert fake.blobs[REPO] == {WHAT: BLOB}


@pytest.mark.parametrize(
    "fault", [error(503, "UNAVAILABLE"), Drop(acted=True)], ids=["503", "lost"]
)
def test_the_end_of_a_chunked_upload_may_fail_too(
    fake: FakeRegistry, repository: RegistryRepository, fault: Drop
) -> None:
    fake.least_chunk = 4 * MIB
    fake.once("PUT", "uploads", fault)
    put(repository)
    assert fake.blobs[REPO] == {WHAT: BLOB}
    assert fake.sessions_opened == 1


def test_a_link_that_breaks_every_put_gets_chunks(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("PUT", "uploads", Drop(reset=True), times=2)
    put(repository)
    assert fake.counts()["PATCH uploads"] == 3
    assert fake.blobs[REPO] == {WHAT: BLOB}


def test_wrong_bytes_are_not_closed_in_chunks_either(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.least_chunk = 4 * MIB
    with pytest.raises(VerificationError):
        repository.put(descriptor(BLOB), held(BLOB[:-1] + b"x"))
    assert fake.counts()["PUT uploads"] == 0
    assert not fake.blobs


# manifests


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("code", ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"])
def test_a_manifest_whose_content_is_missing_is_told_apart(
    fake: FakeRegistry, repository: RegistryRepository, status: int, code: str
) -> None:
    fake.once("PUT", "manifests", error(status, code, "it is gone"))
    with pytest.raises(MissingContent, match="it is gone"):
        repository.put(descriptor(b"{}", OCI_MANIFEST), held(b"{}"))
    assert len(fake.log) == 1


def test_a_manifest_with_another_fault_is_not(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("PUT", "manifests", error(404, "NAME_UNKNOWN"))
    with pytest.raises(NotFound):
        repository.put(descriptor(b"{}", OCI_MANIFEST), held(b"{}"))
