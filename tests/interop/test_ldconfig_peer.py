"""Our ld.so.cache against the one that ldconfig itself writes, byte for byte.

The ldconfig is the builder's own: Debian's is static, and so runs anywhere, with an
emulator for the other architecture.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.build.disk import disk_root
from tests.build.elf import elf
from tests.interop.glibc_peers import emulator_line
from tests.interop.synthetic import MACHINES, Planter

from layersmith.analysis.glibc import Glibc, find_glibc
from layersmith.analysis.ldcache import encode, write_cache
from layersmith.analysis.ldconf import configured
from layersmith.analysis.ldindex import Index, read_index
from layersmith.analysis.objects import Objects

pytestmark = pytest.mark.interop

ARCHES = ("amd64", "arm64")
SEEDS = 60

Rootfs = Callable[[str, str], Path]


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("kind", ["base", "builder", "result"])
def test_the_cache_of_a_real_root_is_ldconfigs(
    kind: str, arch: str, rootfs: Rootfs, tmp_path: Path
) -> None:
    root = rootfs(kind, arch)
    copy = copy_without_contents_to_change(root, tmp_path / "root")
    theirs = ldconfig(rootfs("builder", arch), arch, copy)

    assert write_cache(disk_root(root)) == theirs
    if kind == "result":
        assert (root / "etc/ld.so.cache").read_bytes() == theirs


@pytest.mark.parametrize("arch", ARCHES)
def test_the_cache_of_any_root_is_ldconfigs(arch: str, rootfs: Rootfs, tmp_path: Path) -> None:
    builder = rootfs("builder", arch)
    glibc = glibc_of(builder)
    different = []
    for seed in range(SEEDS):
        root = tmp_path / str(seed)
        root.mkdir()
        Planter(root, arch, random.Random(seed)).plant()
        index = index_of(root, glibc)
        ours = encode(index, f"ldconfig {glibc.words}", little_endian=True)
        if ours != ldconfig(builder, arch, root):
            different.append(seed)
        shutil.rmtree(root)
    assert not different


@pytest.mark.parametrize("arch", ARCHES)
def test_new_links_are_those_that_ldconfig_makes(arch: str, rootfs: Rootfs, tmp_path: Path) -> None:
    builder = rootfs("builder", arch)
    libraries = tmp_path / "usr/lib"
    libraries.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    for name, soname in [
        ("liba.so.1.2", "liba.so.1"),
        ("liba.so.1.10", "liba.so.1"),
        ("libb.so.2", "libb.so.2"),
        ("libc-new.so", "libc.so.3"),
        ("libd.so.1.0", "libd.so.1"),
        ("ld-linux-x86-64.so.2.1", "ld-linux-x86-64.so.2"),
    ]:
        (libraries / name).write_bytes(elf(machine=MACHINES[arch], soname=soname))
    (libraries / "libc.so.3").symlink_to("libb.so.2")
    (libraries / "libd.so.1").symlink_to("libd.so.1.0")
    (libraries / "ld-linux-x86-64.so.2").symlink_to("libb.so.2")
    new = {link.path: link.target for link in index_of(tmp_path, glibc_of(builder)).links}

    before = links_in(tmp_path)
    ldconfig(builder, arch, tmp_path, link=True)
    after = links_in(tmp_path)

    assert {path: after[path] for path in after if before.get(path) != after[path]} == new
    assert new == {"usr/lib/liba.so.1": "liba.so.1.10", "usr/lib/libc.so.3": "libc-new.so"}


def glibc_of(root: Path) -> Glibc:
    glibc = find_glibc(disk_root(root), Objects())
    assert glibc is not None
    return glibc


def index_of(root: Path, glibc: Glibc) -> Index:
    disk = disk_root(root)
    return read_index(disk, glibc, configured(disk), Objects())


def links_in(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): str(path.readlink())
        for path in root.rglob("*")
        if path.is_symlink()
    }


def ldconfig(builder: Path, arch: str, root: Path, *, link: bool = False) -> bytes:
    """Run the builder's ldconfig over `root`, and return the cache it leaves there.

    ``-X`` keeps it from changing links, which it would do while it reads.
    """
    program = builder / "usr/sbin/ldconfig"
    command = [*emulator_line(arch), str(program), *([] if link else ["-X"]), "-r", str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return (root / "etc/ld.so.cache").read_bytes()


def copy_without_contents_to_change(root: Path, copy: Path) -> Path:
    """Return a copy whose files are hard links: ldconfig replaces what it writes."""

    def link(source: str, target: str) -> str:
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)
        return target

    ignored = shutil.ignore_patterns("proc", "sys", "share", "python3*", "ld.so.cache")
    shutil.copytree(root, copy, symlinks=True, copy_function=link, ignore=ignored)
    return copy
