"""Locks that the dead cannot hold, and what the dead left behind.

A process locks (flock(2)) what it writes beside its final name for as long as it lives;
the kernel frees the lock of a process that was killed. So whoever gets the lock of such
a file knows that nobody will finish it, and may remove it.

A lock counts only while its file still has its name: who removes a file holds its lock,
and who waited for that lock finds the name gone, or somebody else's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["NEW", "clear", "has_name", "scratch", "sweep", "temporary", "try_lock"]

NEW: Final = ".new-"
_DAY: Final = 24 * 3600
_TRIES: Final = 10
_RANDOM: Final = re.compile(r"[a-z0-9_]{8}")  # what tempfile appends to a prefix


def try_lock(handle: int, *, shared: bool = False) -> bool | None:
    """Lock an open file for as long as it is open; false where another has it.

    Any number can share a lock, but not with one who has it alone. None where the file
    system has no locks: then everybody goes on without.
    """
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno == errno.EWOULDBLOCK else None
    return True


def has_name(handle: int, path: Path | str) -> bool:
    """Tell whether the open file is the one of that name; raises :class:`OSError`."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def temporary(folder: Path) -> tuple[int, str]:
    """Make a locked file in `folder` to write to; return it open, and its name.

    Raises :class:`OSError`.
    """
    return _made(folder, lambda: tempfile.mkstemp(prefix=NEW, dir=folder))


@contextmanager
def scratch(folder: Path, prefix: str) -> Iterator[Path]:
    """Give a locked directory in `folder`, removed at the end with all that is in it.

    Those of the same prefix that killed processes left are removed first. Raises
    :class:`OSError`.
    """

    def make() -> tuple[int, str]:
        name = tempfile.mkdtemp(prefix=prefix, dir=folder)
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), name

    sweep(folder, prefix)
    handle, name = _made(folder, make)
    try:
        yield Path(name)
    finally:
        _loosen(handle)
        shutil.rmtree(name, ignore_errors=True)
        os.close(handle)


def sweep(folder: Path, prefix: str = NEW) -> None:
    """Remove what killed processes left in `folder` under names that `prefix` begins."""
    with suppress(OSError):
        for path in folder.iterdir():
            name = path.name
            if name.startswith(prefix) and _RANDOM.fullmatch(name.removeprefix(prefix)):
                clear(path)


def clear(path: Path) -> bool:
    """Remove a file or directory, if whoever was writing it is dead; tell whether.

    Where the file system has no locks, who has not written for a day is taken for dead.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(OSError):
        handle = os.open(path, flags)
        try:
            status = os.fstat(handle)
            is_free = try_lock(handle)
            if is_free is None:
                is_free = time.time() - status.st_mtime > _DAY
            if not is_free or not has_name(handle, path):
                return False
            if stat.S_ISDIR(status.st_mode):
                _loosen(handle)
                shutil.rmtree(path)
            else:
                path.unlink()
            return True
        finally:
            os.close(handle)
    return False


def _loosen(handle: int) -> None:
    """Let a directory be removed: its owner may enter all below it. Follows no link."""
    with suppress(OSError, RecursionError), os.scandir(handle) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                _loosen_one(handle, entry.name)


def _loosen_one(handle: int, name: str) -> None:
    flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    # What may not be read can be opened so, and then be changed by its number.
    place = os.open(name, os.O_PATH | flags, dir_fd=handle)
    try:
        os.chmod(f"/proc/self/fd/{place}", 0o700)  # noqa: PTH101
        child = os.open(".", os.O_RDONLY | flags, dir_fd=place)
    finally:
        os.close(place)
    try:
        _loosen(child)
    finally:
        os.close(child)


def _made(folder: Path, make: Callable[[], tuple[int, str]]) -> tuple[int, str]:
    """Make something in `folder` and lock it before anybody takes it for left behind."""
    for left in reversed(range(_TRIES)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = make()
        except (FileNotFoundError, FileExistsError):
            # Who prunes a cache removes empty directories, perhaps just now this one; then
            # mkdir may find it there, and a moment later not.
            if not left:
                raise
            continue
        if try_lock(handle) is not False and has_name(handle, name):
            return handle, name
        os.close(handle)
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(folder))
