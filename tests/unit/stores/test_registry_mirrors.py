"""Mirrors: asked in order, left alone when they fail, and the registry last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry, Reply, error

from layersmith.cli.network import mirror_pairs, network_of
from layersmith.errors import InvalidInput, NotFound, RecipeError
from layersmith.oci.content import held, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, OCI_LAYER, Descriptor
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries, RegistryOptions

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.stores.registry_repository import RegistryRepository

RAW = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
BLOB = b"blob" * 1000
LAYER = Descriptor(media_type=OCI_LAYER, digest=Digest.of(BLOB), size=len(BLOB))


@pytest.fixture(autouse=True)
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.delenv("LAYERSMITH_MIRRORS", raising=False)
    return tmp_path / "registries.conf"


def filled(fake: FakeRegistry, name: str) -> FakeRegistry:
    fake.add_manifest(name, RAW, OCI_INDEX, "3")
    fake.add_blob(name, BLOB)
    return fake


def pull(repository: RegistryRepository) -> bytes:
    assert read_document(repository, repository.resolve("3")) == RAW
    return read_document(repository, LAYER)


def setup(conf: Path, own: FakeRegistry, *mirrors: str) -> None:
    lines = [f'[[registry]]\nprefix = "{own.host}/team"\nlocation = "{own.host}/team"']
    lines += [f"[[registry.mirror]]\n{mirror}" for mirror in mirrors]
    conf.write_text("\n".join(lines))


def at(registries: Registries, own: FakeRegistry, **more: bool) -> RegistryRepository:
    return registries.repository(Reference.parse(f"{own.host}/team/app:3"), **more)


def test_mirrors_are_asked_in_order_and_the_registry_last(conf: Path) -> None:
    with FakeRegistry() as one, FakeRegistry() as two, FakeRegistry() as own:
        setup(conf, own, f'location = "{one.host}/a"', f'location = "{two.host}/b"')
        filled(own, "team/app")
        with Registries(clock=FakeClock()) as registries:
            assert pull(at(registries, own)) == BLOB
            assert {r.path.split("/")[2] for r in one.log} == {"a"}
            assert len(one.log) == len(two.log) == len(own.log) == 3
            filled(two, "b/app")
            own.log.clear()
            assert pull(at(registries, own)) == BLOB
            assert not own.log


@pytest.mark.parametrize(
    "fault", [error(403, "DENIED"), error(503, "UNAVAILABLE"), Reply(200, {}, b"<html>")],
    ids=["403", "503", "HTML"],
)  # fmt: skip
def test_a_mirror_that_fails_is_left_alone(conf: Path, fault: Reply) -> None:
    with FakeRegistry() as one, FakeRegistry() as own:
        setup(conf, own, f'location = "{one.host}"')
        filled(own, "team/app")
        one.weather = lambda _: fault
        with Registries(clock=FakeClock()) as registries:
            repository = at(registries, own)
            assert pull(repository) == BLOB
            asked = len(one.log)
            assert pull(repository) == BLOB
            assert len(one.log) == asked


def test_tags_and_digests_may_have_mirrors_of_their_own(conf: Path) -> None:
    with FakeRegistry() as one, FakeRegistry() as two, FakeRegistry() as own:
        setup(conf, own, f'location = "{one.host}/m"\npull-from-mirror = "digest-only"',
              f'location = "{two.host}/m"\npull-from-mirror = "tag-only"')  # fmt: skip
        for fake in (one, two):
            filled(fake, "m/app")
        with Registries() as registries:
            assert pull(at(registries, own)) == BLOB
        assert {r.method for r in one.log} == {"GET"}
        assert [r.path.rpartition("/")[2] for r in two.log] == ["3"]
        assert not own.log


def test_what_is_missing_everywhere_is_the_registrys_answer(conf: Path) -> None:
    with FakeRegistry() as one, FakeRegistry() as own:
        setup(conf, own, f'location = "{one.host}"')
        with Registries() as registries, pytest.raises(NotFound, match=rf"{own.host}/team/app: "):
            at(registries, own).resolve("3")


def test_mirrors_are_not_written_to_nor_asked_what_is_there(conf: Path) -> None:
    with FakeRegistry() as one, FakeRegistry() as own:
        setup(conf, own, f'location = "{one.host}"')
        with Registries() as registries:
            repository = at(registries, own, mirrored=False)
            repository.put(LAYER, held(BLOB))
            assert at(registries, own).has(LAYER)
        assert not one.log


def test_a_mirror_gets_only_its_own_credentials(conf: Path) -> None:
    with FakeRegistry() as one, FakeRegistry(basic=("u", "canary")) as own:
        setup(conf, own, f'location = "{one.host}"')
        auths = {own.host: {"username": "u", "password": "canary"}}
        (conf.parent / "config.json").write_text(json.dumps({"auths": auths}))
        filled(own, "team/app")
        one.weather = lambda _: error(401, "UNAUTHORIZED", **{"WWW-Authenticate": "Basic"})
        with Registries() as registries:
            assert pull(at(registries, own)) == BLOB
        assert not any(r.authorization for r in one.log)


# what the user names takes the registry's place


def test_named_mirrors_replace_the_registry() -> None:
    with FakeRegistry() as one, FakeRegistry() as two:
        filled(two, "hub/library/python")
        options = RegistryOptions(mirrors={"docker.io": f"{one.host},{two.host}/hub"})
        with Registries(options) as registries:
            repository = registries.repository(Reference.parse("python:3"))
            assert pull(repository) == BLOB
            with pytest.raises(NotFound, match=rf"at {two.url}"):
                repository.resolve("4")


def test_a_bad_mirror_is_an_input_error() -> None:
    with (
        Registries(RegistryOptions(mirrors={"docker.io": "h,"})) as registries,
        pytest.raises(InvalidInput),
    ):
        registries.repository(Reference.parse("python:3"))


def test_repeated_mirrors_are_one_list() -> None:
    pairs = mirror_pairs(["docker.io=a", "quay.io=q", "docker.io=b/c"], "--mirror")
    assert pairs == {"docker.io": "a,b/c", "quay.io": "q"}
    for bad in ("docker.io", "=a"):
        with pytest.raises(RecipeError, match="--mirror"):
            mirror_pairs([bad], "--mirror")


def test_the_environment_comes_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSMITH_MIRRORS", "docker.io=env  quay.io=env")
    options = network_of({"docker.io": "mine"}, (), None, ())
    assert options.mirrors == {"docker.io": "mine", "quay.io": "env"}
    monkeypatch.setenv("LAYERSMITH_MIRRORS", "nonsense")
    with pytest.raises(RecipeError, match="LAYERSMITH_MIRRORS"):
        network_of({}, (), None, ())


def test_an_unchecked_host_is_said_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    assert network_of({}, (), None, ["h.example"]).unverified == {"h.example"}
    assert "WARNING: the certificate of h.example is NOT checked" in capsys.readouterr().err
    with pytest.raises(RecipeError, match="--insecure-skip-tls-verify"):
        network_of({}, (), None, ["https://h"])
