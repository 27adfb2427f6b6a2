"""For all tests: nothing of this machine's settings, and time for the laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A shared machine may be slow for a moment; `--hypothesis-profile=thorough` looks longer.
settings.register_profile("patient", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the time and the credentials of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        patch.setenv("DOCKER_CONFIG", str(tmp_path_factory.mktemp("docker")))
        yield
