"""Delivery to a registry that fails, loses and forgets: all below a tag is there before it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from tests.build.image import ARM64, Made, put
from tests.fakes.clock import FakeClock
from tests.fakes.memory import Memory
from tests.fakes.registry import Action, Drop, FakeRegistry, Reply, Request, error

from layersmith.assemble.crew import Crew
from layersmith.assemble.delivery import Blob, Delivery, Destination, deliver
from layersmith.errors import LayersmithError, MissingContent, RegistryError
from layersmith.oci.content import NoProgress
from layersmith.oci.derived import make_index
from layersmith.oci.documents import Platform
from layersmith.oci.image import load, select
from layersmith.oci.reference import Reference
from layersmith.stores.cache import Cache, CachedSource
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fakes.registry import FakeRegistry as Fake

REPO = "team/python"
AMD64 = Platform(os="linux", architecture="amd64")


@dataclass
class Load:
    """Two images, an index over them, and where their blobs are."""

    delivery: Delivery

    def to(self, registries: Registries, fake: Fake, *tags: str) -> None:
        repository = registries.repository(Reference.parse(f"{fake.host}/{REPO}:x"), mirrored=False)
        crew = Crew(NoProgress())
        deliver(self.delivery, [Destination(repository, tags or ("1",))], crew)


@pytest.fixture
def freight(tmp_path: Path) -> Load:
    memory = Memory()
    images = []
    for number, platform in enumerate((AMD64, ARM64)):
        made = Made(
            [bytes([number]) * 70_000, b"two" * 5000], platform=platform, compression="none"
        )
        top = load(memory, _named(memory, made))
        images.append(select(memory, top, platform))
    source = CachedSource(memory, Cache(tmp_path / "cache"))
    layers = {d.digest: d for image in images for d in image.manifest.value.layers}
    blobs = [Blob(layer, source, None) for layer in layers.values()]
    return Load(Delivery.of_images(make_index(images, {}), images, blobs))


def _named(memory: Memory, made: Made) -> str:
    manifest = made.put(memory)
    memory.tag(manifest.digest.encoded[:12], manifest)
    return manifest.digest.encoded[:12]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with FakeRegistry() as registry:
        registry.strict = True
        yield registry


@pytest.fixture
def registries() -> Iterator[Registries]:
    with Registries(clock=FakeClock()) as opened:
        yield opened


def complete(fake: Fake, freight: Load) -> bool:
    """Tell whether the tag stands for the index and everything below is there."""
    delivery = freight.delivery
    configs, manifests, (index,) = delivery.stages
    blobs = {blob.descriptor.digest for blob in delivery.blobs}
    blobs |= {config.descriptor.digest for config in configs}
    return (
        fake.tags.get(REPO) == {"1": delivery.top.digest}
        and fake.manifests[REPO].keys() == {d.descriptor.digest for d in (*manifests, index)}
        and fake.blobs[REPO].keys() == blobs
    )


def test_a_delivery_is_complete(fake: Fake, registries: Registries, freight: Load) -> None:
    freight.to(registries, fake)
    assert complete(fake, freight)
    fake.log.clear()
    freight.to(registries, fake)
    assert fake.counts() == {"HEAD manifests": 1}


# content that the registry loses (R15)


def losing(fake: Fake, store: dict[str, dict[str, bytes]], times: int) -> Callable[[Reply], Reply]:
    """Return an action that loses something just before it is needed.

    As a collector of garbage would: never what a manifest that is there names.
    """
    left = [times]

    def lose(reply: Reply) -> Reply:
        named = b"".join(raw for _, raw in list(fake.manifests.get(REPO, {}).values()))
        loose = [digest for digest in store.get(REPO, {}) if digest.encode() not in named]
        if left[0] and loose:
            left[0] -= 1
            del store[REPO][loose[-1]]
        return reply

    return lose


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize(
    "request_", [("HEAD", "blobs"), ("PUT", "uploads"), ("HEAD", "manifests")], ids=" ".join
)
def test_blobs_that_vanish_are_brought_again(
    fake: Fake, registries: Registries, freight: Load, times: int, request_: tuple[str, str]
) -> None:
    # Half of the content was there before, so that a HEAD finds some of it.
    for blob in freight.delivery.blobs[:2]:
        with blob.open() as stream:
            fake.add_blob(REPO, stream.read())
    fake.once(*request_, losing(fake, fake.blobs, times), times=times)
    freight.to(registries, fake)
    assert complete(fake, freight)


def test_a_manifest_that_vanishes_before_the_tag_is_brought_again(
    fake: Fake, registries: Registries, freight: Load
) -> None:
    lost = error(404, "MANIFEST_UNKNOWN")
    fake.once("PUT", "manifests/1$", lost)
    fake.once("PUT", f"manifests/{freight.delivery.top.digest}", lost, times=2)
    freight.to(registries, fake)
    assert complete(fake, freight)


def test_a_registry_that_always_loses_ends_in_an_error_and_no_tag(
    fake: Fake, registries: Registries, freight: Load
) -> None:
    fake.always("PUT", "manifests", error(400, "MANIFEST_BLOB_UNKNOWN"))
    with pytest.raises(MissingContent):
        freight.to(registries, fake)
    assert not fake.tags


# bad weather (R6)


def faults(seed: int, share: float) -> Callable[[Request], Action | None]:
    """Return weather in which `share` of all answers fails, in many ways."""
    dice = random.Random(seed)
    kinds: list[Action] = [
        error(500, "UNKNOWN"), error(502, "UNKNOWN"), error(503, "UNAVAILABLE"),
        error(504, "UNKNOWN"), error(429, "TOOMANYREQUESTS", **{"Retry-After": "1"}),
        error(429, "TOOMANYREQUESTS"), Drop(), Drop(reset=True), Drop(acted=True),
    ]  # fmt: skip
    return lambda _: dice.choice(kinds) if dice.random() < share else None


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_bad_weather_costs_time_but_nothing_else(tmp_path: Path, freight: Load, share: float,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    needed = sent = 0
    for seed in range(8):
        with FakeRegistry() as fake, Registries(clock=FakeClock()) as registries:
            fake.strict = True
            freight.to(registries, fake)
            needed += len(fake.log)
        clock = FakeClock()
        with FakeRegistry() as fake, Registries(clock=clock) as registries:
            fake.strict = True
            fake.weather = faults(seed, share)
            freight.to(registries, fake)
            assert complete(fake, freight)
            sent += len(fake.log)
            assert clock.passed < 600
    if share < 0.5:
        assert sent <= 2 * needed


def test_a_host_that_is_down_writes_no_tag(
    fake: Fake, registries: Registries, freight: Load
) -> None:
    fake.weather = lambda request: error(503, "X") if request.method == "PUT" else None
    with pytest.raises(RegistryError):
        freight.to(registries, fake)
    assert not fake.tags


def test_a_source_that_is_damaged_writes_no_tag(
    fake: Fake, registries: Registries, freight: Load, tmp_path: Path
) -> None:
    memory = Memory()
    wanted = put(memory, b"right" * 1000)
    memory.blobs[wanted.digest] = b"wrong" * 1000
    bad = Blob(wanted, CachedSource(memory, Cache(tmp_path / "other")), None)
    delivery = replace(freight.delivery, blobs=[*freight.delivery.blobs, bad])
    with pytest.raises(LayersmithError):
        Load(delivery).to(registries, fake)
    assert not fake.tags
