"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layersmith.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

__all__ = ["Appearing", "appearing", "disk_errors"]

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space, or point elsewhere",
    errno.EDQUOT: "the quota is used up: free some space, or point elsewhere",
    errno.EROFS: "the file system is read-only: choose another place",
    errno.EACCES: "choose a directory that you may write to",
    errno.EPERM: "choose a directory that you may write to",
}


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn an OSError inside into an :class:`OutputError` that starts with `what`."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        raise OutputError(f"{what}: {error.strerror or error}", hint=hint) from None


class Appearing:
    """A file that is being written; `path` is where it will appear."""

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self.path = path

    def write(self, data: bytes | memoryview) -> None:
        """Write all of `data`; the system may take less, as it does on a disk that fills."""
        written = self._file.write(data)
        while written < len(data):
            data = memoryview(data)[written:]
            written = self._file.write(data)


@contextmanager
def appearing(path: Path, *, durable: bool = False) -> Iterator[Appearing]:
    """Write a file beside `path`, and rename it there when the block ends well.

    The block may still change the name, within the directory. With `durable` the bytes
    are on the disk before the name is. Whatever happens, no partial file keeps the
    final name, and on an error none is left at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            new = Appearing(file, path)
            yield new
            os.fchmod(handle, 0o644)
            if durable:
                os.fsync(handle)
        os.replace(temporary, new.path)  # noqa: PTH105 - the name is a string already
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    if durable:
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
