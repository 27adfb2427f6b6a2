"""ELF objects, the trees that a loader walks because of them, and ld.so.conf."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tests.build.elf import elf
from tests.build.hostile_elf import cases
from tests.fuzz.target import Target, parted, seamed
from tests.unit.analysis.worlds import LIB, library, world

from layersmith.analysis.closure import closure, verify
from layersmith.analysis.elf import read_elf
from layersmith.analysis.glibc import find_glibc
from layersmith.analysis.ldcache import write_cache
from layersmith.analysis.ldconf import CONF, conf_for, configured, directories_in
from layersmith.analysis.objects import Objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.build.tree import Literal

    from layersmith.rootfs.tree import Root

_BASE: Final = world({})
_GLIBC: Final = find_glibc(_BASE, Objects())
_LIBRARIES: Final[Literal] = {
    "usr/lib/liba.so": library("liba.so", "libc.so.6", versions=("A_1", "A_2.3")),
    "usr/lib/libb.so.1": library("libb.so.1", "liba.so", rpath="$ORIGIN/../../opt"),
    "opt/libc.so": library("libc.so", "libb.so.1"),
}


def _elf(data: bytes) -> None:
    read_elf(data, "x")
    root = world({"x": data})
    objects = Objects()
    opened = objects.open(root, "x")
    again = Objects(objects.dump())
    assert again.open(root, "x") == opened, "what is kept is not what was read"


def _closure(data: bytes) -> None:
    main, other = parted(data, 2)
    builder = world({**_LIBRARIES, "app/main": main, "usr/lib/libx.so": other or main})
    roots = ("app/main", "usr/lib/libx.so")
    found = closure(builder, _BASE, roots)
    assert found == closure(builder, _BASE, roots[::-1])
    for shipped in found.shipped:
        assert builder.tree.lookup(shipped.path) is not None
    for problem in (*found.problems, *verify(builder, roots)):
        assert str(problem)
    _check_cache(builder)


def _check_cache(root: Root) -> None:
    """Read an ld.so.cache as dl-cache.c does: all that it points at is in it."""
    cache = write_cache(root)
    magic, count, size, flags, extension = struct.unpack_from("<20sIIBxxxI", cache)
    assert (magic, flags) == (b"glibc-ld.so.cache1.1", 2)
    end = 48 + 24 * count + size
    assert end <= extension <= len(cache)
    for number in range(count):
        _, name, path, _, _ = struct.unpack_from("<iIIIQ", cache, 48 + 24 * number)
        assert 48 + 24 * count <= min(name, path)
        assert max(name, path) < end
        assert cache[path : cache.index(b"\0", path)].startswith(b"/")


def _objects() -> Iterator[bytes]:
    yield from (case.data for case in cases())
    yield from _programs()


def _programs() -> Iterator[bytes]:
    loader = "/lib64/ld-linux-x86-64.so.2"
    yield elf(needed=["libc.so.6", "liba.so"], interpreter=loader)
    yield elf(needed=["libx.so", "libb.so.1"], soname="libx.so", runpath="$ORIGIN/../lib:/opt")
    yield elf(needed=["libc.so"], rpath="${ORIGIN}/../opt:$LIB:$PLATFORM::rel")
    yield elf(needed=["liba.so"], wants={"liba.so": ["A_1", ("A_9", True), "A_10.2"]})
    yield elf(needed=["/usr/lib/liba.so", "$ORIGIN/x", "\udcff"], soname="\udcff\udc80")
    yield elf(needed=["liba.so"], rpath=":".join(f"/{n}" for n in range(1100)))
    yield elf(needed=["liba.so"], runpath="$ORIGIN" * 3000 + ":x" * 20)
    yield elf(needed=["liba.so", "libc.so.6"], wants={"liba.so": ["A_1"], "libc.so.6": ["B"]})
    yield elf(needed=["libc.so.6"], flags_1=0x800, interpreter="/nowhere", isa=3)


def _trees() -> Iterator[bytes]:
    programs = list(_programs())
    yield from programs
    yield from (seamed(one, other) for one in programs for other in programs)


def _conf(data: bytes) -> None:
    """Read a configuration of three files; the first two include what they like."""
    conf, more, third = parted(data, 3)
    root = world({
        **_LIBRARIES, CONF: conf, "etc/ld.so.conf.d/more.conf": more,
        "etc/ld.so.conf.d/x/third.conf": third, "etc/loop": "ld.so.conf.d",
    })  # fmt: skip
    found = configured(root)
    assert len(set(found)) == len(found)
    assert all(name.startswith("/") for name in found)
    assert found == directories_in(root, conf)
    assert _GLIBC is not None
    used = ("/opt", f"/{LIB}")
    assert {*used} <= {*directories_in(root, conf_for(root, _GLIBC.system, used))}
    _check_cache(root)


def _confs() -> Iterator[bytes]:
    yield b"include /etc/ld.so.conf.d/*.conf\n/opt\n/usr/lib # comment\n"
    yield seamed(b"include ld.so.conf.d/*.conf\n", b"/opt\nhwcap 1 x\n", b"/usr/local/lib\n")
    yield seamed(b"include /etc/loop/* /etc/*/*/*.conf\n", b"include x/*\n", b"include ../*.conf")
    yield seamed(b"include ld.so.conf\n/opt/\n//opt\n/opt/.\n", b"include\t/etc/ld.so.conf")
    yield b"include [a-z]*/[!x]?.so.[]*\n/caf\xe9\n\xff\n/\n\0/opt\n  /opt=libc6\n"
    yield b"".join(b"/%d\n" % number for number in range(10_001))
    yield b"include /e*x\n" * 9000
    yield seamed(b"include ld.so.conf.d/more.conf", b"#" * (256 << 10))
    yield b"INCLUDE x\nHwCap 0 nosegneg\nrelative\n\x0b/opt\x0c\n/a/../b"


TARGETS: Final = (
    Target(
        "elf",
        _elf,
        _objects,
        ("analysis.elf", "analysis.elfimage", "analysis.elfversions"),
        (b"\x7fELF", *(struct.pack("<Q", tag) for tag in (1, 5, 10, 14, 15, 29, 0x6FFFFFFE))),
    ),
    Target(
        "closure",
        _closure,
        _trees,
        ("analysis.linkmap", "analysis.searchpath", "analysis.versions"),
        (b"$ORIGIN", b"${LIB}", b"$PLATFORM", b"libc.so.6", b"liba.so", b"/opt", b"A_1"),
    ),
    Target(
        "ldconf",
        _conf,
        _confs,
        ("analysis.ldconf",),
        (b"include ", b"/etc/", b"*", b"[", b"]", b"?", b"#", b"\n%%\n", b"ld.so.conf", b"hwcap "),
    ),
)  # fmt: skip
