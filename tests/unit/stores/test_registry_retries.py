"""Failures that pass are outlived; those that stay are told at once."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor
from tests.fakes.registry import Drop, FakeRegistry, Reply, error

from layersmith.errors import LayersmithError, NotFound, RegistryError, Unauthorized
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.clock import FakeClock

    from layersmith.stores.registry_repository import RegistryRepository

RAW = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
BLOB = bytes(range(256)) * 4096
REPO = "team/app"
PASSING = [408, 425, 429, 499, 500, 502, 503, 504, 522]
STAYING = [400, 401, 403, 404, 410, 501]


@pytest.fixture
def fake(docker_config: Path) -> Iterator[FakeRegistry]:
    with FakeRegistry(tokens=True, basic=("u", "p")) as registry:
        (docker_config / "config.json").write_text(
            json.dumps({"auths": {registry.host: {"username": "u", "password": "p"}}})
        )
        registry.add_manifest(REPO, RAW, OCI_INDEX, "3")
        registry.add_blob(REPO, BLOB)
        yield registry


def everything(repository: RegistryRepository) -> None:
    """Make a request of every kind that may simply be sent again."""
    top = repository.resolve("3")
    assert read_document(repository, top) == RAW
    assert read_document(repository, descriptor(BLOB)) == BLOB
    assert not repository.has(descriptor(b"absent"))
    repository.put(descriptor(RAW + b" ", OCI_MANIFEST), held(RAW + b" "))
    repository.tag("4", descriptor(RAW + b" ", OCI_MANIFEST))


KINDS = [("HEAD", "manifests"), ("GET", "manifests"), ("GET", "blobs"), ("HEAD", "blobs"),
         ("PUT", "manifests"), ("GET", "/token")]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
@pytest.mark.parametrize("status", PASSING)
def test_a_status_that_passes_is_outlived(
    fake: FakeRegistry, repository: RegistryRepository, kind: tuple[str, str], status: int
) -> None:
    fake.once(*kind, error(status, "UNAVAILABLE"), times=2)
    everything(repository)
    assert fake.tags[REPO]["4"] == Digest.of(RAW + b" ")


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
@pytest.mark.parametrize("drop", [Drop(), Drop(reset=True), Drop(acted=True)], ids=repr)
def test_a_connection_that_breaks_is_outlived(
    fake: FakeRegistry, repository: RegistryRepository, kind: tuple[str, str], drop: Drop
) -> None:
    fake.once(*kind, drop, times=3)
    everything(repository)
    assert fake.tags[REPO]["4"] == Digest.of(RAW + b" ")


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
@pytest.mark.parametrize("status", STAYING)
def test_what_stays_is_told_at_once(
    fake: FakeRegistry,
    repository: RegistryRepository,
    clock: FakeClock,
    kind: tuple[str, str],
    status: int,
) -> None:
    if kind[0] == "HEAD" and status in (404, 501):
        pytest.skip("an answer, and a reason to ask otherwise")
    fake.always(*kind, error(status, "DENIED"))
    with pytest.raises((RegistryError, NotFound, Unauthorized)) as caught:
        everything(repository)
    assert clock.passed == 0
    assert caught.value.hint or status in (400, 410, 501)


def test_a_host_that_always_fails_ends_in_an_error(
    fake: FakeRegistry, repository: RegistryRepository, clock: FakeClock
) -> None:
    fake.always("HEAD", "manifests", error(503, "UNAVAILABLE", "come back"))
    with pytest.raises(RegistryError, match="answers 503") as caught:
        repository.resolve("3")
    assert caught.value.temporary
    assert clock.passed < 180
    assert fake.counts()["HEAD manifests"] == 20
    assert not fake.tags[REPO].get("4")


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(
    fake: FakeRegistry, repository: RegistryRepository, clock: FakeClock, form: str
) -> None:
    value = "40" if form == "seconds" else formatdate(clock.today() + 41, usegmt=True)
    fake.once("HEAD", "manifests", error(429, "TOOMANYREQUESTS", **{"Retry-After": value}))
    repository.resolve("3")
    assert 40 <= clock.passed < 42


def test_a_token_server_is_given_time_too(
    fake: FakeRegistry, repository: RegistryRepository, clock: FakeClock
) -> None:
    fake.once("GET", "/token", error(429, "TOOMANYREQUESTS", **{"Retry-After": "9"}))
    repository.resolve("3")
    assert 9 <= clock.passed < 10


def test_storage_behind_a_redirect_is_asked_again_through_the_registry(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    with FakeRegistry() as storage:
        storage.add_blob("x", BLOB)
        fake.redirect_blobs = storage.url
        storage.once("GET", "storage", error(503, "SlowDown"))
        assert read_document(repository, descriptor(BLOB)) == BLOB
        assert len(storage.log) == 2
        assert not any(r.authorization for r in storage.log)
    assert [r.method for r in fake.log if r.path.startswith("/v2/team/app/blobs")][-2:] == [
        "GET",
        "GET",
    ]


def test_a_post_that_opens_a_session_is_sent_again(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("POST", "uploads", error(502, "UNAVAILABLE"))
    fake.once("POST", "uploads", Reply(503, {"Retry-After": "1"}, b"<html>"))
    repository.put(descriptor(b"new"), held(b"new"))
    assert fake.blobs[REPO][Digest.of(b"new")] == b"new"


def test_errors_are_ours(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.always("GET", "/token", Reply(503, {"Retry-After": "x" * 9000}))
    with pytest.raises(LayersmithError) as caught:
        repository.resolve("3")
    assert str(caught.value).isprintable()
