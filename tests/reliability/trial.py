"""Trials of hostile input in one process: what escapes, how long each takes, how large we get.

Time is processor time, in seconds of a machine that has nothing else to do: where many
share a processor a fixed piece of work shows by how much it is slower just then. On the
machine of the figures (Python 3.11, best of three) it took 0.0067 to 0.0083 s while eight
processes shared two processors, and 0.0068 s was the least of 450. A trial
that takes too long is interrupted, and so found out even if it would never end; it has a
second chance, because a moment may be bad.
"""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from layersmith.errors import LayersmithError

_YARDSTICK = 20_000  # names to make and sort, and the seconds that takes on an idle machine
_IDLE = 0.0068
_TRIES = 3  # the first of a process pays for its memory
_MOMENT = 2.0


class HungError(BaseException):
    """Raised in a trial that takes too long; not an Exception, so that nothing swallows it."""


@dataclass
class Tally:
    """What came of trials: their number, the slowest, the largest, and every miss."""

    seconds: float  # that one may take
    count: int = 0
    refused: int = 0
    slowest: tuple[float, str] = (0.0, "")
    misses: list[str] = field(default_factory=list)

    def attempt(self, name: str, run: Callable[[], object]) -> str | None:
        """Run one trial; return the message of our own error, None if there was none."""
        self.count += 1
        try:
            try:
                return self._once(name, run)
            except HungError:
                return self._once(name, run)
        except HungError:
            self.misses.append(f"{name}: took longer than {self.seconds:g} s, twice")
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            self.misses.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
        return None

    def _once(self, name: str, run: Callable[[], object]) -> str | None:
        slower = slowness()
        started = time.process_time()
        try:
            with interrupted_after(self.seconds * slower):
                run()
        except LayersmithError as error:
            self.refused += 1
            return error.message
        finally:
            spent = (time.process_time() - started) / slower
            if spent < self.seconds:
                self.slowest = max(self.slowest, (spent, name))
        return None

    def add(self, other: Tally) -> None:
        """Take in the trials of another process."""
        self.count += other.count
        self.refused += other.refused
        self.slowest = max(self.slowest, other.slowest)
        self.misses += other.misses


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise :class:`HungError` in the block when it has had `seconds` of the processor."""

    def hung(_signal: int, _frame: FrameType | None) -> None:
        raise HungError

    before = signal.signal(signal.SIGPROF, hung)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


_known_slowness = (float("-inf"), 1.0)  # when it was measured, and what it was


def slowness() -> float:
    """Return by how much memory and processor are slower now than on an idle machine.

    At least 1: nobody gets less time because a machine is fast.
    """
    global _known_slowness  # noqa: PLW0603 - remembered for a moment
    now = time.monotonic()
    if now - _known_slowness[0] > _MOMENT:
        gc.disable()
        spent = min(_measured() for _ in range(_TRIES))
        gc.enable()
        _known_slowness = now, max(1.0, spent / _IDLE)
    return _known_slowness[1]


def _measured() -> float:
    """Return the seconds that the fixed piece of work takes now."""
    started = time.process_time()
    numbers = {f"lib{n}.so": (n, str(n)) for n in range(_YARDSTICK)}
    sorted(numbers, key=lambda name: numbers[name][1])
    return time.process_time() - started


def peak_mib() -> float:
    """Return the most memory that this process had since :func:`forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def forget_peak() -> None:
    """Let the peak be what the process has now."""
    Path("/proc/self/clear_refs").write_text("5")
