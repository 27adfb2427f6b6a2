"""Threads that stop together: one failure, or ctrl-C, ends all at their next chunk.

What waits for its turn is not begun any more, and who waits for a peer that says nothing is let
go: see :meth:`Crew.at_stop`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from layersmith.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layersmith.oci.content import Progress

__all__ = ["Crew"]


class Crew:
    """Hands out thread pools, and is the observer that every chunk passes.

    Whoever moves bytes reports them to :meth:`advance`; after a failure that call
    raises :class:`Interrupted`, so that no thread goes on for nothing.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stopped = Event()
        self._pools: list[ThreadPoolExecutor] = []
        self._ends: list[Callable[[], None]] = []

    def at_stop(self, end: Callable[[], None]) -> None:
        """Call `end` when the crew is stopped: it ends what threads wait for."""
        self._ends.append(end)

    def advance(self, task: str, done: int, total: int) -> None:
        """Pass the report on; raise where the crew has been stopped."""
        if self._stopped.is_set():
            raise Interrupted("stopped")
        self._progress.advance(task, done, total)

    @contextmanager
    def pool(self, workers: int, name: str) -> Iterator[ThreadPoolExecutor]:
        """Run tasks on threads; an exception in the block stops all threads of the crew."""
        executor = ThreadPoolExecutor(workers, name)
        self._pools.append(executor)
        try:
            yield executor
        except BaseException:
            self._stop()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
            self._pools.remove(executor)

    def _stop(self) -> None:
        self._stopped.set()
        # All pools at once: the threads of one may wait for what another has not begun.
        for executor in tuple(self._pools):
            executor.shutdown(wait=False, cancel_futures=True)
        for end in tuple(self._ends):
            end()
