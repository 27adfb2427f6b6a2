"""When to try again: the patience that all threads share for one host.

A request that failed for a while waits, longer after every failure in a row and never
quite as long as another one (exponential back-off, jitter). A host that asks for time
(429, 503, ``Retry-After``: RFC 9110, 10.2.3) gets it from every thread. Three budgets
end it: the tries and the time of one request, and the host's own, from which each
retry takes and to which each success gives back, so that a host which only fails is
left alone soon, however many threads there are.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Protocol

from layersmith.oci.content import NoProgress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.errors import RegistryError
    from layersmith.oci.content import Progress
    from layersmith.stores.registry_options import Limits

__all__ = ["Clock", "Patience", "SystemClock", "Tries", "retry_after"]

_SLICE: Final = 0.2
_OVERLOADED: Final = frozenset({429, 503})


class Clock(Protocol):
    """What time it is, and waiting: what a test replaces."""

    def now(self) -> float:
        """Return seconds that never go back."""

    def today(self) -> float:
        """Return seconds since 1970."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()

    def today(self) -> float:
        """Return the wall clock."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


def retry_after(value: str, today: float, most: float) -> float:
    """Return the seconds that a ``Retry-After`` asks for: 0 to `most`, 0 if it is neither form."""
    if value.isascii() and value.isdecimal():
        return min(float(value[:9]), most)
    try:
        moment = parsedate_to_datetime(value)
        return min(max(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - today, 0), most)
    except (ValueError, OverflowError):
        return 0.0


class Patience:
    """What is known of one host's mood; for any number of threads."""

    def __init__(
        self, limits: Limits, clock: Clock | None = None, progress: Progress | None = None
    ) -> None:
        self.limits = limits
        self.clock = clock or SystemClock()
        self._progress = progress or NoProgress()
        self._lock = threading.Lock()
        self._budget = float(limits.retries)
        self._not_before = 0.0

    def tries(self) -> Tries:
        """Begin a request that may be sent more than once."""
        return Tries(self)

    def wait(self) -> None:
        """Wait until the host may be asked; another thread may have been told to wait."""
        while (left := self._not_before - self.clock.now()) > 0:
            self.sleep(left)

    def sleep(self, seconds: float) -> None:
        """Wait in short pieces, each of which a stop of the work can end."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 0:
            self._progress.advance("wait", 0, 0)
            self.clock.sleep(min(left, _SLICE))

    def succeeded(self) -> None:
        """Note an answer: the host's budget grows again."""
        with self._lock:
            self._budget = min(self._budget + self.limits.regained, float(self.limits.retries))

    def spend(self) -> bool:
        """Take one retry from the host's budget; tell whether there was one."""
        with self._lock:
            there = self._budget >= 1
            self._budget -= there
            return there

    def asked(self, headers: Mapping[str, str]) -> float:
        """Return the seconds that an answer's ``Retry-After`` asks to wait."""
        value = headers.get("Retry-After", "")
        return retry_after(value, self.clock.today(), self.limits.longest_wait) if value else 0.0

    def hold(self, seconds: float) -> None:
        """Let no thread ask the host for so long."""
        with self._lock:
            self._not_before = max(self._not_before, self.clock.now() + seconds)


class Tries:
    """The tries of one request: after each failure :meth:`worth` another, then a :meth:`rest`."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began = patience.clock.now()
        self._failures = 0
        self._delay = 0.0
        self._shared = False

    def progressed(self) -> None:
        """Start counting anew: part of what was wanted has come."""
        self._began = self._patience.clock.now()
        self._failures = 0

    def worth(self, status: int = 0, wanted: float = 0.0, most: int = 0) -> bool:
        """Note a failure, and tell whether the request should be sent again.

        `wanted` is what the host asked to wait, `most` how many tries make sense (0:
        as many as usual).
        """
        patience, limits = self._patience, self._patience.limits
        self._failures += 1
        self._delay = max(wanted, self._backoff())
        self._shared = bool(wanted) or status in _OVERLOADED
        spent = patience.clock.now() - self._began
        in_time = spent + self._delay <= limits.patience
        return self._failures < (most or limits.tries) and in_time and patience.spend()

    def rest(self) -> None:
        """Wait for as long as the last failure calls for."""
        if self._shared:
            self._patience.hold(self._delay)
            self._patience.wait()
        else:
            self._patience.sleep(self._delay)

    def after(self, error: RegistryError) -> bool:
        """Wait after an error and return true, or false at once for one that will stay."""
        if not error.temporary or not self.worth(error.status, error.wait, error.tries):
            return False
        self.rest()
        return True

    def _backoff(self) -> float:
        limits = self._patience.limits
        longest: float = min(limits.backoff * 2 ** (self._failures - 1), limits.longest_backoff)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
