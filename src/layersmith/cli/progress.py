"""Progress: bars on a terminal, a plain line a step elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layersmith.oci.content import NoProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from layersmith.oci.content import Progress

__all__ = ["shown", "size"]


@contextmanager
def shown(*, quiet: bool) -> Iterator[Progress]:
    """Return the observer that suits stderr."""
    if quiet or sys.stderr is None:
        yield NoProgress()
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _Terminal(bars)
    else:
        lines = _Lines()
        yield lines
        lines.finish()


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description:>5}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class _Sums:
    """Adds up tasks by their first word: one figure for all pulls, one for all pushes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self._seen: set[str] = set()

    def add(self, task: str, done: int, total: int) -> str:
        """Count, and return the word."""
        word = task.partition(" ")[0]
        if task not in self._seen:
            self._seen.add(task)
            self.totals[word] = self.totals.get(word, 0) + total
        self.done[word] = self.done.get(word, 0) + done
        return word


class _Terminal:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._sums = _Sums()
        self._tasks: dict[str, TaskID] = {}

    def advance(self, task: str, done: int, total: int) -> None:
        """Move the bar of the task's first word."""
        if not total:
            return
        with self._sums.lock:
            word = self._sums.add(task, done, total)
            if word not in self._tasks:
                self._tasks[word] = self._bars.add_task(word, total=0)
            self._bars.update(
                self._tasks[word],
                completed=self._sums.done[word],
                total=self._sums.totals[word],
            )


class _Lines:
    """One line when a step begins, one with the bytes of all steps at the end."""

    def __init__(self) -> None:
        self._sums = _Sums()

    def advance(self, task: str, done: int, total: int) -> None:
        """Print the step when it is new."""
        if not total:
            return
        with self._sums.lock:
            known = set(self._sums.done)
            word = self._sums.add(task, done, total)
        if word not in known:
            print(f"layersmith: {word} ...", file=sys.stderr, flush=True)  # noqa: T201

    def finish(self) -> None:
        """Print what moved."""
        moved = ", ".join(f"{word} {size(done)}" for word, done in self._sums.done.items())
        if moved:
            print(f"layersmith: {moved}", file=sys.stderr, flush=True)  # noqa: T201


def size(count: float) -> str:
    """Return bytes as people read them: ``13.0 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
