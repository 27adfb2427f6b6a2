"""A crew that is stopped: nothing is begun any more, and nobody waits for who says nothing."""

from __future__ import annotations

import socket
import time
from threading import Event
from typing import TYPE_CHECKING

import pytest

from layersmith.assemble.crew import Crew
from layersmith.errors import LayerError, LayersmithError, OutputError
from layersmith.oci.content import NoProgress
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path


def test_what_waits_for_its_turn_in_another_pool_is_not_begun() -> None:
    crew, begun, first, go = Crew(NoProgress()), list[int](), Event(), Event()
    crew.at_stop(go.set)

    def read(number: int) -> None:
        begun.append(number)
        first.set()
        go.wait(10)

    def interrupted() -> None:
        with crew.pool(1, "layer") as layers:
            reading = [layers.submit(read, number) for number in range(3)]
            with crew.pool(1, "plan") as plans:
                plans.submit(lambda: [each.result() for each in reading])
                first.wait(10)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert begun == [0]


@pytest.mark.parametrize("way", ["waits", "begins", "moves bytes"])
def test_what_stopped_all_is_said_whoever_is_listened_to_first(way: str) -> None:
    crew, ready, failed = Crew(NoProgress()), Event(), Event()

    def first() -> None:
        with crew.pool(1, "layer") as layers:
            held = layers.submit(failed.wait, 10)
            waiting = layers.submit(int)
            ready.set()
            held.result()
            if way == "waits":
                waiting.result()
            elif way == "begins":
                layers.submit(int).result()
            else:
                crew.advance("x", 1, 1)

    def second() -> None:
        ready.wait(10)
        try:
            with crew.pool(1, "layer"):
                raise LayerError("a broken layer")
        finally:
            failed.set()

    def both() -> None:
        with crew.pool(2, "platform") as pool:
            list(pool.map(lambda step: step(), (first, second)))

    with pytest.raises(LayerError, match="a broken layer"):
        both()


def test_what_was_raised_because_of_it_says_more() -> None:
    crew = Crew(NoProgress())

    def broken() -> None:
        with crew.pool(1, "layer"):
            raise LayerError("a broken layer")

    def wrapped() -> None:
        try:
            broken()
        except LayerError as error:
            raise OutputError("no image") from error

    with pytest.raises(OutputError, match="no image"), crew.pool(1, "platform") as pool:
        pool.submit(wrapped).result()


@pytest.fixture
def mute() -> socket.socket:
    """A peer that takes connections, and never says a word."""
    return socket.create_server(("127.0.0.1", 0))


def test_who_waits_for_a_mute_registry_is_let_go(
    mute: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    crew = Crew(NoProgress())
    with mute, Registries(progress=crew) as registries:
        crew.at_stop(registries.cut)
        name = Reference.parse(f"127.0.0.1:{mute.getsockname()[1]}/team/app:1")
        repository = registries.repository(name)

        def interrupted() -> None:
            with crew.pool(1, "ask") as pool:
                asked.append(pool.submit(repository.resolve, "1"))
                connection, _ = mute.accept()
                with connection:
                    connection.recv(65536)
                    raise KeyboardInterrupt

        asked: list[Future[object]] = []
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert time.monotonic() - began < 5
        with pytest.raises(LayersmithError):
            asked[0].result()
        began = time.monotonic()
        with pytest.raises(LayersmithError):  # what cleans up has a moment, no more
            repository.resolve("1")
        assert time.monotonic() - began < 5
