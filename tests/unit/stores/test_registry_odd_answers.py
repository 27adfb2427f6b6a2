"""Answers that are lost, or that somebody else gave: what happened is looked up, not guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor
from tests.fakes.registry import Drop, FakeRegistry, Reply, digest_of, error

from layersmith.errors import DigestMismatch, LayersmithError, RegistryError
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX
from layersmith.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.registry import Action

    from layersmith.stores.registry_repository import RegistryRepository

RAW = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
BLOB = b"blob" * 1000
REPO = "team/app"
PORTAL = Reply(200, {"Content-Type": "text/html"}, b"<h1>Sign in</h1>")
OTHER_DIGEST: Action = lambda reply: reply.header(  # noqa: E731 - a value, like the others
    "Docker-Content-Digest", digest_of(b"x")
)


TOP = descriptor(RAW, OCI_INDEX)


@pytest.fixture
def fake(docker_config: Path) -> Iterator[FakeRegistry]:
    with FakeRegistry(tokens=True, basic=("u", "p")) as registry:
        login = {"auths": {registry.host: {"username": "u", "password": "p"}}}
        (docker_config / "config.json").write_text(json.dumps(login))
        registry.add_manifest(REPO, RAW, OCI_INDEX, "1")
        yield registry


@pytest.mark.parametrize("lost", [Drop(reset=True, acted=True), OTHER_DIGEST])
def test_a_tag_that_was_written_is_written_whatever_the_answer(
    fake: FakeRegistry, repository: RegistryRepository, lost: Action
) -> None:
    fake.always("PUT", "manifests/2", lost)
    repository.tag("2", TOP)
    assert fake.tags[REPO]["2"] == TOP.digest


@pytest.mark.parametrize("answer", [PORTAL, Drop(reset=True), error(503, "UNAVAILABLE")])
def test_a_tag_that_was_not_written_is_an_error(
    fake: FakeRegistry, repository: RegistryRepository, answer: Action
) -> None:
    fake.always("PUT", "manifests/2", answer)
    with pytest.raises(RegistryError, match="writing the manifest 2: "):
        repository.tag("2", TOP)
    assert "2" not in fake.tags[REPO]


def test_nobody_asks_whether_a_refused_tag_is_there(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("PUT", "manifests/2", error(400, "MANIFEST_INVALID"))
    with pytest.raises(RegistryError, match="400"):
        repository.tag("2", TOP)
    assert not [r for r in fake.log if r.path.endswith("/2") and r.method == "HEAD"]


def test_a_manifest_of_another_digest_is_an_error(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.always("PUT", "manifests", OTHER_DIGEST)
    fake.always("HEAD", "manifests", OTHER_DIGEST)
    with pytest.raises(DigestMismatch):
        repository.put(TOP, held(RAW))


@pytest.mark.parametrize("chunk", [0, 1024])
@pytest.mark.parametrize("answer", [PORTAL, Reply(204), Reply(202)])
def test_only_201_ends_an_upload(
    fake: FakeRegistry, repository: RegistryRepository, answer: Reply, chunk: int
) -> None:
    fake.least_chunk = chunk
    fake.once("PUT", "uploads", answer)
    repository.put(descriptor(BLOB), held(BLOB))
    assert fake.blobs[REPO][Digest.of(BLOB)] == BLOB
    fake.always("PUT", "uploads", answer)
    with pytest.raises(LayersmithError, match=str(answer.status)):
        repository.put(descriptor(BLOB + b"x"), held(BLOB + b"x"))


@pytest.mark.parametrize("chunk", [0, 1024])
def test_a_blob_that_is_there_is_there_whatever_the_answer(
    fake: FakeRegistry, repository: RegistryRepository, chunk: int
) -> None:
    fake.least_chunk = chunk
    fake.always("PUT", "uploads", OTHER_DIGEST)
    repository.put(descriptor(BLOB), held(BLOB))
    assert fake.counts()["PUT uploads"] == 1
    assert fake.counts()["HEAD blobs"] == 1


def test_a_mount_that_somebody_else_answers_is_no_mount(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("POST", "mount=", PORTAL)
    assert not repository.mount(descriptor(BLOB), Reference.parse(f"{fake.host}/other/app"))


@pytest.mark.parametrize("length", [5 * 1024 * 1024, 2**62])
def test_a_head_of_an_impossible_length_is_not_believed(
    fake: FakeRegistry, repository: RegistryRepository, length: int
) -> None:
    fake.always("HEAD", "manifests", lambda reply: Reply(200, reply.headers, length=length))
    assert repository.resolve("1") == TOP


def test_a_token_server_gets_three_chances(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("GET", "/token", PORTAL)
    assert repository.resolve("1") == TOP
    fake.revoke()
    fake.always("GET", "/token", PORTAL)
    with pytest.raises(RegistryError, match=r"resolving 1: .* for a token: .*not a token"):
        repository.resolve("1")
    assert fake.counts()["GET /token"] == 5


def test_a_token_may_expire_just_when_it_is_new(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    def revoked(_: object) -> None:
        if fake.counts()["HEAD manifests"] in (2, 3):
            fake.revoke()

    fake.weather = revoked
    assert repository.resolve("1") == TOP
    assert fake.counts() == {"HEAD manifests": 4, "GET /token": 3}


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("HEAD", "manifests/1", "resolving 1"),
        ("GET", "manifests/sha256", "fetching sha256:"),
        ("HEAD", "blobs/sha256", "looking for sha256:"),
        ("POST", "uploads", "uploading sha256:"),
        ("PUT", "uploads", "uploading sha256:"),
        ("PUT", "manifests/2", "writing the manifest 2"),
        ("GET", "/token", "resolving 1"),
    ],
)
def test_a_broken_wire_is_told_with_what_was_being_done(
    fake: FakeRegistry, repository: RegistryRepository, method: str, path: str, what: str
) -> None:
    fake.always(method, path, Drop(reset=True))
    with pytest.raises(RegistryError) as caught:
        everything(repository)
    text = caught.value.message
    assert text.startswith(f"{repository.name}: {what}"), text
    assert f"{fake.url}: the connection was closed" in text


def everything(repository: RegistryRepository) -> None:
    assert read_document(repository, repository.resolve("1")) == RAW
    assert not repository.has(descriptor(BLOB))
    repository.put(descriptor(BLOB), held(BLOB))
    repository.tag("2", TOP)
