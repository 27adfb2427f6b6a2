"""Files that appear whole or not at all, also on a disk that fails."""

from __future__ import annotations

import errno
import os
import resource
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from layersmith.errors import OutputError
from layersmith.stores.files import appearing, disk_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file grow beyond `size`: the last write takes a part, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write(path: Path, pieces: int, size: int, error: type[BaseException] | None = None) -> None:
    with appearing(path) as file:
        for _ in range(pieces):
            file.write(bytes(size // pieces))
        if error is not None:
            raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_appears_with_all_its_bytes(tmp_path: Path) -> None:
    with appearing(tmp_path / "a/b/f") as file:
        file.write(b"one, ")
        file.write(memoryview(b"two"))
        assert not (tmp_path / "a/b/f").exists()
    assert (tmp_path / "a/b/f").read_bytes() == b"one, two"
    assert names(tmp_path / "a/b") == ["f"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_at_once(tmp_path: Path, *, durable: bool) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with appearing(tmp_path / "f", durable=durable) as file:
        file.write(b"new")
        assert (tmp_path / "f").read_bytes() == b"old"
    assert (tmp_path / "f").read_bytes() == b"new"


def test_no_file_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(20):
        with appearing(tmp_path / str(number), durable=True):
            pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_everybody_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with appearing(tmp_path / "f"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o644


def test_the_name_may_be_chosen_at_the_end(tmp_path: Path) -> None:
    with appearing(tmp_path / "unnamed") as file:
        file.write(b"x")
        file.path = tmp_path / "named"
    assert names(tmp_path) == ["named"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(error):
        write(tmp_path / "f", 1, 5, error)
    assert names(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_disk_that_is_full_is_an_error_and_never_a_short_file(
    tmp_path: Path, pieces: int
) -> None:
    with disk_of(100_000), pytest.raises(OSError, match="File too large") as caught:
        write(tmp_path / "f", pieces, 120_000)
    assert caught.value.errno == errno.EFBIG
    assert names(tmp_path) == []


def test_a_directory_that_cannot_be_synced_is_an_error_unless_nothing_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        honest(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"), appearing(tmp_path / "f", durable=True):
        pass
    with appearing(tmp_path / "g", durable=True, last=True) as file:
        file.write(b"x")
    assert (tmp_path / "g").read_bytes() == b"x"


def test_it_may_wait_elsewhere(tmp_path: Path) -> None:
    with appearing(tmp_path / "f", beside=tmp_path / "deep" / "er") as file:
        file.write(b"x")
        assert len(names(tmp_path / "deep" / "er")) == 1
    assert names(tmp_path / "deep" / "er") == []
    assert (tmp_path / "f").read_bytes() == b"x"


def test_a_parent_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(OutputError, match="writing x: "), disk_errors("writing x"):
        write(tmp_path / "f/g", 1, 1)


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may write"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, ""),
    ],
)
def test_a_disk_error_says_what_failed_and_what_to_try(number: int, word: str) -> None:
    with pytest.raises(OutputError) as caught, disk_errors("writing f"):
        raise OSError(number, os.strerror(number), "secret path")
    assert str(caught.value) == f"writing f: {os.strerror(number)}"
    assert word in caught.value.hint
    assert bool(word) == bool(caught.value.hint)


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), disk_errors("x"):
        raise ZeroDivisionError


@pytest.mark.parametrize("durable", [False, True])
def test_a_fresh_file_takes_no_place_of_another_that_came_meanwhile(
    tmp_path: Path, durable: bool
) -> None:
    path = tmp_path / "key"

    def late() -> None:
        with appearing(path, fresh=True, durable=durable, mode=0o600) as new:
            new.write(b"ours")
            path.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        late()
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]
    path.unlink()
    with appearing(path, fresh=True, durable=durable, mode=0o600) as new:
        new.write(b"ours")
    assert path.read_bytes() == b"ours"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_no_device_and_no_pipe_is_replaced_but_fed(tmp_path: Path) -> None:
    null, pipe, out = tmp_path / "null", tmp_path / "pipe", tmp_path / "out"
    null.symlink_to(os.devnull)
    os.mkfifo(pipe)
    with (tmp_path / "file").open("w+b") as file:
        out.symlink_to(f"/proc/self/fd/{file.fileno()}")  # as /dev/stdout is
        for path in (null, pipe, out):
            with pytest.raises(OutputError, match="a device or a pipe"), disk_errors("x"):
                write(path, 1, 1)
        with pytest.raises(OutputError, match=r"writing .*pipe: No such device"):
            write_whole(pipe, b"nobody reads")
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        for path in (null, pipe, out):
            write_whole(path, b"bytes")
        assert os.read(reader, 10) == file.read() == b"bytes"
        os.close(reader)
    assert null.is_char_device()
    assert names(tmp_path) == ["file", "null", "out", "pipe"]
