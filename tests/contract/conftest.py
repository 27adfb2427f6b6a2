"""Every test of the contracts runs on every place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.places import PLACES, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as opened:
        yield opened
