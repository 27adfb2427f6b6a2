"""Locks that the dead cannot hold: what they left is found, what the living hold stays."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from tests.build.dying import killed_while

from layersmith.stores.files import appearing
from layersmith.stores.locks import clear, has_name, scratch, sweep, temporary, try_lock


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_lock_is_for_one_and_ends_with_its_file(tmp_path: Path) -> None:
    one, two = (os.open(tmp_path / "f", os.O_CREAT | os.O_RDWR) for _ in range(2))
    assert try_lock(one)
    assert try_lock(two) is False
    os.close(one)
    assert try_lock(two)
    os.close(two)


def test_no_locks_is_neither_ours_nor_anothers(tmp_path: Path, no_locks: None) -> None:
    handle = os.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)
    assert try_lock(handle) is None
    os.close(handle)


def test_a_name_can_be_lost_and_taken(tmp_path: Path) -> None:
    path = tmp_path / "f"
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    assert has_name(handle, path)
    path.unlink()
    assert not has_name(handle, path)
    path.write_bytes(b"another")
    assert not has_name(handle, path)
    os.close(handle)


def test_a_file_that_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with appearing(tmp_path / "f") as file:
        file.write(b"x")
        sweep(tmp_path)
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == ["f"]


def test_a_file_that_a_killed_process_was_writing_is_swept(tmp_path: Path) -> None:
    killed_while("appearing(folder / 'f')", tmp_path)
    assert len(names(tmp_path)) == 1
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_directory_that_a_killed_process_left_goes_when_the_next_is_made(tmp_path: Path) -> None:
    (tmp_path / "other-abcdefgh").mkdir()
    killed_while("scratch(folder, 'prefix-')", tmp_path)
    (left,) = tmp_path.glob("prefix-*")
    (left / "deep").mkdir()
    with scratch(tmp_path, "prefix-") as one, scratch(tmp_path, "prefix-") as two:
        assert not left.exists()
        assert one.is_dir()
        assert two.is_dir()
    assert names(tmp_path) == ["other-abcdefgh"]


def test_names_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    for name in (".new-", ".new-short", ".new-morethaneight", ".new-ABCDEFGH", "new-abcdefgh"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".new-abcdefgh").symlink_to("elsewhere")
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    sweep(tmp_path / "not there")


def test_what_somebody_else_may_be_writing_goes_after_a_day(tmp_path: Path, no_locks: None) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    assert not clear(path)
    os.utime(path, (time.time() - 90_000,) * 2)
    assert clear(path)
    assert not clear(path)


def test_a_new_file_that_was_taken_for_left_behind_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.fstat
    swept: list[str] = []

    def fstat(handle: int) -> os.stat_result:
        if not swept:  # between the lock and the look somebody removes it
            swept.extend(names(tmp_path))
            (tmp_path / swept[0]).unlink()
        return honest(handle)

    monkeypatch.setattr(os, "fstat", fstat)
    handle, name = temporary(tmp_path)
    assert names(tmp_path) == [Path(name).name] != swept
    os.close(handle)


def test_a_directory_that_always_vanishes_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.mkstemp", _vanished)
    with pytest.raises(FileNotFoundError):
        temporary(tmp_path)


def _vanished(**_about: object) -> tuple[int, str]:
    raise FileNotFoundError


def test_a_directory_that_nobody_may_enter_is_removed_by_its_owner(tmp_path: Path) -> None:
    """Root may enter everything, so an ordinary user does it."""
    victim = tmp_path / "victim"
    (victim / "in").mkdir(parents=True)
    victim.chmod(0o555)
    folder = Path(tempfile.mkdtemp(prefix="layersmith-locks-"))  # pytest's own is closed to others
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.chown(folder, 65534, 65534)
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            with scratch(folder, "a-") as inside:
                (inside / "shut" / "deep").mkdir(parents=True)
                (inside / "shut" / "deep" / "f").touch()
                (inside / "link").symlink_to(victim)
                (inside / "shut" / "deep").chmod(0)
                (inside / "shut").chmod(0)
            os._exit(len(names(folder)))
        finally:
            os._exit(99)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shutil.rmtree(folder)
    assert status == 0
    assert victim.stat().st_mode & 0o777 == 0o555
    assert names(victim) == ["in"]
