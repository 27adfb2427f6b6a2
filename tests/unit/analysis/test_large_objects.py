"""Large objects are in memory one after the other, however many threads read."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.build.elf import elf
from tests.build.tree import tree

from layersmith.analysis import objects
from layersmith.analysis.objects import Objects
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.rootfs.entries import File

OBJECT = elf(soname="libbig.so.1", needed=["libc.so.6"])


class Slow:
    """Contents that say how many read at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def read(self, file: File) -> bytes:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.05)
        self.now -= 1
        assert isinstance(file.content, bytes)
        return file.content

    def chunks(self, file: File) -> Iterator[bytes]:
        yield self.read(file)


@pytest.mark.parametrize(("huge", "most"), [(len(OBJECT) - 1, 1), (len(OBJECT), 2)])
def test_one_at_a_time(monkeypatch: pytest.MonkeyPatch, huge: int, most: int) -> None:
    monkeypatch.setattr(objects, "_HUGE", huge)
    contents = Slow()
    root = Root(tree({"usr/lib/libbig.so.1": OBJECT}), contents)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: Objects().open(root, "usr/lib/libbig.so.1"), range(2)))
    assert [one and one.elf and one.elf.soname for one in found] == ["libbig.so.1"] * 2
    assert contents.most == most
