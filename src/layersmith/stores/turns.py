"""Taking turns: what many processes want at once is fetched by one of them.

Whoever begins takes a lock named after the work; the others wait, and then look whether
it is done. A lock is only ever a courtesy, for nothing is trusted because of it: the kernel
frees the lock of a process that dies; a holder that shows no sign of life is waited for no
longer; and where there can be no locks everybody goes on without.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from layersmith.stores.locks import has_name, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.oci.content import Progress

__all__ = ["Turns"]

_SILENCE: Final = 30.0  # seconds without a sign of life: as long as a stalled peer may take
_LONGEST: Final = 900.0  # seconds
_SIGN: Final = 1.0  # seconds between two signs of life
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Turns:
    """Locks in a directory, named after what is being done; removed when it is done."""

    def __init__(self, folder: Path, progress: Progress, silence: float = _SILENCE) -> None:
        self._folder = folder
        self._progress = progress
        self._silence = silence
        self._ours: set[int] = set()
        self._guard = Lock()
        self._last = 0.0

    @contextmanager
    def taken(self, name: str, size: int) -> Iterator[None]:
        """Be the only one who works on `name`, as far as that can be had.

        `size` is about how many bytes it is, to be shown while this process waits.
        """
        handle = self._waited(name, size)
        try:
            yield
        finally:
            if handle is not None:
                self._release(handle, self._folder / name)

    @contextmanager
    def free(self, name: str) -> Iterator[bool | None]:
        """Tell whether nobody works on `name`, and keep it so; None where none can know."""
        handle, is_ours = self._tried(name)
        try:
            yield is_ours
        finally:
            if handle is not None:
                self._release(handle, self._folder / name)

    def alive(self) -> None:
        """Show that this process goes on with all that it has taken."""
        now = time.monotonic()
        with self._guard:
            if now - self._last > _SIGN:
                self._last = now
                for handle in self._ours:
                    with suppress(OSError):
                        os.utime(handle)

    def _waited(self, name: str, size: int) -> int | None:
        patience = _Patience(self._silence)
        handle, is_ours = self._tried(name)
        if is_ours is not False:
            return handle
        task = f"waiting for another layersmith: {name}"
        while is_ours is False and patience.lasts(self._folder / name):
            self._progress.advance(task, 0, size)
            time.sleep(patience.pause())
            handle, is_ours = self._tried(name)
        self._progress.advance(task, size, size)
        return handle

    def _tried(self, name: str) -> tuple[int | None, bool | None]:
        """Return the lock, if it can be had at once, and what :func:`try_lock` said."""
        path = self._folder / name
        try:
            handle = _opened(path)
        except OSError:
            return None, None
        is_ours = try_lock(handle)
        with suppress(OSError):
            if is_ours and has_name(handle, path):
                with self._guard:
                    self._ours.add(handle)
                return handle, True
        os.close(handle)
        # Who had it removed it: somebody else may have made it again by now.
        return None, None if is_ours is None else False

    def _release(self, handle: int, path: Path) -> None:
        with self._guard:
            self._ours.discard(handle)
        with suppress(OSError):
            path.unlink()
        os.close(handle)


class _Patience:
    """How long to wait for somebody who may be stuck."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._began = self._heard = time.monotonic()
        self._sign: tuple[int, int] | None = None
        self._pause = 0.005

    def lasts(self, path: Path) -> bool:
        """Look for a sign of life: another holder, or one who touched the file."""
        now = time.monotonic()
        with suppress(OSError):
            status = path.stat()
            sign = (status.st_ino, status.st_mtime_ns)
            if sign != self._sign:
                self._sign, self._heard = sign, now
        return now - self._heard < self._silence and now - self._began < _LONGEST

    def pause(self) -> float:
        """Return how long to sleep: hardly at first, then up to a quarter of a second."""
        self._pause = min(self._pause * 1.5, 0.25)
        return self._pause


def _opened(path: Path) -> int:
    try:
        return os.open(path, _FLAGS, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, _FLAGS, 0o666)
