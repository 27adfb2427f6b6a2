"""R5: whatever rots in the cache, an assemble heals it and gives the same digest."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.build.world import write_world

from layersmith.assemble.assembling import assemble
from layersmith.assemble.workshop import Workshop
from layersmith.oci.content import NoProgress
from layersmith.oci.graph import walk
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.target import Target
from layersmith.stores.layout import Layout
from layersmith.stores.registry import RegistryOptions

TARGET = Target.parse("3.13-debian13")


def flip(at: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        raw = bytearray(path.read_bytes())
        if raw:
            raw[min(int(len(raw) * at), len(raw) - 1)] ^= 1
        path.write_bytes(raw)

    return damage


def empty(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "first bit": flip(0),
    "a bit in the middle": flip(0.5),
    "a bit in a file": flip(0.61),
    "last bit": flip(1),
    "cut": truncate,
    "empty": empty,
    "zeros": replace,
    "longer": lengthen,
    "gone": remove,
}

FORGOTTEN = ("nothing", "the outcome", "all memos")


class Site:
    """Inputs, a cache, and what an assemble gives."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.base, self.builder = write_world(folder, b"text")
        self.expected = self.assemble()
        shutil.copytree(self.cache, folder / "whole")

    def assemble(self) -> str:
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        recipe = Recipe(
            target=str(TARGET), base=self.base, builder=self.builder,
            platforms=("linux/amd64",), output=f"oci:{out}:t",
        ).check()  # fmt: skip
        with Workshop(self.cache, RegistryOptions(), NoProgress()) as workshop:
            digest = assemble(workshop, TARGET, recipe).outcome.index.descriptor.digest
        layout = Layout(out)
        node = walk(layout, layout.resolve("t"))
        assert all(layout.has(blob) for one in node.nodes() for blob in one.blobs)
        return str(digest)

    def files(self) -> list[Path]:
        whole = self.folder / "whole"
        return sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())

    def renew(self, forget: str) -> None:
        """Make the cache whole again.

        Without the record of the outcome everything is planned again, without all memos
        packed too.
        """
        shutil.rmtree(self.cache)
        shutil.copytree(self.folder / "whole", self.cache)
        memos = list((self.cache / "v1" / "memo").iterdir())
        outcomes = [memo for memo in memos if b'"python":' in memo.read_bytes()]
        assert len(outcomes) == 1 < len(memos)
        for memo in {"nothing": [], "the outcome": outcomes, "all memos": memos}[forget]:
            memo.unlink()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("forget", FORGOTTEN)
@pytest.mark.parametrize("name", DAMAGES)
def test_every_file_that_rots_is_healed(site: Site, name: str, forget: str) -> None:
    files = site.files()
    assert len(files) > 12
    for path in files:
        site.renew(forget)
        if (site.cache / path).exists():
            DAMAGES[name](site.cache / path)
        assert site.assemble() == site.expected, path
        assert site.assemble() == site.expected, path


@pytest.mark.parametrize("forget", FORGOTTEN)
def test_two_files_that_are_swapped_are_healed(site: Site, forget: str) -> None:
    files = site.files()
    for one, two in pairwise(files):
        site.renew(forget)
        if (site.cache / one).exists() and (site.cache / two).exists():
            (site.cache / one).rename(site.cache / "aside")
            (site.cache / two).rename(site.cache / one)
            (site.cache / "aside").rename(site.cache / two)
        assert site.assemble() == site.expected, (one, two)


@pytest.mark.parametrize("name", ["a bit in the middle", "a bit in a file", "cut", "zeros"])
def test_everything_rots_at_once(site: Site, name: str) -> None:
    for forget in FORGOTTEN:
        site.renew(forget)
        for path in [p for p in site.cache.rglob("*") if p.is_file()]:
            DAMAGES[name](path)
        assert site.assemble() == site.expected


def test_the_tars_rot_everywhere_while_the_indexes_stay(site: Site) -> None:
    # The indexes say what to read: the damage is found by the ELF reader or while packing.
    site.renew("all memos")
    for tar in (site.cache / "v1/layers").glob("*/tar"):
        raw = bytearray(tar.read_bytes())
        raw[512:] = bytes(byte ^ 1 for byte in raw[512:])
        tar.write_bytes(raw)
    assert site.assemble() == site.expected
