"""Who sees a password or a token: the registry, its checked realm, and nobody else."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry, Instead, Reply, error

from layersmith.errors import InvalidInput, LayersmithError, RegistryError, Unauthorized
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, Descriptor
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

USER, PASSWORD = "canary-user", "canary-s3cret"
RAW = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
BLOB = b"blob" * 1000


class Config:
    """The user's config file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def log_in(self, *hosts: str, password: str = PASSWORD) -> None:
        self.write({host: {"username": USER, "password": password} for host in hosts})

    def write(self, auths: dict[str, dict[str, str]]) -> None:
        self._path.write_text(json.dumps({"auths": auths}))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return Config(tmp_path / "config.json")


@pytest.fixture
def registries(config: Config) -> Iterator[Registries]:
    with Registries(clock=FakeClock()) as opened:
        yield opened


def open_(registries: Registries, fake: FakeRegistry, name: str = "team/app") -> RegistryRepository:
    return registries.repository(Reference.parse(f"{fake.host}/{name}:1"))


def filled(fake: FakeRegistry, *names: str) -> FakeRegistry:
    for name in names or ("team/app",):
        fake.add_manifest(name, RAW, OCI_INDEX, "1")
        fake.add_blob(name, BLOB)
    return fake


def saw(fake: FakeRegistry) -> set[str]:
    return {request.authorization.partition(" ")[0] for request in fake.log}


# schemes


def test_basic(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(basic=(USER, PASSWORD))) as fake:
        config.log_in(fake.host)
        repository = open_(registries, fake)
        repository.resolve("1")
        repository.put(descriptor(b"new"), held(b"new"))
        assert fake.blobs["team/app"][Digest.of(b"new")] == b"new"
        assert [r.authorization[:5] for r in fake.log] == ["", "Basic", "Basic", "Basic"]


def test_basic_offered_beside_another_scheme(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(basic=(USER, PASSWORD))) as fake:
        config.log_in(fake.host)
        both = 'Negotiate, Basic realm="x"'
        fake.once("HEAD", "manifests", error(401, "UNAUTHORIZED", **{"WWW-Authenticate": both}))
        assert open_(registries, fake).resolve("1")


def test_an_anonymous_token(registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        assert read_document(open_(registries, fake), descriptor(BLOB)) == BLOB
        token = next(r for r in fake.log if r.path == "/token")
        assert token.query == {"service": ["fake"], "scope": ["repository:team/app:pull"]}
        assert not token.authorization


def test_a_token_for_a_user_is_widened_to_push(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True, basic=(USER, PASSWORD))) as fake:
        config.log_in(fake.host)
        repository = open_(registries, fake)
        repository.resolve("1")
        repository.put(descriptor(b"new"), held(b"new"))
        repository.resolve("1")
        scopes = [r.query["scope"] for r in fake.log if r.path == "/token"]
        assert scopes == [["repository:team/app:pull"], ["repository:team/app:pull,push"]]
        assert fake.counts()["POST uploads"] == 1  # asked for before, not after a 401


def test_a_mount_asks_for_both_repositories(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True, basic=(USER, PASSWORD)), "library/base") as fake:
        config.log_in(fake.host)
        repository = open_(registries, fake)
        origin = Reference.parse(f"{fake.host}/library/base")
        assert repository.mount(descriptor(BLOB), origin)
        asked = [r.query["scope"] for r in fake.log if r.path == "/token"]
        assert asked == [["repository:library/base:pull", "repository:team/app:pull,push"]]


def test_a_mount_that_is_forbidden_falls_back(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True, basic=(USER, PASSWORD)), "library/base") as fake:
        config.log_in(fake.host)
        repository = open_(registries, fake)
        origin = Reference.parse(f"{fake.host}/library/base")
        fake.once("POST", "mount=", error(403, "DENIED"))
        assert not repository.mount(descriptor(BLOB), origin)
        fake.once("GET", "/token", error(403, "DENIED"))
        fake.revoke()
        assert not repository.mount(descriptor(BLOB), origin)


# tokens: shared, renewed, kept apart


def test_many_threads_cause_one_token_request(registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        repository = open_(registries, fake)
        together = threading.Barrier(8)

        def resolve(_: int) -> Descriptor:
            together.wait()
            return repository.resolve("1")

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(lambda n: resolve(n).digest, range(8)))) == 1
        assert fake.counts()["GET /token"] == 1


def test_many_threads_share_one_refusal(registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        repository = open_(registries, fake)
        fake.pause("/token", 0.2)
        fake.once("GET", "/token", error(501, "UNSUPPORTED"))
        together = threading.Barrier(8)

        def resolve(_: int) -> LayersmithError:
            together.wait()
            with pytest.raises(RegistryError) as caught:
                repository.resolve("1")
            return caught.value

        with ThreadPoolExecutor(8) as pool:
            errors = list(pool.map(resolve, range(8)))
        assert len({id(error) for error in errors}) == 8
        assert len({str(error) for error in errors}) == 1
        assert fake.counts()["GET /token"] == 1


def test_each_repository_gets_its_own_token(registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True), "a", "b") as fake:
        for name in ("a", "b", "a", "b"):
            open_(registries, fake, name).resolve("1")
        assert fake.counts()["GET /token"] == 2


def test_a_revoked_token_is_renewed_once(registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        repository = open_(registries, fake)
        repository.resolve("1")
        fake.revoke()
        repository.resolve("1")
        assert fake.counts()["GET /token"] == 2


def test_a_token_revoked_in_the_middle_of_an_upload_is_renewed(
    config: Config, registries: Registries
) -> None:
    with filled(FakeRegistry(tokens=True, basic=(USER, PASSWORD))) as fake:
        config.log_in(fake.host)
        challenge = {"WWW-Authenticate": f'Bearer realm="{fake.url}/token"'}
        denied = error(401, "UNAUTHORIZED", **challenge)
        fake.once("PUT", "uploads", Instead(lambda _: denied))
        open_(registries, fake).put(descriptor(b"new"), held(b"new"))
        assert fake.blobs["team/app"][Digest.of(b"new")] == b"new"
        assert [len(r.body) for r in fake.log if r.method == "PUT"] == [3, 3]


def test_a_short_lived_token_is_not_used_past_its_life(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        repository = open_(registries, fake)
        repository.resolve("1")
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 0.81 * 300)
        repository.resolve("1")
        counts = fake.counts()
        assert (counts["GET /token"], counts["HEAD manifests"]) == (2, 3)


def test_a_registry_that_is_never_content_is_told_who_we_are_three_times(
    registries: Registries,
) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        challenge = {"WWW-Authenticate": f'Bearer realm="{fake.url}/token"'}
        fake.once("HEAD", "manifests", error(401, "UNAUTHORIZED", **challenge), times=9)
        with pytest.raises(Unauthorized):
            open_(registries, fake).resolve("1")
        assert fake.counts() == {"HEAD manifests": 4, "GET /token": 3}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {}, b"{}"),
        Reply(200, {}, b"[]"),
        Reply(200, {}, b'"token"'),
        Reply(200, {}, b'{"token": 1}'),
        Reply(200, {}, b'{"token": ""}'),
        Reply(200, {}, b'{"token": "a\\r\\nX-Evil: 1"}'),
        Reply(200, {}, b'{"token": "a", "token": "b"}'),
        Reply(200, {}, b'{"token": "' + b"a" * 70_000 + b'"}'),
        Reply(200, {"Content-Encoding": "gzip"}, b'{"token": "a"}'),
        Reply(200, {}, b"<html>"),
        Reply(302, {"Location": "http://127.0.0.1:1/"}),
        error(500, "UNKNOWN"),
    ],
)
def test_what_is_no_token_is_refused(registries: Registries, reply: Reply) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        fake.always("GET", "/token", reply)
        with pytest.raises(RegistryError, match="for a token"):
            open_(registries, fake).resolve("1")


@pytest.mark.parametrize("body", [b'{"access_token": "T"}', b'{"token": "T", "expires_in": -1}'])
def test_the_other_forms_of_a_token(registries: Registries, body: bytes) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        fake.granted["T"] = {("team/app", "pull")}
        fake.once("GET", "/token", Reply(200, {}, body))
        assert open_(registries, fake).resolve("1")


# refusals are fast and say what to do


def test_no_credentials_says_log_in(registries: Registries) -> None:
    with filled(FakeRegistry(basic=(USER, PASSWORD))) as fake:
        began = time.monotonic()
        with pytest.raises(Unauthorized) as caught:
            open_(registries, fake).resolve("1")
        assert time.monotonic() - began < 2
        assert f"layersmith login {fake.host}" in caught.value.hint
        assert len(fake.log) == 1


@pytest.mark.parametrize("tokens", [False, True])
def test_wrong_credentials_name_their_file(
    config: Config, registries: Registries, tokens: bool
) -> None:
    with filled(FakeRegistry(basic=(USER, PASSWORD), tokens=tokens)) as fake:
        config.log_in(fake.host, password="wr0ng")
        with pytest.raises(Unauthorized) as caught:
            open_(registries, fake).resolve("1")
        assert "config.json" in caught.value.hint
        assert "wr0ng" not in f"{caught.value} {caught.value.hint}"
        assert len(fake.log) == 2


def test_a_401_without_challenge(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry()) as fake:
        config.log_in(fake.host)
        fake.once("HEAD", "manifests", error(401, "UNAUTHORIZED"))
        with pytest.raises(Unauthorized):
            open_(registries, fake).resolve("1")
        assert saw(fake) == {""}


def test_anonymous_pushing_is_refused(registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        with pytest.raises(Unauthorized) as caught:
            open_(registries, fake).put(descriptor(b"x"), held(b"x"))
        assert "layersmith login" in caught.value.hint
        assert not fake.uploads


def test_secrets_that_a_registry_echoes_are_not_shown(
    config: Config, registries: Registries
) -> None:
    with filled(FakeRegistry(tokens=True, basic=(USER, PASSWORD))) as fake:
        config.log_in(fake.host)
        repository = open_(registries, fake)
        repository.resolve("1")
        token = next(iter(fake.granted))
        basic = next(r.authorization for r in fake.log if r.path == "/token")
        echo = f"you sent {token} and {basic} ({PASSWORD})"
        fake.once("GET", "blobs", error(403, "DENIED", echo))
        with pytest.raises(Unauthorized) as caught:
            read_document(repository, descriptor(BLOB))
        text = f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"
        for secret in (token, basic.partition(" ")[2], PASSWORD):
            assert secret not in text
        assert PASSWORD not in repr(repository.__dict__["_client"].authorizer)


# origins: the canary must not be seen anywhere else


def test_a_redirect_to_another_port_carries_nothing(config: Config, registries: Registries) -> None:
    with (
        filled(FakeRegistry(basic=(USER, PASSWORD))) as fake,
        filled(FakeRegistry()) as storage,
    ):
        config.log_in(fake.host, storage.host)
        fake.redirect_blobs = storage.url
        assert read_document(open_(registries, fake), descriptor(BLOB)) == BLOB
        assert saw(storage) == {""}
        assert storage.log[0].query == {"sig": ["s3cr3t"]}


def test_a_challenge_of_the_storage_is_not_answered(config: Config, registries: Registries) -> None:
    with (
        filled(FakeRegistry(basic=(USER, PASSWORD))) as fake,
        filled(FakeRegistry(basic=(USER, PASSWORD))) as storage,
    ):
        config.log_in(fake.host, storage.host)
        fake.redirect_blobs = storage.url
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        storage.once("GET", "storage", error(401, "UNAUTHORIZED", **challenge))
        with pytest.raises(Unauthorized, match="redirected to") as caught:
            read_document(open_(registries, fake), descriptor(BLOB))
        assert saw(storage) == {""}
        assert "s3cr3t" not in str(caught.value)


def test_a_redirect_back_home_is_authorized_again(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(basic=(USER, PASSWORD))) as fake:
        config.log_in(fake.host)
        fake.once("GET", "blobs", Reply(302, {"Location": f"/v2/team/app/blobs/{Digest.of(BLOB)}"}))
        assert read_document(open_(registries, fake), descriptor(BLOB)) == BLOB


def test_redirects_do_not_go_round_for_ever(registries: Registries) -> None:
    with filled(FakeRegistry()) as fake:
        fake.redirect_blobs = fake.url
        path = f"/storage/{Digest.of(BLOB)}"
        fake.once("GET", path, Reply(302, {"Location": path}), times=99)
        with pytest.raises(RegistryError, match="more than 5 redirects"):
            read_document(open_(registries, fake), descriptor(BLOB))
        assert len(fake.log) == 6


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://u:p@127.0.0.1/x", "/a b"])
def test_bad_redirects_are_refused(registries: Registries, location: str) -> None:
    with filled(FakeRegistry()) as fake:
        fake.once("GET", "blobs", Reply(307, {"Location": location}))
        with pytest.raises(RegistryError, match="redirect") as caught:
            read_document(open_(registries, fake), descriptor(BLOB))
        assert "u:p" not in str(caught.value)


def test_an_upload_elsewhere_carries_nothing(config: Config, registries: Registries) -> None:
    with (
        filled(FakeRegistry(basic=(USER, PASSWORD))) as fake,
        filled(FakeRegistry()) as storage,
    ):
        config.log_in(fake.host, storage.host)
        fake.location = lambda path: f"{storage.url}{path}"
        storage.uploads["session-0"] = "team/app"
        open_(registries, fake).put(descriptor(b"new"), held(b"new"))
        assert storage.blobs["team/app"][Digest.of(b"new")] == b"new"
        assert saw(storage) == {""}


def test_a_realm_on_another_port_of_our_machine_may_be_asked(
    config: Config, registries: Registries
) -> None:
    with (
        FakeRegistry(tokens=True, basic=(USER, PASSWORD)) as server,
        filled(FakeRegistry(tokens=True, realm=f"{server.url}/token?x=1")) as fake,
    ):
        config.log_in(fake.host)
        fake.granted = server.granted
        assert open_(registries, fake).resolve("1")
        assert saw(fake) == {"", "Bearer"}
        assert saw(server) == {"Basic"}


@pytest.mark.parametrize(
    "realm", ["http://169.254.169.254/token", "http://10.0.0.1/token", "token", "", "http://u@h/t"]
)
def test_a_bad_realm_sees_nothing(config: Config, registries: Registries, realm: str) -> None:
    with filled(FakeRegistry(tokens=True, realm=realm or "%")) as fake:
        config.log_in(fake.host)
        with pytest.raises(RegistryError, match="token server"):
            open_(registries, fake).resolve("1")
        assert saw(fake) == {""}


def test_two_registries_keep_their_secrets_apart(config: Config, registries: Registries) -> None:
    with (
        filled(FakeRegistry(basic=(USER, PASSWORD))) as one,
        filled(FakeRegistry(tokens=True)) as two,
    ):
        config.log_in(one.host)
        for _ in range(2):
            open_(registries, one).resolve("1")
            open_(registries, two).resolve("1")
        assert saw(two) == {"", "Bearer"}
        assert not any(PASSWORD in r.authorization for r in two.log)


def test_netrc_is_never_read(
    registries: Registries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with filled(FakeRegistry()) as fake, filled(FakeRegistry(tokens=True)) as other:
        fake.redirect_blobs = other.url
        assert read_document(open_(registries, fake), descriptor(BLOB)) == BLOB
        open_(registries, other).resolve("1")
        assert saw(fake) == {""}
        assert saw(other) == {"", "Bearer"}


def test_cookies_are_not_kept(registries: Registries) -> None:
    with filled(FakeRegistry()) as fake:
        fake.once("HEAD", "manifests", lambda reply: reply.header("Set-Cookie", "csrf=1; Path=/"))
        repository = open_(registries, fake)
        repository.resolve("1")
        repository.resolve("1")
        assert "cookie" not in fake.log[-1].headers


def test_oras_own_transfers_are_closed(registries: Registries) -> None:
    with FakeRegistry() as fake:
        client = open_(registries, fake).__dict__["_client"]
        for name in ("push", "pull", "login", "upload_manifest", "get_manifest", "download_blob"):
            with pytest.raises(NotImplementedError):
                getattr(client, name)("x")
        assert str(client) == "[oras-client]"
        place = client.get_container("docker.io/team/app:1")
        assert client.get_container(place) is place
        assert client.url(place.tags_url()) == f"{fake.url}/v2/team/app/tags/list"


def test_a_broken_config_is_the_users_to_mend(tmp_path: Path, registries: Registries) -> None:
    (tmp_path / "config.json").write_text('{"auths": ')
    with (
        filled(FakeRegistry(basic=(USER, PASSWORD))) as fake,
        pytest.raises(InvalidInput, match=r"config\.json") as caught,
    ):
        open_(registries, fake).resolve("1")
    assert caught.value.exit_code == 2


# tokens that stand in for passwords, and credentials for one repository


def test_an_identity_token_is_exchanged_in_a_body(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        fake.refresh = PASSWORD
        config.write({fake.host: {"identitytoken": PASSWORD}})
        open_(registries, fake).put(descriptor(b"new"), held(b"new"))
        (asked,) = [r for r in fake.log if r.path == "/token"]
        assert asked.method == "POST"
        assert not asked.authorization
        assert not any(PASSWORD in r.target or PASSWORD in r.authorization for r in fake.log)


def test_an_identity_token_that_is_refused(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        config.write({fake.host: {"identitytoken": PASSWORD}})
        with pytest.raises(Unauthorized, match="for a token") as caught:
            open_(registries, fake).resolve("1")
        assert PASSWORD not in f"{caught.value}{caught.value.hint}"
        assert len(fake.log) == 2


def test_a_registry_token_is_sent_as_it_is(config: Config, registries: Registries) -> None:
    with filled(FakeRegistry(tokens=True)) as fake:
        fake.granted["given"] = {("team/app", "pull")}
        config.write({fake.host: {"registrytoken": "given"}})
        repository = open_(registries, fake)
        repository.resolve("1")
        repository.resolve("1")
        assert [r.authorization for r in fake.log] == ["", "Bearer given", "Bearer given"]
        fake.revoke()
        with pytest.raises(Unauthorized, match="refuses the credentials"):
            repository.resolve("1")


def test_each_repository_is_asked_for_by_whom_its_key_names(
    config: Config, registries: Registries
) -> None:
    with filled(FakeRegistry(basic=(USER, PASSWORD)), "team/app", "other/app") as fake:
        ours = {"username": USER, "password": PASSWORD}
        config.write({f"{fake.host}/team": ours})
        open_(registries, fake, "team/app").resolve("1")
        fake.log.clear()
        with pytest.raises(Unauthorized):
            open_(registries, fake, "other/app").resolve("1")
        assert not any(r.authorization for r in fake.log)
