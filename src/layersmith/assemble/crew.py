"""Threads that stop together: one failure, or ctrl-C, ends all at their next chunk.

What waits for its turn is not begun any more, and who waits for a peer that says nothing is let
go: see :meth:`Crew.at_stop`.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from layersmith.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layersmith.oci.content import Progress

__all__ = ["Crew"]

_T = TypeVar("_T")


class Crew:
    """Hands out thread pools, and is the observer that every chunk passes.

    Whoever moves bytes reports them to :meth:`advance`; after a failure that call
    raises :class:`Interrupted`, so that no thread goes on for nothing.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stopped = Event()
        self._first: BaseException | None = None
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
        """Run tasks on threads; an exception in the block stops all threads of the crew.

        Where another block's has stopped them before, that is the one that is raised.
        """
        executor = _Pool(self._stopped, workers, name)
        self._pools.append(executor)
        try:
            yield executor
        except BaseException as error:
            first = self._stop(error)
            if _follows(error, first):
                raise
            # Who was stopped can only say so, or that a connection was cut.
            raise first from None
        finally:
            executor.shutdown(cancel_futures=True)
            self._pools.remove(executor)

    def _stop(self, error: BaseException) -> BaseException:
        """Stop all threads, and return the error that did so first."""
        if self._first is None:
            self._first = error
        self._stopped.set()
        # All pools at once: the threads of one may wait for what another has not begun.
        for executor in tuple(self._pools):
            executor.shutdown(wait=False, cancel_futures=True)
        for end in tuple(self._ends):
            end()
        return self._first


class _Pool(ThreadPoolExecutor):
    """A pool in which nothing is begun any more once its crew has been stopped."""

    def __init__(self, stopped: Event, workers: int, name: str) -> None:
        super().__init__(workers, name)
        self._stopped = stopped

    def submit(self, call: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Begin a task; raises :class:`Interrupted`."""
        try:
            return super().submit(call, *args, **kwargs)
        except RuntimeError:
            if self._stopped.is_set():
                raise Interrupted("stopped") from None
            raise


def _follows(error: BaseException | None, first: BaseException) -> bool:
    """Tell whether an error is another, or was raised because of it."""
    while error is not None and error is not first:
        error = error.__cause__ or error.__context__
    return error is first
