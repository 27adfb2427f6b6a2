"""A file system without locks."""

from __future__ import annotations

import errno
import fcntl

import pytest


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let flock(2) say what it says on a file system that has no locks."""

    def refuse(_handle: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
