"""Taking turns: one works, the others wait, and nobody waits for the dead or the stuck."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.build.dying import killed_while

from layersmith.errors import Interrupted
from layersmith.oci.content import NoProgress
from layersmith.stores.locks import clear
from layersmith.stores.turns import Turns

if TYPE_CHECKING:
    from pathlib import Path


class Heard:
    """An observer that remembers what it was told."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, int, int]] = []

    def advance(self, task: str, done: int, total: int) -> None:
        self.tasks.append((task, done, total))


def test_the_lock_is_gone_afterwards(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "turns", NoProgress())
    with turns.taken("work", 1):
        assert [path.name for path in (tmp_path / "turns").iterdir()] == ["work"]
    with pytest.raises(ZeroDivisionError), turns.taken("work", 1):
        raise ZeroDivisionError
    assert list((tmp_path / "turns").iterdir()) == []


def test_never_two_at_once_whoever_tidies_up_meanwhile(tmp_path: Path) -> None:
    # A process of its own would not see more: flock knows open files, not processes.
    inside, most, done = 0, 0, threading.Event()
    guard = threading.Lock()

    def work(_number: int) -> None:
        nonlocal inside, most
        with Turns(tmp_path, NoProgress()).taken("work", 1):
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.001)
            with guard:
                inside -= 1

    def tidy() -> None:
        while not done.is_set():
            clear(tmp_path / "work")
            time.sleep(0.0005)

    tidier = threading.Thread(target=tidy)
    tidier.start()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    done.set()
    tidier.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_who_waits_says_so_and_comes_next(tmp_path: Path) -> None:
    heard = Heard()
    first = Turns(tmp_path, NoProgress()).taken("blob-x", 7)
    first.__enter__()
    threading.Timer(0.1, lambda: first.__exit__(None, None, None)).start()
    with Turns(tmp_path, heard).taken("blob-x", 7):
        pass
    assert heard.tasks[0] == ("waiting for another layersmith: blob-x", 0, 7)
    assert heard.tasks[-1][1:] == (7, 7)


def test_other_work_is_not_waited_for(tmp_path: Path) -> None:
    heard = Heard()
    with Turns(tmp_path, heard).taken("a", 1), Turns(tmp_path, heard).taken("b", 1):
        assert heard.tasks == []


def test_a_killed_holder_is_not_waited_for(tmp_path: Path) -> None:
    killed_while("Turns(folder, NoProgress()).taken('work', 1)", tmp_path)
    assert (tmp_path / "work").exists()
    heard = Heard()
    with Turns(tmp_path, heard).taken("work", 1):
        assert heard.tasks == []


def test_a_holder_that_shows_no_sign_of_life_is_waited_for_no_longer(tmp_path: Path) -> None:
    stuck, other = Turns(tmp_path, NoProgress()), Turns(tmp_path, NoProgress(), silence=0.2)
    with stuck.taken("work", 1):
        start = time.monotonic()
        with other.taken("work", 1):
            assert 0.15 < time.monotonic() - start < 5
        assert (tmp_path / "work").exists()  # it is still the other's


def test_a_holder_that_goes_on_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layersmith.stores.turns._SIGN", 0.01)
    slow, other = Turns(tmp_path, NoProgress()), Turns(tmp_path, NoProgress(), silence=0.3)
    ended: list[float] = []

    def work() -> None:
        with slow.taken("work", 1):
            begun.set()
            for _ in range(20):
                time.sleep(0.05)
                slow.alive()
            ended.append(time.monotonic())

    begun = threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    with other.taken("work", 1):
        assert ended
    thread.join()


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    class Stopped:
        def advance(self, task: str, done: int, total: int) -> None:
            raise Interrupted("stopped")

    with (
        Turns(tmp_path, NoProgress()).taken("work", 1),
        pytest.raises(Interrupted),
        Turns(tmp_path, Stopped()).taken("work", 1),
    ):
        pass


def test_without_locks_everybody_goes_on(tmp_path: Path, no_locks: None) -> None:
    turns = Turns(tmp_path, NoProgress())
    with turns.taken("work", 1), turns.taken("work", 1):
        pass
    with turns.free("work") as is_free:
        assert is_free is None


def test_where_nothing_can_be_written_everybody_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    turns = Turns(tmp_path / "file" / "turns", NoProgress())
    with turns.taken("work", 1), turns.taken("work", 1), turns.free("work") as is_free:
        assert is_free is None


def test_what_is_free_is_kept_so(tmp_path: Path) -> None:
    one, two = Turns(tmp_path, NoProgress()), Turns(tmp_path, NoProgress())
    with one.free("work") as is_free:
        assert is_free
        with two.free("work") as is_free_too:
            assert is_free_too is False
    with two.taken("work", 1), one.free("work") as is_free:
        assert is_free is False
