"""Bringing ahead: nothing before it is released, nothing twice, and failures wait to be asked."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.build.image import AMD64, descriptor
from tests.build.site import FILE, Site
from tests.build.world import ARM, X86, put_base, put_builder, write_world
from tests.fakes.memory import Memory, MemoryRegistry
from tests.fakes.registry import FakeRegistry, Request, error

from layersmith.assemble import pipeline
from layersmith.assemble.ahead import NOWHERE, Ahead
from layersmith.assemble.crew import Crew
from layersmith.assemble.delivery import Blob, Delivery, Destination, bring
from layersmith.assemble.places import Place
from layersmith.errors import LayersmithError, OutputError, RecipeError, RegistryError
from layersmith.oci.content import NoProgress, Opener, held
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layersmith.assemble.outcome import Made
    from layersmith.assemble.pipeline import _Job
    from layersmith.oci.documents import Descriptor
    from layersmith.plan.plan import Plan

A, B = Place.parse("h.io/a:t"), Place.parse("h.io/b:t")


class Full(Memory):
    """A repository without room."""

    def put(self, _descriptor: Descriptor, _opener: Opener) -> None:
        raise RegistryError("no room", status=507)


def blobs(*texts: bytes) -> list[Blob]:
    origin = Memory("origin")
    for text in texts:
        origin.put(descriptor(text), held(text))
    return [Blob(descriptor(text), origin, None) for text in texts]


def puts(sink: Memory) -> list[str]:
    return [about for what, about in sink.log if what == "put"]


def test_nothing_goes_before_it_is_released() -> None:
    first, second, third = blobs(b"1", b"2", b"3")
    sink = Memory()
    with ThreadPoolExecutor(4) as pool:
        ahead = Ahead({A: sink}, pool)
        ahead.bring([first])
        ahead.bring(iter([second, first]))
        assert ahead.begun(A) == {}
        ahead.release()
        ahead.bring([third, first])
    assert sink.blobs.keys() == {each.descriptor.digest for each in (first, second, third)}
    assert len(puts(sink)) == 3


def test_what_is_never_released_never_goes() -> None:
    sink = Memory()
    with ThreadPoolExecutor(4) as pool:
        Ahead({A: sink}, pool).bring(blobs(b"1"))
    assert sink.log == []


def test_each_place_gets_all() -> None:
    registry = MemoryRegistry()
    sinks = {A: registry.repository("a"), B: registry.repository("b")}
    (blob,) = blobs(b"1")
    with ThreadPoolExecutor(1) as pool:
        ahead = Ahead(sinks, pool)
        ahead.release()
        ahead.bring([blob])
    for place, sink in sinks.items():
        assert ahead.sink(place) is sink
        assert sink.blobs.keys() == {blob.descriptor.digest}
        assert ahead.begun(place).keys() == {blob.descriptor.digest}


def test_without_registries_nothing_is_kept() -> None:
    NOWHERE.bring(blobs(b"1"))
    NOWHERE.release()
    assert NOWHERE.sink(A) is None
    assert NOWHERE.begun(A) == {}
    assert not NOWHERE._held


def test_a_failure_waits_for_the_delivery() -> None:
    (blob,) = blobs(b"1")
    sink = Full()
    with ThreadPoolExecutor(1) as pool:
        ahead = Ahead({A: sink}, pool)
        ahead.release()
        ahead.bring([blob])
        delivery = Delivery(top=blob.descriptor, blobs=[blob], stages=())
        destination = Destination(sink, ("t",), begun=ahead.begun(A))
        with pytest.raises(RegistryError, match="no room"):
            bring(delivery, [(destination, "t")], Crew(NoProgress()))
    assert sink.tags == {}


# A whole run


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Base and builder for two platforms."""
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    base, builder = Layout(tmp_path / "base"), Layout(tmp_path / "builder")
    base.tag("t", put_base(base, X86, ARM))
    builder.tag("t", put_builder(builder, X86, ARM))
    found = Site(tmp_path)
    found.recipe()
    path = tmp_path / "layersmith.toml"
    both = path.read_text().replace('["linux/amd64"]', '["linux/amd64", "linux/arm64"]')
    path.write_text(both)
    return found


def writes(fake: FakeRegistry) -> list[Request]:
    return [request for request in fake.log if request.method not in ("GET", "HEAD")]


def test_a_run_brings_everything_once(site: Site, fake: FakeRegistry) -> None:
    digest = site.assemble(*FILE, "--push", f"{fake.host}/team/a:1")
    assert fake.tags["team/a"] == {"1": digest}
    uploads = [request for request in writes(fake) if request.method == "POST"]
    assert len(uploads) == len(fake.blobs["team/a"])


def test_a_layer_goes_before_the_other_platform_is_packed(
    site: Site, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is not packed before the first's has arrived."""
    packed, done = pipeline._Job.make, list[str]()

    def patient(job: _Job, plan: Plan) -> Made:
        if plan.inputs.base.platform.key == AMD64.key:
            _wait(lambda: bool(done) and done[0] in fake.blobs.get("team/a", {}))
        made = packed(job, plan)
        done.append(made.layer.digest)
        return made

    monkeypatch.setattr(pipeline._Job, "make", patient)
    digest = site.assemble(*FILE, "--push", f"{fake.host}/team/a:1")
    assert len(done) == 2
    assert fake.tags["team/a"] == {"1": digest}


def test_nothing_is_sent_where_a_platform_cannot_be_planned(
    site: Site, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = pipeline._Job.plan

    def failing(job: _Job, *rest: object) -> Plan:
        plan = planned(job, *rest)  # type: ignore[arg-type]
        if plan.inputs.base.platform.key == AMD64.key:
            raise RecipeError("not this one")
        return plan

    monkeypatch.setattr(pipeline._Job, "plan", failing)
    with pytest.raises(RecipeError, match="not this one"):
        site.assemble(*FILE, "--push", f"{fake.host}/team/a:1")
    assert fake.log == []


def test_a_run_that_fails_later_leaves_no_manifest(
    site: Site, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pipeline._Job.make

    def failing(job: _Job, plan: Plan) -> Made:
        if plan.inputs.base.platform.key == AMD64.key:
            _wait(lambda: bool(fake.blobs.get("team/a")))
            raise OutputError("the disk is full")
        return packed(job, plan)

    monkeypatch.setattr(pipeline._Job, "make", failing)
    with pytest.raises(OutputError, match="the disk is full"):
        site.assemble(*FILE, "--push", f"{fake.host}/team/a:1")
    assert not fake.manifests.get("team/a")
    assert not fake.tags.get("team/a")


def test_a_registry_that_takes_nothing_is_an_error_of_the_delivery(
    site: Site, fake: FakeRegistry
) -> None:
    fake.always("POST", r"/blobs/uploads/", error(403, "DENIED", "not you"))
    with pytest.raises(LayersmithError, match="not you") as caught:
        site.assemble(*FILE, "--push", f"{fake.host}/team/a:1")
    assert f"delivering to {fake.host}/team/a" in str(caught.value)
    assert not fake.manifests.get("team/a")


def _wait(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until, "nothing went ahead"
        time.sleep(0.01)
