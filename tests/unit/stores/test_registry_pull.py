"""Reading from a registry: what is asked, what is believed, what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor
from tests.fakes.clock import FakeClock
from tests.fakes.registry import Drop, FakeRegistry, Reply, error

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    LayersmithError,
    NotFound,
    RegistryError,
    SizeMismatch,
    StoreError,
    Unauthorized,
)
from layersmith.oci.content import read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

RAW = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
BLOB = bytes(range(256)) * 4096
REPO = "library/python"


@pytest.fixture
def fake(docker_config: Path) -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        registry.add_manifest(REPO, RAW, OCI_INDEX, "3")
        registry.add_blob(REPO, BLOB)
        yield registry


@pytest.fixture
def repository(fake: FakeRegistry) -> Iterator[RegistryRepository]:
    options = RegistryOptions(limits=Limits(connect=2, read=1))
    with Registries(options, clock=FakeClock()) as registries:
        yield registries.repository(Reference.parse(f"{fake.host}/{REPO}:3"))


def read(repository: RegistryRepository, data: bytes = BLOB, kind: str = OCI_LAYER) -> bytes:
    with repository.open(descriptor(data, kind)) as stream:
        return b"".join(iter(lambda: stream.read(100_000), b""))


# resolving


def test_a_tag_is_resolved_with_one_head(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    assert repository.resolve("3") == descriptor(RAW, OCI_INDEX)
    (request,) = fake.log
    assert (request.method, request.path) == ("HEAD", f"/v2/{REPO}/manifests/3")
    accepted = request.headers["accept"].split(", ")
    assert len(accepted) == 4
    assert {OCI_INDEX, OCI_MANIFEST} <= set(accepted)
    assert request.headers["accept-encoding"] == "identity"
    assert not request.authorization


@pytest.mark.parametrize(
    "action",
    [
        error(405, "UNSUPPORTED"),
        error(501, "UNSUPPORTED"),
        lambda reply: reply.header("Docker-Content-Digest", None),
        lambda reply: reply.header("Docker-Content-Digest", "md5:abc"),
        lambda reply: reply.header("Content-Type", "text/plain"),
        lambda reply: Reply(200, {**reply.headers, "Content-Length": "9" * 5000}, b"", -1),
    ],
    ids=["405", "501", "no digest", "bad digest", "other type", "huge length"],
)
def test_where_head_is_not_enough_get_is_and_its_bytes_are_kept(
    fake: FakeRegistry, repository: RegistryRepository, action: Reply
) -> None:
    fake.once("HEAD", "manifests", action)
    found = repository.resolve("3")
    assert found == descriptor(RAW, OCI_INDEX)
    assert read_document(repository, found) == RAW
    assert fake.counts() == {"HEAD manifests": 1, "GET manifests": 1}


@pytest.mark.parametrize("said", ["text/html; charset=utf-8", "application/json", None])
def test_an_answer_of_no_known_type_is_refused(
    fake: FakeRegistry, repository: RegistryRepository, said: str | None
) -> None:
    for method in ("HEAD", "GET"):
        fake.once(method, "manifests", lambda reply: reply.header("Content-Type", said))
    with pytest.raises(DocumentError, match="is not an image's"):
        repository.resolve("3")


def test_a_type_may_have_parameters(fake: FakeRegistry, repository: RegistryRepository) -> None:
    typed = f"{OCI_INDEX.upper()}; charset=utf-8"
    fake.once("HEAD", "manifests", lambda reply: reply.header("Content-Type", typed))
    assert repository.resolve("3").media_type == OCI_INDEX


def test_a_digest_must_resolve_to_itself(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    other = Digest.of(b"other")
    digest = Digest.of(RAW)
    fake.once("HEAD", "manifests", lambda reply: reply.header("Docker-Content-Digest", other))
    assert repository.resolve(digest) == descriptor(RAW, OCI_INDEX)
    assert fake.counts() == {"HEAD manifests": 1, "GET manifests": 1}
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    fake.always("GET", "manifests", lambda _: Reply(200, {"Content-Type": OCI_INDEX}, b"{}"))
    with pytest.raises(DigestMismatch):
        repository.resolve(digest)


def test_a_computed_digest_that_is_contradicted_is_refused(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    fake.once("GET", "manifests", lambda reply: Reply(200, reply.headers, b"{}"))
    assert repository.resolve("3") == descriptor(RAW, OCI_INDEX)
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    fake.once("GET", "manifests", lambda reply: Reply(200, reply.headers, b"{}"), times=2)
    with pytest.raises(DigestMismatch):
        repository.resolve("3")


def test_a_manifest_without_end_is_not_read(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    huge = Reply(200, {"Content-Type": OCI_INDEX}, bytes(5 << 20), length=1 << 40)
    fake.once("GET", "manifests", huge)
    with pytest.raises(DocumentError, match="more than 4194304 bytes"):
        repository.resolve("3")


def test_a_manifest_cut_off_is_fetched_again_and_never_described(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    fake.once("GET", "manifests", Drop(after=10))
    assert repository.resolve("3") == descriptor(RAW, OCI_INDEX)
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    fake.always("GET", "manifests", Drop(after=10))
    with pytest.raises(RegistryError, match="cut off"):
        repository.resolve("3")


def test_an_encoded_manifest_is_not_described(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    fake.once("GET", "manifests", lambda reply: reply.header("Content-Encoding", "gzip"))
    with pytest.raises(RegistryError, match="Content-Encoding gzip"):
        repository.resolve("3")


@pytest.mark.parametrize(
    "broken", [Drop(after=3), lambda reply: reply.header("Content-Encoding", "gzip")]
)
def test_a_broken_error_body_only_costs_its_text(
    fake: FakeRegistry, repository: RegistryRepository, broken: Drop
) -> None:
    fake.once("GET", "blobs", broken)
    with pytest.raises(NotFound, match=r"the registry answers 404$"):
        read(repository, b"absent")


def test_a_missing_tag_stays_missing_by_get(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("HEAD", "manifests", error(405, "UNSUPPORTED"))
    with pytest.raises(NotFound, match="MANIFEST_UNKNOWN") as caught:
        repository.resolve("4")
    assert "tag" in caught.value.hint


def test_a_tag_that_moves_between_head_and_get_does_no_harm(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    found = repository.resolve("3")
    fake.add_manifest(REPO, b'{"moved": true}', OCI_INDEX, "3")
    assert read_document(repository, found) == RAW


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Unauthorized), (403, Unauthorized), (404, NotFound), (400, RegistryError)],
)
def test_what_cannot_succeed_fails_at_once_and_says_what_to_do(
    fake: FakeRegistry, repository: RegistryRepository, status: int, kind: type[LayersmithError]
) -> None:
    fake.once("HEAD", "manifests", error(status, "DENIED"))
    with pytest.raises(kind) as caught:
        repository.resolve("3")
    assert len(fake.log) == 1
    assert f"{fake.host}/{REPO}" in str(caught.value) or status == 401
    assert caught.value.hint or status == 400


# content


def test_a_blob_is_streamed(fake: FakeRegistry, repository: RegistryRepository) -> None:
    assert read(repository) == BLOB
    assert fake.counts() == {"GET blobs": 1}


def test_a_manifest_is_asked_for_by_its_type(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    assert read(repository, RAW, OCI_INDEX) == RAW
    assert fake.log[0].path == f"/v2/{REPO}/manifests/{Digest.of(RAW)}"
    assert fake.log[0].headers["accept"] == OCI_INDEX


def _body(change: bytes, length: int | None = None) -> Callable[[Reply], Reply]:
    return lambda _: Reply(200, {}, change, length)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (_body(BLOB[:-1] + b"x"), DigestMismatch),
        (_body(BLOB[:-1]), SizeMismatch),
        (_body(BLOB + b"x"), SizeMismatch),
        (_body(BLOB[:-1], -1), SizeMismatch),
        (_body(BLOB + b"x", -1), SizeMismatch),
        (_body(b"", -1), SizeMismatch),
        (_body(BLOB[:999], len(BLOB)), RegistryError),
        (Drop(after=7_000), RegistryError),
        (Drop(after=7_000, reset=True), RegistryError),
        (lambda reply: reply.header("Docker-Content-Digest", Digest.of(b"x")), DigestMismatch),
        (lambda reply: reply.header("Content-Encoding", "gzip"), RegistryError),
        (Reply(204), RegistryError),
        (error(404, "BLOB_UNKNOWN"), NotFound),
        (error(503, "UNAVAILABLE"), RegistryError),
    ],
    ids=[
        "other bytes", "short", "long", "short without length", "long without length",
        "empty without length", "cut off", "closed", "reset", "other digest",
        "content-encoding", "204", "404", "503",
    ],
)  # fmt: skip
def test_a_body_that_is_not_the_blob_never_ends_well(
    fake: FakeRegistry, repository: RegistryRepository, action: Reply, kind: type[LayersmithError]
) -> None:
    fake.always("GET", "blobs", action)
    with pytest.raises(kind):
        read(repository)
    fake.forgive()
    assert read(repository) == BLOB


@pytest.mark.parametrize("other", [Digest.of(b"x", "sha512"), "md5:abc", "nonsense", ""])
def test_a_digest_that_cannot_be_compared_says_nothing(
    fake: FakeRegistry, repository: RegistryRepository, other: str
) -> None:
    fake.once("GET", "blobs", lambda reply: reply.header("Docker-Content-Digest", other))
    assert read(repository) == BLOB


def test_sha512_content_is_verified_too(repository: RegistryRepository, fake: FakeRegistry) -> None:
    digest = Digest.of(BLOB, "sha512")
    fake.blobs[REPO][digest] = BLOB
    wanted = Descriptor(media_type=OCI_LAYER, digest=digest, size=len(BLOB))
    assert read_document(repository, wanted) == BLOB


def test_an_empty_blob(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.add_blob(REPO, b"")
    assert read(repository, b"") == b""


def test_a_stream_may_be_left_early(fake: FakeRegistry, repository: RegistryRepository) -> None:
    with repository.open(descriptor(BLOB)) as stream:
        assert stream.read(10) == BLOB[:10]
    assert read(repository) == BLOB
    assert len(fake.log) == 2


def test_an_oversized_manifest_is_not_fetched(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    huge = Descriptor(media_type=OCI_INDEX, digest=Digest.of(RAW), size=5 << 20)
    with pytest.raises(DocumentError), repository.open(huge):
        pass
    assert not fake.log


def test_wrong_bytes_of_a_manifest_are_fetched_once_more(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    wrong = _body(RAW[:-1] + b" ")
    fake.once("GET", "manifests", wrong)
    assert read(repository, RAW, OCI_INDEX) == RAW
    assert read(repository, RAW, OCI_INDEX) == RAW
    assert fake.counts() == {"GET manifests": 2}


def test_a_manifest_sent_as_another_type_is_refused(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("GET", "manifests", lambda reply: reply.header("Content-Type", OCI_MANIFEST))
    with pytest.raises(DocumentError, match="ambiguous"):
        read(repository, RAW, OCI_INDEX)


def test_has(fake: FakeRegistry, repository: RegistryRepository) -> None:
    assert repository.has(descriptor(BLOB))
    assert repository.has(descriptor(RAW, OCI_INDEX))
    assert not repository.has(descriptor(b"absent"))
    assert not repository.has(
        Descriptor(media_type=OCI_LAYER, digest=Digest.of(BLOB), size=len(BLOB) + 1)
    )
    fake.once("HEAD", "blobs", error(405, "UNSUPPORTED"))
    assert repository.has(descriptor(BLOB))
    fake.once("HEAD", "blobs", error(405, "UNSUPPORTED"))
    assert not repository.has(descriptor(b"absent"))
    fake.always("HEAD", "blobs", error(500, "UNKNOWN"))
    with pytest.raises(RegistryError) as caught:
        repository.has(descriptor(BLOB))
    assert caught.value.temporary


# messages


def test_a_registrys_text_is_bounded_clean_and_redacted(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    text = "\x1b[31mgo to https://u:p@h/x?sig=SECRET\r\n" + "x" * 100_000
    fake.once("GET", "blobs", error(400, "NAME\x07INVALID", text[:30_000]))
    with pytest.raises(RegistryError) as caught:
        read(repository)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 700
    assert "SECRET" not in message
    assert "u:p" not in message
    assert "https://h/x" in message
    assert caught.value.status == 400
    assert not caught.value.temporary


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"errors": {}}', b'{"errors": [1, null]}', b'{"errors":[{"code":1}]}',
     b"\xff\xfe", b"[" * 100_000, bytes(1 << 20)],
)  # fmt: skip
def test_any_error_body_makes_a_plain_error(
    fake: FakeRegistry, repository: RegistryRepository, body: bytes
) -> None:
    fake.always("GET", "blobs", Reply(500, {}, body))
    with pytest.raises(RegistryError, match="the registry answers 500") as caught:
        read(repository)
    assert (caught.value.status, caught.value.code) == (500, "")


def test_names(repository: RegistryRepository, fake: FakeRegistry) -> None:
    assert repository.name == f"{fake.host}/{REPO}"
    assert repository.name in repr(repository)


def test_a_mirror_is_asked_in_the_registrys_place(fake: FakeRegistry) -> None:
    fake.add_manifest("hub/library/python", RAW, OCI_INDEX, "3")
    options = RegistryOptions(mirrors={"docker.io": f"{fake.host}/hub"})
    with Registries(options) as registries:
        repository = registries.repository(Reference.parse("python:3"))
        assert read_document(repository, repository.resolve("3")) == RAW
        assert repository.name == "docker.io/library/python"
        with pytest.raises(NotFound, match=rf"docker\.io/library/python \(at {fake.url}\)"):
            repository.resolve("4")
    assert {request.path.rpartition("/")[0] for request in fake.log} == {
        "/v2/hub/library/python/manifests"
    }


def test_two_mirrors_on_one_host_keep_their_prefixes(fake: FakeRegistry) -> None:
    fake.add_manifest("hub/library/python", RAW, OCI_INDEX, "3")
    fake.add_manifest("google/distroless/cc", RAW, OCI_INDEX, "3")
    mirrors = {"docker.io": f"{fake.host}/hub", "gcr.io": f"{fake.host}/google"}
    with Registries(RegistryOptions(mirrors=mirrors)) as registries:
        for name in ("python", "gcr.io/distroless/cc"):
            repository = registries.repository(Reference.parse(name))
            assert read_document(repository, repository.resolve("3")) == RAW
    assert {request.path.split("/")[2] for request in fake.log} == {"hub", "google"}


def test_mirrors_are_not_written_to(fake: FakeRegistry) -> None:
    options = RegistryOptions(mirrors={"localhost:1": fake.host})
    with Registries(options, clock=FakeClock()) as registries:
        repository = registries.repository(Reference.parse("localhost:1/team/x"), mirrored=False)
        with pytest.raises(StoreError, match="localhost:1"):
            repository.resolve("3")
    assert not fake.log


def test_progress_is_told_of_every_byte(fake: FakeRegistry) -> None:
    told: list[tuple[str, int, int]] = []

    class Told:
        def advance(self, task: str, done: int, total: int) -> None:
            told.append((task, done, total))

    with Registries(RegistryOptions(), Told()) as registries:
        read(registries.repository(Reference.parse(f"{fake.host}/{REPO}:3")))
    assert sum(done for _, done, _ in told) == len(BLOB)
    assert {total for _, _, total in told} == {len(BLOB)}
