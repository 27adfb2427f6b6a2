"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from layersmith.errors import OutputError, one_line
from layersmith.stores.locks import temporary, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

__all__ = [
    "Appearing",
    "OpenFile",
    "Section",
    "appearing",
    "at_once",
    "disk_errors",
    "local_path",
    "write_whole",
]

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space, or point elsewhere",
    errno.EDQUOT: "the quota is used up: free some space, or point elsewhere",
    errno.EROFS: "the file system is read-only: choose another place",
    errno.EACCES: "choose a directory that you may write to",
    errno.EPERM: "choose a directory that you may write to",
    errno.EMFILE: "this process may open too few files: allow it more (ulimit -n 4096)",
}


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn an OSError inside into an :class:`OutputError` that starts with `what`."""
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        raise OutputError(f"{what}: {error.strerror or error}", hint=hint) from None


def at_once(path: str, flags: int) -> int:
    """Open a file for :func:`open`; one that others must feed (a named pipe) is none."""
    handle = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISFIFO(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.ESPIPE, "a named pipe, not a file", path)
    return handle


class OpenFile:
    """A file descriptor that is closed with the last object that needs it.

    So one thread may let go of a file that another still reads, and a file that was
    unlinked can be read to its end.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        weakref.finalize(self, os.close, handle)
        self.status = os.fstat(handle)

    @classmethod
    def at(cls, path: Path) -> OpenFile:
        """Open `path` for reading; raises :class:`OSError`."""
        # Not to wait for somebody at the other end of a named pipe.
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))

    def has_name(self, path: Path) -> bool:
        """Tell whether this is still the file of that name."""
        try:
            return os.path.samestat(self.status, path.stat())
        except OSError:
            return False

    @property
    def size(self) -> int:
        """How many bytes it had when it was opened."""
        return self.status.st_size

    def try_lock(self, *, shared: bool = False) -> bool | None:
        """Lock it until it is closed; see :func:`layersmith.stores.locks.try_lock`."""
        return try_lock(self._handle, shared=shared)

    def pread(self, size: int, offset: int) -> bytes:
        """Read up to `size` bytes at `offset`, whoever else reads."""
        return os.pread(self._handle, size, offset)

    def whole(self) -> Section:
        """Return all of it as a stream of its own."""
        return Section(self, 0, self.status.st_size)


class Positioned(Protocol):
    """What can be read at any place."""

    def pread(self, size: int, offset: int) -> bytes:
        """Read up to `size` bytes at `offset`, whoever else reads."""


class Section:
    """`size` bytes of an open file from `offset` on; any number can be read side by side."""

    def __init__(self, file: Positioned, offset: int, size: int) -> None:
        self._file = file
        self._at = offset
        self._end = offset + size

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, empty only at the end."""
        left = self._end - self._at
        data = self._file.pread(left if size < 0 else min(size, left), self._at)
        self._at += len(data)
        return data


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

    def reopened(self) -> OpenFile:
        """Return what was written so far, to read, whatever becomes of the name."""
        return OpenFile(os.dup(self._file.fileno()))


@contextmanager
def appearing(
    path: Path,
    *,
    durable: bool = False,
    last: bool = False,
    fresh: bool = False,
    mode: int = 0o644,
    beside: Path | None = None,
) -> Iterator[Appearing]:
    """Write a file beside `path`, and rename it there when the block ends well.

    It waits in the directory `beside` if one is given, of the same file system. The block
    may still change the name, within the directory. With `durable` the bytes are on the
    disk before the name is, with `fresh` it is an error if there is a file of that name, also
    one that came meanwhile. Whatever happens, no partial file has the final name; on an
    error none is left at all, and what a kill leaves is known by its lock.

    A file that was renamed may be taken back by a power cut until its directory is synced
    too. Where that fails it is an error, except for the `last` file of all: it is there now,
    and to say that it is not would be wrong. A device or a pipe is never replaced.
    """
    if _is_fed(path):
        raise OSError(errno.EEXIST, "no file, but a device or a pipe", str(path))
    handle, name = temporary(beside or path.parent)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            new = Appearing(file, path)
            yield new
            os.fchmod(handle, mode)
            if durable:
                os.fsync(handle)
            # Renamed while it is open and so locked: nobody takes it for left behind.
            if fresh:
                os.link(name, new.path)
                os.unlink(name)  # noqa: PTH108
            else:
                os.replace(name, new.path)  # noqa: PTH105 - the name is a string already
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
    if durable:
        with contextlib.suppress(*[OSError] if last else []):
            _sync_directory(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write what a user wants in a file: it appears; a device, a pipe or /dev/stdout is fed.

    Raises :class:`OutputError`.
    """
    with disk_errors(f"writing {one_line(str(path))}"):
        if _is_fed(path):
            with open(path, "ab", buffering=0, opener=_to_feed) as stream:
                Appearing(stream, path).write(data)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with appearing(path) as file:
            file.write(data)


def _is_fed(path: Path) -> bool:
    """Tell whether it is no file that may be replaced: not even root's /dev/null is."""
    try:
        mode = path.stat().st_mode
        is_of_process = path.is_symlink() and os.readlink(path).startswith("/proc/")  # noqa: PTH115 - not the last of links
    except OSError:
        return False
    return is_of_process or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _to_feed(path: str, flags: int) -> int:
    # A pipe that nobody reads from is an error, and not waited for.
    handle = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(handle, True)
    return handle


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def local_path(url: str, folder: Path) -> Path | None:
    """Return the path that a ``file:`` URL or a plain path names; None for other URLs."""
    if url.startswith("file:"):
        path = urlsplit(url).path if url.startswith("file://") else url.removeprefix("file:")
        return folder / unquote(path.partition("#")[0])
    if "://" in url:
        return None
    return folder / url
