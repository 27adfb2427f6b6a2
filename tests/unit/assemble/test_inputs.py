"""Inputs: base and builder, resolved once, with a file system for each platform."""

from __future__ import annotations

import random
import time
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from tests.build.tar import archive, file
from tests.build.tree import described
from tests.fakes.memory import Memory

from layersmith.assemble.inputs import Input, load_input
from layersmith.assemble.places import Place
from layersmith.assemble.reading import LayerReader, epoch_of
from layersmith.errors import LayerError, NotFound, RecipeError, intention
from layersmith.oci.content import NoProgress
from layersmith.oci.digest import Digest
from layersmith.stores.cache import Cache
from layersmith.stores.layers import LayerStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from layersmith.oci.image import Image

LOWER = archive(file("f", b"lower"), file("g", b"gone"))
UPPER = archive(file("f", b"upper"), file(".wh.g"))
PLACE = Place.parse("h.io/base:t")


@pytest.fixture
def memory() -> Memory:
    return Memory("h.io/base")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def loaded(memory: Memory, cache: Cache, *mades: Made) -> Input:
    entries = [for_platform(made.put(memory), made.platform) for made in mades]
    memory.tag("t", put_index(memory, entries))
    memory.log.clear()
    return load_input(memory, PLACE, cache)


def image(**config: Any) -> Image:
    memory = Memory()
    memory.tag("t", Made(config=config).put(memory))
    from layersmith.oci.image import load, select

    return select(memory, load(memory, "t"), AMD64)


def test_a_tag_is_resolved_once_for_all_platforms(memory: Memory, cache: Cache) -> None:
    both = loaded(memory, cache, Made(platform=AMD64), Made(platform=ARM64))
    memory.tag("t", put_index(memory, []))
    assert both.image(AMD64).platform == AMD64
    assert both.image(ARM64).platform == ARM64
    assert memory.asked("resolve") == ["t"]


def test_a_second_run_asks_only_for_the_tag(memory: Memory, cache: Cache) -> None:
    first = loaded(memory, cache, Made())
    first.image(AMD64)
    memory.log.clear()
    assert load_input(memory, PLACE, cache).image(AMD64) == first.image(AMD64)
    assert {what for what, _ in memory.log} == {"resolve"}


def test_a_failure_names_the_place(memory: Memory, cache: Cache) -> None:
    with pytest.raises(NotFound, match=r"^reading h\.io/base:t: "):
        load_input(memory, PLACE, cache)


def test_layers_of_many_images_are_read_side_by_side(memory: Memory, cache: Cache) -> None:
    base = loaded(memory, cache, Made((LOWER,)))
    builder = loaded(memory, cache, Made((LOWER, UPPER, LOWER[:0]), compression="zstd"))
    store = LayerStore(cache, NoProgress())
    with ThreadPoolExecutor(3) as pool:
        wanted = [(base, base.image(AMD64), True), (builder, builder.image(AMD64), False)]
        first, second = LayerReader(store, pool).roots(wanted)
    assert described(first) == {"f": ("file", "0o644", b"lower"), "g": ("file", "0o644", b"gone")}
    assert described(second) == {"f": ("file", "0o644", b"upper")}
    store.close()


def test_blobs_are_kept_only_where_they_are_pushed(memory: Memory, cache: Cache) -> None:
    base = loaded(memory, cache, Made((LOWER,)))
    builder = loaded(memory, cache, Made((UPPER,)))
    store = LayerStore(cache, NoProgress())
    with ThreadPoolExecutor(2) as pool:
        wanted = [(base, base.image(AMD64), True), (builder, builder.image(AMD64), False)]
        LayerReader(store, pool).roots(wanted)
    assert cache.has(base.image(AMD64).layers[0].descriptor)
    assert not cache.has(builder.image(AMD64).layers[0].descriptor)
    store.close()


@pytest.mark.parametrize("turned", [False, True])
def test_a_layer_of_both_is_fetched_once_and_kept(
    memory: Memory, cache: Cache, *, turned: bool
) -> None:
    made = loaded(memory, cache, Made((LOWER,)))
    image = made.image(AMD64)
    memory.log.clear()
    store = LayerStore(cache, NoProgress())
    wanted = [(made, image, True), (made, image, False)]
    with ThreadPoolExecutor(2) as pool:
        LayerReader(store, pool).roots(wanted[::-1] if turned else wanted)
    assert memory.asked("open") == [image.layers[0].descriptor.digest]
    assert cache.has(image.layers[0].descriptor)
    store.close()


@pytest.mark.parametrize("kept", [False, True])
def test_a_layer_of_two_platforms_is_read_once(memory: Memory, cache: Cache, *, kept: bool) -> None:
    both = loaded(memory, cache, Made((LOWER,)), Made((LOWER, UPPER), platform=ARM64))
    images = [both.image(platform) for platform in (AMD64, ARM64)]
    memory.log.clear()
    store = LayerStore(cache, NoProgress())
    with ThreadPoolExecutor(2) as pool:
        reader = LayerReader(store, pool)
        roots = [reader.roots([(both, image, kept)])[0] for image in images]
    entries = [root.tree.entry("f") for root in roots]
    assert [described(root)["f"][2] for root in roots] == [b"lower", b"upper"]
    assert entries[0] != entries[1]
    assert len(memory.asked("open")) == 2
    store.close()


class Turns(Executor):
    """A pool of nobody: turns are asked for, and taken when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Future[None], Callable[[], None]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.asked.append((future, lambda: fn(*args, **kwargs)))
        return future


def test_the_largest_layer_that_waits_is_next_whoever_wants_it(
    memory: Memory, cache: Cache
) -> None:
    sizes = {AMD64: (40_000, 10_000), ARM64: (20_000, 30_000)}
    made = loaded(memory, cache, *(Made(blobs(*s), platform=p) for p, s in sizes.items()))
    images = [made.image(platform) for platform in sizes]
    store, turns = LayerStore(cache, NoProgress()), Turns()
    reader = LayerReader(store, turns, len(images))
    memory.log.clear()
    with ThreadPoolExecutor(len(images)) as pool:
        roots = [pool.submit(reader.roots, [(made, image, False)]) for image in images]
        while len(turns.asked) < 4:
            time.sleep(0.001)
        for _, turn in turns.asked:
            turn()
        assert all(described(root.result()[0]) for root in roots)
    layers = {layer.descriptor.digest: layer.descriptor.size for i in images for layer in i.layers}
    order = [layers[Digest(digest)] for digest in memory.asked("open")]
    assert order == sorted(order, reverse=True)
    assert len(order) == 4
    store.close()


def test_nobody_waits_for_turns_that_do_not_come(memory: Memory, cache: Cache) -> None:
    made = loaded(memory, cache, Made((LOWER, UPPER)))
    image = made.image(AMD64)
    store, turns = LayerStore(cache, NoProgress()), Turns()
    reader = LayerReader(store, turns)
    with ThreadPoolExecutor(1) as pool:
        roots = pool.submit(reader.roots, [(made, image, False)])
        while len(turns.asked) < 2:
            time.sleep(0.001)
        for future, _ in turns.asked:
            future.cancel()
        with pytest.raises(CancelledError):
            roots.result(timeout=60)
    store.close()


def blobs(*sizes: int) -> tuple[bytes, ...]:
    """Return layers that compress to about so many bytes."""
    noise = random.Random(0)
    return tuple(archive(file(f"f{size}", noise.randbytes(size))) for size in sizes)


def test_an_image_of_more_layers_than_can_be_mounted_is_refused(
    memory: Memory, cache: Cache
) -> None:
    many = loaded(memory, cache, Made((LOWER,) * 501))
    store = LayerStore(cache, NoProgress())
    with (
        ThreadPoolExecutor(2) as pool,
        pytest.raises(LayerError, match="501 layers, and Linux stacks 500"),
    ):
        LayerReader(store, pool).roots([(many, many.image(AMD64), False)])
    store.close()


def test_a_layer_that_is_there_twice_is_read(memory: Memory, cache: Cache) -> None:
    twice = loaded(memory, cache, Made((LOWER, UPPER, LOWER)))
    store = LayerStore(cache, NoProgress())
    with ThreadPoolExecutor(2) as pool:
        (root,) = LayerReader(store, pool).roots([(twice, twice.image(AMD64), False)])
    assert described(root) == described_again()
    store.close()


def described_again() -> dict[str, tuple[object, ...]]:
    return {"f": ("file", "0o644", b"lower"), "g": ("file", "0o644", b"gone")}


def test_a_broken_layer_is_named(memory: Memory, cache: Cache) -> None:
    broken = loaded(memory, cache, Made((LOWER, b"not a tar" * 100)))
    store = LayerStore(cache, NoProgress())
    with ThreadPoolExecutor(2) as pool, pytest.raises(LayerError) as caught:
        LayerReader(store, pool).roots([(broken, broken.image(AMD64), False)])
    layer = broken.image(AMD64).layers[1]
    assert f"reading layer {layer.descriptor.digest} of h.io/base: " in str(caught.value)


def test_who_waits_for_a_layer_that_fails_says_what_it_was_at_itself(
    memory: Memory, cache: Cache
) -> None:
    mades = [Made((b"not a tar" * 100,), platform=platform) for platform in (AMD64, ARM64)]
    both = loaded(memory, cache, *mades)
    wanted = [(both, both.image(platform), False) for platform in (AMD64, ARM64)]
    store = LayerStore(cache, NoProgress())
    with ThreadPoolExecutor(2) as pool:
        reader = LayerReader(store, pool, 2)
        for number, each in enumerate(wanted):
            with pytest.raises(LayerError, match=f"^{number}: reading"), intention(str(number)):
                reader.roots([each])


# the time of a layer


@pytest.mark.parametrize(
    ("created", "seconds"),
    [
        (["1970-01-01T00:00:00Z"], 0),
        (["2026-01-02T03:04:05Z"], 1767323045),
        (["2026-01-02T03:04:05.999999999Z"], 1767323045),
        (["2026-01-02T04:04:05+01:00"], 1767323045),
        (["1970-01-01T00:00:00Z", "2026-01-02T03:04:05Z"], 1767323045),
        (["2026-01-02T03:04:05Z", None], 1767323045),
        ([None], 0),
        (["0001-01-01T00:00:00Z"], 0),
        (["0001-01-01T00:00:00+14:00"], 0),
    ],
)
def test_the_time_is_the_newest_of_the_inputs(created: list[str | None], seconds: int) -> None:
    assert epoch_of([image(created=one) for one in created]) == seconds


def test_source_date_epoch_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert epoch_of([image(created="2026-01-02T03:04:05Z")]) == 1_700_000_000
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert epoch_of([image(created="2026-01-02T03:04:05Z")]) == 1767323045


@pytest.mark.parametrize(
    "text",
    ["x", "-1", "1.5", " 1", "1\n", "0x1", "99999999999", "1" * 5000, "\N{ARABIC-INDIC DIGIT ONE}"],
)
def test_a_source_date_epoch_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(RecipeError, match="SOURCE_DATE_EPOCH is") as caught:
        epoch_of([image()])
    assert caught.value.hint
