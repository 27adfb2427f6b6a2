"""Threads that stop together: one failure, or ctrl-C, ends all at their next chunk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING

from layersmith.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    def advance(self, task: str, done: int, total: int) -> None:
        """Pass the report on; raise where the crew has been stopped."""
        if self._stopped.is_set():
            raise Interrupted("stopped")
        self._progress.advance(task, done, total)

    @contextmanager
    def pool(self, workers: int, name: str) -> Iterator[ThreadPoolExecutor]:
        """Run tasks on threads; an exception in the block stops all threads of the crew."""
        executor = ThreadPoolExecutor(workers, name)
        try:
            yield executor
        except BaseException:
            self._stopped.set()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
