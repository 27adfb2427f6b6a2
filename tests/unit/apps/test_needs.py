"""What wheels need of an image: said with the package to add, and versions checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.elf import AARCH64, elf
from tests.build.tree import Shelf, tree
from tests.build.world import X86

from layersmith.analysis.objects import Objects
from layersmith.apps.needs import check_needs, debian_package, objects_in
from layersmith.errors import ClosureError
from layersmith.rootfs.entries import File, Meta
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from layersmith.apps.needs import Missing

MODULE = "app/.venv/lib/python3.13/site-packages/x/_x.cpython-313-x86_64-linux-gnu.so"


def image(module: bytes, **more: bytes) -> Root:
    shelf = Shelf()
    libc = elf(soname="libc.so.6", versions=["GLIBC_2.2.5", "GLIBC_2.41"])
    files = {
        f"{X86.folder}/libc.so.6": libc,
        f"{X86.folder}/{X86.loader}": elf(soname=X86.loader, pad=X86.system),
        MODULE: module,
        **more,
    }
    literal = {path: shelf.file(data, 0o755) for path, data in files.items()}
    return Root(
        tree(
            {
                **literal,
                "lib": "usr/lib",
                "lib64": "usr/lib64",
                f"usr/lib64/{X86.loader}": f"/{X86.folder}/{X86.loader}",
            }
        ),
        shelf,
    )


def checked(module: bytes, *allowed: str, **more: bytes) -> list[Missing]:
    return check_needs(image(module, **more), [MODULE, *more], allowed, Objects())


def test_what_the_image_has() -> None:
    assert checked(elf(needed=["libc.so.6"], wants={"libc.so.6": ["GLIBC_2.41"]})) == []


def test_a_library_that_is_nowhere() -> None:
    with pytest.raises(
        ClosureError, match=r"needs libpq.so.5 \(Debian's package libpq5\?\)"
    ) as caught:
        checked(elf(needed=["libpq.so.5", "libc.so.6"]))
    assert MODULE in caught.value.message
    assert caught.value.exit_code == 8


def test_one_that_may_be_missing() -> None:
    module = elf(needed=["libpq.so.5"])
    assert checked(module, "libpq*") == [("libpq.so.5", (MODULE,))]
    with pytest.raises(ClosureError):
        checked(module, "libx*")


def test_one_that_the_wheel_brings() -> None:
    bundled = "app/.venv/lib/python3.13/site-packages/x.libs/libpq-1234.so.5"
    module = elf(needed=["libpq-1234.so.5"], rpath="$ORIGIN/../x.libs")
    assert checked(module, **{bundled: elf(soname="libpq-1234.so.5")}) == []


def test_versions_that_the_libraries_lack() -> None:
    with pytest.raises(
        ClosureError, match=r"wants GLIBC_2.99 of libc.so.6.* has GLIBC_2.41 at most"
    ):
        checked(elf(needed=["libc.so.6"], wants={"libc.so.6": ["GLIBC_2.99"]}))


def test_an_extension_module_of_another_machine() -> None:
    with pytest.raises(ClosureError, match="is for another machine"):
        checked(elf(machine=AARCH64))


@pytest.mark.parametrize(
    ("soname", "package"),
    [
        ("libpq.so.5", "libpq5"),
        ("libexpat.so.1", "libexpat1"),
        ("libX11.so.6", "libx11-6"),
        ("libgdbm_compat.so.4", "libgdbm-compat4"),
        ("libglib-2.0.so.0", "libglib-2.0-0"),
        ("libfoo.so", ""),
        ("odd", ""),
    ],
)
def test_debian_s_names(soname: str, package: str) -> None:
    assert debian_package(soname) == package


def test_candidates() -> None:
    entries = {
        "a.so.1": File(Meta(0o644), b"x"),
        "script": File(Meta(0o755), b"#!/bin/sh"),
        "program": File(Meta(0o755), b"\x7fELF"),
        "text": File(Meta(0o644), b"x"),
    }
    assert objects_in(entries) == ["a.so.1", "program"]
