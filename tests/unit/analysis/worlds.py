"""Roots with a C library, as Debian lays them out, and short ways to ask about them."""

from collections.abc import Mapping

from tests.build.elf import AARCH64, X86_64, elf
from tests.build.tree import Spec
from tests.build.tree import root as root_of

from layersmith.analysis.closure import load
from layersmith.analysis.glibc import Glibc, find_glibc
from layersmith.analysis.ldconf import configured
from layersmith.analysis.ldindex import Index, read_index
from layersmith.analysis.linkmap import LinkMap
from layersmith.analysis.loader import Library, Loader
from layersmith.analysis.objects import Objects
from layersmith.rootfs.tree import Root

TRIPLET = "x86_64-linux-gnu"
LIB = f"usr/lib/{TRIPLET}"
BANNER = b"GNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n"
GLIBC_VERSIONS = ("GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.36", "GLIBC_2.41", "GLIBC_PRIVATE")


def glibc_files(
    machine: int = X86_64, versions: tuple[str, ...] = GLIBC_VERSIONS
) -> dict[str, Spec | None]:
    """A loader and a C library under their multiarch directory, usr-merged."""
    arm = machine == AARCH64
    triplet = "aarch64-linux-gnu" if arm else TRIPLET
    name = "ld-linux-aarch64.so.1" if arm else "ld-linux-x86-64.so.2"
    system = f"\0/lib/{triplet}/\0/usr/lib/{triplet}/\0/lib/\0/usr/lib/\0".encode()
    return {
        "lib": "usr/lib",
        "lib64": "usr/lib64",
        f"usr/lib/{triplet}/{name}": elf(
            machine=machine, soname=name, versions=versions, pad=system
        ),
        f"usr/lib/{triplet}/libc.so.6": elf(
            machine=machine, soname="libc.so.6", needed=[name], versions=versions, pad=BANNER
        ),
        f"usr/lib/{name}" if arm else f"usr/lib64/{name}": f"/usr/lib/{triplet}/{name}",
    }


def world(literal: Mapping[str, Spec | None], *, machine: int = X86_64) -> Root:
    """Return a root with a C library and what `literal` puts there."""
    return root_of({**glibc_files(machine), **literal})


def library(name: str | None, *needed: str, **more: object) -> bytes:
    """Return a shared object called `name` that needs `needed`; no two are the same file."""
    return elf(soname=name, needed=needed, **more)  # type: ignore[arg-type]


def glibc_in(root: Root) -> Glibc:
    glibc = find_glibc(root, Objects())
    assert glibc is not None
    return glibc


def index_in(root: Root) -> Index:
    return read_index(root, glibc_in(root), configured(root), Objects())


def loader_in(root: Root) -> Loader:
    return Loader(root, glibc_in(root), index_in(root), Objects())


def loaded(root: Root, path: str) -> LinkMap:
    """Load the object at `path` as a program."""
    opened = Objects().open(root, path)
    assert opened is not None
    assert opened.elf is not None
    return load(loader_in(root), opened)


def answers(root: Root, path: str) -> dict[str, str | None]:
    """Return what each name that is needed in the process comes to; None: not found."""
    return {
        need.name: need.found.path if isinstance(need.found, Library) else None
        for need in loaded(root, path).needs
    }
