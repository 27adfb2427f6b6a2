"""What the tests of stores share: a registry client that waits for nothing, and odd surroundings."""

from __future__ import annotations

import errno
import fcntl
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import FakeClock

from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.registry import FakeRegistry

    from layersmith.stores.registry_repository import RegistryRepository


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let flock(2) say what it says on a file system that has no locks."""

    def refuse(_handle: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of Docker's config, without credentials so far."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limits() -> Limits:
    """The usual ones; a module may have its own."""
    return Limits()


@pytest.fixture
def repository(
    fake: FakeRegistry, clock: FakeClock, limits: Limits
) -> Iterator[RegistryRepository]:
    """The repository ``team/app`` of the registry that the module has."""
    with Registries(RegistryOptions(limits=limits), clock=clock) as registries:
        yield registries.repository(Reference.parse(f"{fake.host}/team/app:1"))
