"""A clock that tests turn: sleeping takes no time, and is remembered."""

from __future__ import annotations

import threading

__all__ = ["FakeClock"]


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
