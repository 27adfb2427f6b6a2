"""Who is measured: ourselves cold and warm, the physical floor, scripts of the peers."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers import NEEDS, found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["COLD", "TARGET", "Contender", "assembling", "contenders"]

TARGET = "3.13-debian13"
COLD = "layersmith, cold, both platforms"
HERE = Path(__file__).parent
# Left out one after the other: a recipe that was not asked for before.
MODULES = ("this", "antigravity", "cProfile", "pstats", "tabnanny", "trace", "wave", "zipapp")
PROGRAM = (sys.executable, "-m", "layersmith")


@dataclass(frozen=True)
class Contender:
    """A name, the command of a run by host and number, and what makes runs start alike."""

    name: str
    command: Callable[[str, int], list[str]]
    prepare: Callable[[], None] = lambda: None
    rounds: int = 100


def assembling(host: str, cache: Path, *more: str) -> list[str]:
    """Return the command that assembles both platforms, from images in the registry `host`."""
    mirrors = [f"--mirror=docker.io={host}", f"--mirror=gcr.io={host}"]
    return [*PROGRAM, "assemble", TARGET, "--quiet", f"--cache-dir={cache}", *mirrors, *more]


def contenders(work: Path, tars: list[str], lists: Path) -> Iterator[Contender]:
    """Yield everyone that this machine has; what one leaves, the next may find."""
    cache, place = work / "cache", work / "place"

    def ours(host: str, repository: str) -> list[str]:
        return assembling(host, cache, f"--push={host}/{repository}")

    def forget() -> None:
        shutil.rmtree(cache, ignore_errors=True)

    def clear() -> None:
        shutil.rmtree(place, ignore_errors=True)

    yield Contender(COLD, lambda host, n: ours(host, f"cold/{n}"), forget)
    yield Contender("layersmith, warm, nothing changed", lambda host, n: ours(host, f"cold/{n}"))
    yield Contender("layersmith, warm, new repository", lambda host, n: ours(host, f"warm/{n}"))
    yield Contender(
        "layersmith, warm, recipe changed",
        lambda host, n: [*ours(host, f"recipe/{n}"), f"--exclude=**/{MODULES[n % 8]}.py"],
    )
    yield Contender("layersmith --help", lambda _, __: [*PROGRAM, "--help"])
    floor = [sys.executable, str(HERE / "floor.py")]
    yield Contender(
        "floor: download, inflate, hash, deflate", lambda host, _: [*floor, host, *tars]
    )
    for name, script, rounds, scope in (
        ("crane", "crane.sh", 5, "both platforms"),
        ("skopeo + umoci + tar", "umoci.sh", 5, "ONE platform"),
        ("buildah", "buildah.sh", 2, "ONE platform"),
    ):
        if all(map(found, NEEDS[name])):
            command = _script(script, place, lists)
            yield Contender(f"{name}, {scope}", command, clear, rounds)


def _script(name: str, place: Path, lists: Path) -> Callable[[str, int], list[str]]:
    words = ["bash", str(HERE / name)]
    return lambda host, number: [*words, host, str(place), f"peers/{number}", str(lists)]
