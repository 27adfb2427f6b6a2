"""Looking names up: an end to waiting, and no second look at what is known."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from layersmith.errors import RegistryError
from layersmith.oci.reference import Reference
from layersmith.stores import names
from layersmith.stores.registry import Registries
from layersmith.stores.registry_options import Limits, RegistryOptions

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Name servers answer only when the event is set."""
    answer, plain = threading.Event(), socket.getaddrinfo

    def patient(*args: object, **named: object) -> object:
        answer.wait(10)
        return plain(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(names.socket, "getaddrinfo", patient)  # type: ignore[attr-defined]
    monkeypatch.setattr(names, "_known", set())
    yield answer
    answer.set()


def test_a_silent_name_server_is_left_in_time(silent: threading.Event) -> None:
    began = time.monotonic()
    with pytest.raises(names.NamelessError, match="no name server answers"):
        names.look_up("registry.example", 0.1)
    assert time.monotonic() - began < 2


def test_what_was_found_is_not_looked_up_again(silent: threading.Event) -> None:
    silent.set()
    names.look_up("localhost", 5)
    silent.clear()
    names.look_up("localhost", 0.01)


def test_other_failures_are_left_to_connecting(silent: threading.Event) -> None:
    silent.set()
    names.look_up("bad..name", 5)
    assert "bad..name" not in names._known


def test_it_is_said_once_and_not_tried_again(silent: threading.Event) -> None:
    options = RegistryOptions(limits=Limits(lookup=0.1), plain_http=frozenset({"registry.example"}))
    began = time.monotonic()
    with Registries(options) as registries:
        repository = registries.repository(Reference.parse("registry.example/team/app:1"))
        with pytest.raises(RegistryError, match="resolved \\(no name server answers\\)") as caught:
            repository.resolve("1")
    assert "name servers" in caught.value.hint
    assert time.monotonic() - began < 2
