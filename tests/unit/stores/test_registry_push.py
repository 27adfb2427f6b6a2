"""Writing to a registry: what is sent where, and what is believed afterwards."""

from __future__ import annotations

import io
import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor
from tests.fakes.registry import Drop, FakeRegistry, Instead, Reply, Request, error

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    InvalidInput,
    LayersmithError,
    NotFound,
    RegistryError,
    SizeMismatch,
    Unauthorized,
    VerificationError,
)
from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_MANIFEST, Descriptor
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

RAW = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST}).encode()
BLOB = bytes(range(256)) * 8192
REPO = "team/app"


def reference(fake: FakeRegistry, name: str = REPO) -> Reference:
    return Reference.parse(f"{fake.host}/{name}:1")


@pytest.fixture
def fake(docker_config: Path) -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def limits() -> Limits:
    return Limits(connect=2, read=2)


def put(repository: RegistryRepository, data: bytes = BLOB) -> None:
    repository.put(descriptor(data), held(data))


class Pipe(AbstractContextManager["Pipe"]):
    """A stream that can only be read, and says how much of it was."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)
        self.largest = 0

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def read(self, size: int = -1, /) -> bytes:
        assert size >= 0, "never read to the end at once"
        self.largest = max(self.largest, size)
        return self._inner.read(size)


# blobs


def test_a_blob_is_posted_and_put(fake: FakeRegistry, repository: RegistryRepository) -> None:
    stream = Pipe(BLOB)
    repository.put(descriptor(BLOB), lambda: stream)
    assert fake.blobs[REPO] == {Digest.of(BLOB): BLOB}
    opened, sent = fake.log
    assert (opened.method, opened.path) == ("POST", f"/v2/{REPO}/blobs/uploads/")
    assert opened.headers["content-length"] == "0"
    assert sent.method == "PUT"
    assert sent.headers["content-length"] == str(len(BLOB))
    assert sent.headers["content-type"] == "application/octet-stream"
    assert "transfer-encoding" not in sent.headers
    assert stream.largest <= 32 * 1024


def test_an_empty_blob(fake: FakeRegistry, repository: RegistryRepository) -> None:
    put(repository, b"")
    assert fake.blobs[REPO] == {Digest.of(b""): b""}
    with pytest.raises(VerificationError):
        repository.put(descriptor(b""), held(b"x"))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (BLOB[:-1] + b"x", DigestMismatch),
        (BLOB[:-1], SizeMismatch),
        (BLOB + b"x", SizeMismatch),
        (b"", SizeMismatch),
    ],
    ids=["other", "short", "long", "empty"],
)
def test_wrong_bytes_never_make_a_whole_request(
    fake: FakeRegistry, repository: RegistryRepository, data: bytes, kind: type[LayersmithError]
) -> None:
    with pytest.raises(kind):
        repository.put(descriptor(BLOB), held(data))
    assert not fake.blobs
    put(repository)
    assert fake.blobs[REPO] == {Digest.of(BLOB): BLOB}


def test_a_location_may_be_relative(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.location = lambda path: path.rpartition("/")[2]
    put(repository)
    assert fake.blobs[REPO]


def test_a_location_may_be_a_url(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.location = lambda path: f"{fake.url}{path}"
    put(repository)
    assert fake.blobs[REPO]


@pytest.mark.parametrize(
    "location", ["", "ftp://h/x", "http://user@h/x", "http://h:99999/x", "/x y", "\\\\h\\x"]
)
def test_a_bad_location_is_refused(
    fake: FakeRegistry, repository: RegistryRepository, location: str
) -> None:
    fake.once("POST", "uploads", Reply(202, {"Location": location}))
    with pytest.raises(RegistryError, match="upload location"):
        put(repository)
    assert [r.method for r in fake.log] == ["POST"]


def test_a_location_that_looks_like_another_host_stays_here(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    for location in ("@evil.example/x", ".evil.example/x"):
        fake.once("POST", "uploads", Reply(202, {"Location": location}), times=4)
        with pytest.raises(NotFound):
            put(repository)
        assert fake.log[-1].path == f"/v2/{REPO}/blobs/uploads/{location}"


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (error(404, "BLOB_UPLOAD_UNKNOWN"), RegistryError),
        (error(404, "NAME_UNKNOWN"), NotFound),
        (error(400, "DIGEST_INVALID"), RegistryError),
        (error(413, "SIZE_INVALID"), RegistryError),
        (error(403, "DENIED"), Unauthorized),
        (Reply(202), RegistryError),
    ],
    ids=["session lost", "404", "400", "413", "403", "202"],
)
def test_only_a_201_counts(
    fake: FakeRegistry,
    repository: RegistryRepository,
    action: Reply,
    kind: type[LayersmithError],
) -> None:
    fake.always("PUT", "uploads", action)
    with pytest.raises(kind):
        put(repository)
    assert len(fake.log) < 25


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirected_post_keeps_its_method(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    moved = f"/v2/{REPO}/blobs/uploads/?moved=1"
    fake.once("POST", "uploads", Reply(status, {"Location": moved}))
    put(repository)
    assert [r.method for r in fake.log] == ["POST", "POST", "PUT"]
    assert fake.log[1].query == {"moved": ["1"]}


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_post_is_never_turned_into_a_get(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    fake.once("POST", "uploads", Reply(status, {"Location": "/elsewhere"}))
    with pytest.raises(RegistryError, match="not followed"):
        put(repository)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirected_body_is_sent_again_from_its_start(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    def moved(request: Request) -> Reply:
        return Reply(status, {"Location": f"{request.target}&moved=1"})

    fake.once("PUT", "uploads", Instead(moved))
    put(repository)
    assert fake.blobs[REPO] == {Digest.of(BLOB): BLOB}
    assert [len(r.body) for r in fake.log] == [0, len(BLOB), len(BLOB)]


def test_a_broken_upload_is_an_error(fake: FakeRegistry, repository: RegistryRepository) -> None:
    fake.always("PUT", "uploads", Drop())
    with pytest.raises(RegistryError) as caught:
        put(repository)
    assert caught.value.temporary
    assert not fake.blobs


# mounts


def test_a_mount_is_believed_after_a_look(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.add_blob("library/base", BLOB)
    assert repository.mount(descriptor(BLOB), reference(fake, "library/base"))
    post, head = fake.log
    assert post.query == {"mount": [Digest.of(BLOB)], "from": ["library/base"]}
    assert head.method == "HEAD"
    assert head.path == f"/v2/{REPO}/blobs/{Digest.of(BLOB)}"


def test_where_an_image_is_already_a_look_comes_first(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    other = descriptor(b"other")
    fake.add_blob(REPO, BLOB)
    fake.add_blob("library/base", b"other")
    fake.add_manifest(REPO, RAW, OCI_MANIFEST, "1")
    assert not repository.stands_for("1", descriptor(b"{}", OCI_MANIFEST))
    fake.log.clear()
    assert repository.mount(descriptor(BLOB), reference(fake, "library/base"))
    assert [r.method for r in fake.log] == ["HEAD"]
    assert repository.mount(other, reference(fake, "library/base"))
    assert [r.method for r in fake.log] == ["HEAD", "HEAD", "POST", "HEAD"]


def test_a_mount_that_is_not_there_is_none(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("POST", "mount=", Reply(201))
    assert not repository.mount(descriptor(BLOB), reference(fake, "library/base"))


def test_the_session_of_a_refused_mount_is_used(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.mounts = False
    fake.add_blob("library/base", BLOB)
    assert not repository.mount(descriptor(BLOB), reference(fake, "library/base"))
    put(repository)
    assert [r.method for r in fake.log] == ["POST", "PUT"]
    put(repository)
    assert [r.method for r in fake.log] == ["POST", "PUT", "POST", "PUT"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_mount_that_is_no_good_falls_back(
    fake: FakeRegistry, repository: RegistryRepository, status: int
) -> None:
    fake.once("POST", "mount=", error(status, "UNSUPPORTED"))
    assert not repository.mount(descriptor(BLOB), reference(fake, "library/base"))


def test_a_mount_that_breaks_is_an_error(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.always("POST", "mount=", error(503, "UNAVAILABLE"))
    with pytest.raises(RegistryError):
        repository.mount(descriptor(BLOB), reference(fake, "library/base"))


def test_abandoning_cancels_the_sessions(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.mounts = False
    assert not repository.mount(descriptor(BLOB), reference(fake, "library/base"))
    assert fake.uploads
    repository.abandon()
    assert not fake.uploads
    repository.abandon()


def test_nothing_is_mounted_from_elsewhere(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    assert not repository.mount(descriptor(BLOB), Reference.parse("localhost:1/library/base"))
    assert not repository.mount(descriptor(RAW, OCI_MANIFEST), reference(fake, "library/base"))
    assert not fake.log
    fake.add_blob(REPO, BLOB)
    assert repository.mount(descriptor(BLOB), reference(fake))
    assert fake.counts() == {"HEAD blobs": 1}


def test_a_mount_from_behind_a_mirror_uses_the_mirrors_path(fake: FakeRegistry) -> None:
    fake.add_blob("hub/library/python", BLOB)
    options = RegistryOptions(mirrors={"docker.io": f"{fake.host}/hub"})
    with Registries(options) as registries:
        repository = registries.repository(reference(fake))
        assert repository.mount(descriptor(BLOB), Reference.parse("python:3"))
    assert fake.log[0].query["from"] == ["hub/library/python"]


# manifests and tags


def test_a_manifest_is_put_by_digest_then_tagged(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    manifest = descriptor(RAW, OCI_MANIFEST)
    repository.put(manifest, held(RAW))
    assert not fake.tags
    repository.tag("v1", manifest)
    assert fake.tags[REPO] == {"v1": manifest.digest}
    assert fake.manifests[REPO] == {manifest.digest: (OCI_MANIFEST, RAW)}
    assert [(r.method, r.path.rpartition("/")[2]) for r in fake.log] == [
        ("PUT", manifest.digest),
        ("PUT", "v1"),
    ]
    assert {r.headers["content-type"] for r in fake.log} == {OCI_MANIFEST}


def test_a_manifest_that_is_there_can_be_tagged(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.add_manifest(REPO, RAW, OCI_MANIFEST, "old")
    repository.tag("new", repository.resolve("old"))
    assert fake.tags[REPO]["new"] == Digest.of(RAW)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "?x", "a" * 129, "sha256:abc"])
def test_nothing_but_a_tag_reaches_a_url(
    fake: FakeRegistry, repository: RegistryRepository, name: str
) -> None:
    fake.add_manifest(REPO, RAW, OCI_MANIFEST)
    with pytest.raises(InvalidInput):
        repository.tag(name, descriptor(RAW, OCI_MANIFEST))
    with pytest.raises(InvalidInput):
        repository.resolve(name)
    assert not fake.log


def test_stands_for(repository: RegistryRepository) -> None:
    manifest = descriptor(RAW, OCI_MANIFEST)
    assert not repository.stands_for("v1", manifest)
    repository.put(manifest, held(RAW))
    repository.tag("v1", manifest)
    assert repository.stands_for("v1", manifest)
    assert not repository.stands_for("v1", descriptor(b"{}", OCI_MANIFEST))


def test_wrong_manifest_bytes_are_not_sent(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    with pytest.raises(DigestMismatch):
        repository.put(descriptor(RAW, OCI_MANIFEST), held(RAW[:-1] + b" "))
    huge = Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(RAW), size=5 << 20)
    with pytest.raises(DocumentError):
        repository.put(huge, held(RAW))
    assert not fake.log


def test_a_manifest_stored_as_another_is_an_error(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    other = Digest.of(b"other")
    fake.always("PUT", "manifests", lambda reply: reply.header("Docker-Content-Digest", other))
    fake.always("HEAD", "manifests", Reply(404))
    with pytest.raises(DigestMismatch):
        repository.put(descriptor(RAW, OCI_MANIFEST), held(RAW))


def test_a_refused_manifest_says_the_registrys_code(
    fake: FakeRegistry, repository: RegistryRepository
) -> None:
    fake.once("PUT", "manifests", error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown"))
    with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN: blob unknown") as caught:
        repository.put(descriptor(RAW, OCI_MANIFEST), held(RAW))
    assert (caught.value.status, caught.value.code) == (400, "MANIFEST_BLOB_UNKNOWN")


def test_kept_manifests_are_bounded(fake: FakeRegistry) -> None:
    options = RegistryOptions(limits=Limits(kept_documents=len(RAW) + 10))
    with Registries(options) as registries:
        repository = registries.repository(reference(fake))
        for data in (RAW, RAW + b" "):
            repository.put(descriptor(data, OCI_MANIFEST), held(data))
        fake.log.clear()
        repository.tag("b", descriptor(RAW + b" ", OCI_MANIFEST))
        assert fake.counts() == {"PUT manifests": 1}
        repository.tag("a", descriptor(RAW, OCI_MANIFEST))
        assert fake.counts() == {"PUT manifests": 2, "GET manifests": 1}
