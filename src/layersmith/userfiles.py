"""Files that a user names: read to a bound, and never waited for.

A named pipe that nobody writes to would hold a run for ever, so it is refused. What a shell puts
in the place of a file, ``<(command)`` or /dev/stdin, is a pipe without a name, and is read.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

__all__ = ["opened", "read_file"]


def read_file(path: Path, most: int) -> bytes:
    """Return what is in a file, one byte more than `most` if there is more; raises OSError."""
    with opened(path) as file:
        return file.read(most + 1)


def opened(path: Path) -> BufferedReader:
    """Open a file for reading; raises OSError, also for a named pipe."""
    return open(path, "rb", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISFIFO(os.fstat(handle).st_mode) and os.path.lexists(os.path.realpath(path)):
        os.close(handle)
        raise OSError(errno.ESPIPE, "it is a named pipe, not a file", path)
    os.set_blocking(handle, True)
    return handle
