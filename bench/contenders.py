"""Who is measured: ourselves cold and warm, the physical floor, a script of peers."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Contender", "contenders"]

TARGET = "3.13-debian13"
Prepare = Callable[[], None]


@dataclass(frozen=True)
class Contender:
    """A name, what makes each run start alike, and the command of a run by its number."""

    name: str
    prepare: Prepare
    command: Callable[[int], list[str]]


def contenders(host: str, work: Path) -> Iterator[Contender]:
    """Yield everyone that this machine has; all read from and push to `host`."""
    cache = work / "cache"

    def ours(repository: str) -> list[str]:
        return [
            sys.executable, "-m", "layersmith", "assemble", TARGET, "--quiet",
            f"--mirror=docker.io={host}", f"--mirror=gcr.io={host}",
            f"--push={host}/{repository}", f"--cache-dir={cache}",
        ]  # fmt: skip

    def nothing() -> None:
        """Leave everything as it is."""

    def forget() -> None:
        shutil.rmtree(cache, ignore_errors=True)

    yield Contender("layersmith, cold, both platforms", forget, lambda n: ours(f"cold/{n}"))
    yield Contender("layersmith, warm, nothing changed", nothing, lambda _: ours("cold/0"))
    yield Contender("layersmith, warm, new repository", nothing, lambda n: ours(f"warm/{n}"))
    floor = [sys.executable, str(Path(__file__).with_name("floor.py")), host]
    yield Contender("floor: download, inflate, hash, deflate", nothing, lambda _: floor)
    yield Contender(
        "layersmith --help", nothing, lambda _: [sys.executable, "-m", "layersmith", "--help"]
    )
    if shutil.which("skopeo") and shutil.which("umoci"):
        script = str(Path(__file__).with_name("peers.sh"))
        place = work / "peers"
        yield Contender(
            "skopeo + umoci + tar, ONE platform",
            lambda: shutil.rmtree(place, ignore_errors=True),
            lambda n: ["bash", script, host, str(place), f"peers/{n}"],
        )
