"""A clock that tests turn: sleeping takes no time, and is remembered."""

from __future__ import annotations

import threading

__all__ = ["FakeClock", "ThreadClock"]


class FakeClock:
    """Implements layersmith.stores.retries.Clock."""

    def __init__(self, today: float = 1_800_000_000.0) -> None:
        self._lock = threading.Lock()
        self._today = today
        self.passed = 0.0

    def now(self) -> float:
        return self.passed

    def today(self) -> float:
        return self._today + self.passed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.passed += seconds


class ThreadClock(threading.local):
    """A :class:`FakeClock` for many threads: they sleep side by side, not one after another.

    Each thread has a time of its own, which begins at the latest that any thread has got
    to; :attr:`passed` is that latest time.
    """

    def __init__(self, latest: list[float], today: float = 1_800_000_000.0) -> None:
        self._latest = latest
        self._mine = latest[0]
        self._today = today

    @property
    def passed(self) -> float:
        return self._latest[0]

    def now(self) -> float:
        return self._mine

    def today(self) -> float:
        return self._today + self._mine

    def sleep(self, seconds: float) -> None:
        self._mine += seconds
        self._latest[0] = max(self._latest[0], self._mine)  # a lost update costs one slice
