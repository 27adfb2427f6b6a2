"""What the tests of commands share: a site to run them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.site import Site
from tests.build.world import write_world

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path)
    found = Site(tmp_path)
    found.recipe()
    return found
