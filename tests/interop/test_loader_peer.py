"""Our resolution against that of glibc's own loader: every need, its path, the order."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.build.disk import disk_root
from tests.build.elf import DYN, EXEC
from tests.interop.glibc_peers import Listed, all_listed
from tests.interop.synthetic import Web

from layersmith.analysis.closure import load
from layersmith.analysis.glibc import find_glibc
from layersmith.analysis.ldcache import write_cache
from layersmith.analysis.ldconf import configured
from layersmith.analysis.ldindex import read_index
from layersmith.analysis.linkmap import LinkMap
from layersmith.analysis.loader import Broken, How, Loader
from layersmith.analysis.objects import Objects, Opened
from layersmith.analysis.problems import AbiMismatch, Problems
from layersmith.rootfs.entries import File
from layersmith.rootfs.tree import Root

pytestmark = pytest.mark.interop

ARCHES = ("amd64", "arm64")
SEEDS = {"amd64": 40, "arm64": 12}

Rootfs = Callable[[str, str], Path]


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize(("kind", "least"), [("base", 20), ("builder", 150), ("result", 80)])
def test_every_object_of_a_real_root(kind: str, least: int, arch: str, rootfs: Rootfs) -> None:
    path = rootfs(kind, arch)
    root = disk_root(path)
    objects = objects_in(root)
    theirs = all_listed(path, arch, objects)
    loader = loader_of(root)

    ours = {name: as_listed(load(loader, opened)) for name, opened in objects.items()}

    assert len(objects) >= least
    assert ours == {name: without_repeats(answer) for name, answer in theirs.items()}


@pytest.mark.parametrize("arch", ARCHES)
def test_random_webs_of_objects(arch: str, rootfs: Rootfs, tmp_path: Path) -> None:
    glibc = rootfs("base", arch)
    different = []
    for seed in range(SEEDS[arch]):
        path = tmp_path / str(seed)
        path.mkdir()
        names = Web(path, arch, random.Random(seed)).weave(glibc)
        (path / "etc/ld.so.cache").write_bytes(write_cache(disk_root(path)))
        root = disk_root(path)
        loader, objects = loader_of(root), objects_in(root)
        theirs = all_listed(path, arch, [name for name in names if name in objects])
        for name, answer in theirs.items():
            loaded = load(loader, objects[name])
            if is_own(objects[name], loader) and not agrees(loaded, loader, answer):
                different.append((seed, name, as_listed(loaded), answer))
        shutil.rmtree(path)
    assert not different


def is_own(opened: Opened, loader: Loader) -> bool:
    return opened.elf is not None and opened.elf.abi == loader.glibc.abi


def agrees(loaded: LinkMap, loader: Loader, answer: Listed | str) -> bool:
    """Whether the loader says the same: the same objects, or the same kind of fault."""
    if not isinstance(answer, str):
        return as_listed(loaded) == without_repeats(answer)
    mismatches = [p for p in Problems(loader.paths).of(loaded) if isinstance(p, AbiMismatch)]
    if re.search(r"version `.*' not found", answer):
        return bool(mismatches)
    return any(isinstance(need.found, Broken) for need in loaded.needs)


def loader_of(root: Root) -> Loader:
    objects = Objects()
    glibc = find_glibc(root, objects)
    assert glibc is not None
    return Loader(root, glibc, read_index(root, glibc, configured(root), objects), objects)


def objects_in(root: Root) -> dict[str, Opened]:
    """Return everything in the root that the loader would look at twice."""
    objects = Objects()
    found: dict[str, Opened] = {}
    for path, entry in root.tree.walk():
        opened = objects.open(root, path) if isinstance(entry, File) else None
        if opened is not None and opened.elf is not None and opened.elf.type in (EXEC, DYN):
            found[path] = opened
    return found


def as_listed(loaded: LinkMap) -> Listed:
    """Write a link map as the loader lists it: each object by its first name."""
    result: dict[str, str | None] = {}
    seen = {id(loaded.objects[0])}
    for _, name, found in loaded.needs:
        if found is None:
            result.setdefault(name, None)
        elif isinstance(found, Broken):
            result[name] = "broken"
        elif id(found) not in seen and found.how is not How.LOADER:
            seen.add(id(found))
            result[name] = found.name
    return tuple(result.items())


def without_repeats(answer: Listed | str) -> Listed | str:
    """The loader names an absent library once for each need."""
    return answer if isinstance(answer, str) else tuple(dict(answer).items())
