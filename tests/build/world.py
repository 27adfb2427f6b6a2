"""The smallest base and builder that an assemble is content with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.build.elf import elf
from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.tar import archive, directory, file, symlink

from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

LOADER = "ld-linux-x86-64.so.2"
TRIPLET = "usr/lib/x86_64-linux-gnu"
SYSTEM = b"\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0"
BANNER = b"GNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n"


def base_layers() -> list[bytes]:
    """Return a base with a loader, a C library and users, in two layers."""
    libc = elf(soname="libc.so.6", needed=[LOADER], pad=BANNER)
    loader = elf(soname=LOADER, pad=SYSTEM)
    return [
        archive(
            directory("etc"),
            file("etc/passwd", b"root:x:0:0:root:/root:/sbin/nologin\n"),
            file("etc/group", b"root:x:0:\n"),
            directory("usr"),
            directory("usr/lib"),
            directory("usr/lib64"),
            directory(TRIPLET),
            symlink("lib", "usr/lib"),
            symlink("lib64", "usr/lib64"),
        ),
        archive(
            file(f"{TRIPLET}/libc.so.6", libc, mode=0o755),
            file(f"{TRIPLET}/{LOADER}", loader, mode=0o755),
            symlink(f"usr/lib64/{LOADER}", f"../lib/x86_64-linux-gnu/{LOADER}"),
        ),
    ]


def builder_layers(text: bytes = b"") -> list[bytes]:
    """Return a builder with a Python, one extension module and its library."""
    python = elf(needed=["libc.so.6"], interpreter=f"/lib64/{LOADER}")
    module = elf(needed=["libx.so.1", "libc.so.6"])
    return [
        *base_layers(),
        archive(file(f"{TRIPLET}/libx.so.1", elf(soname="libx.so.1", pad=text), mode=0o755)),
        archive(
            directory("usr/local"),
            directory("usr/local/bin"),
            directory("usr/local/lib"),
            directory("usr/local/lib/python3.13"),
            directory("usr/local/lib/python3.13/lib-dynload"),
            file("usr/local/bin/python3.13", python, mode=0o755),
            symlink("usr/local/bin/python3", "python3.13"),
            symlink("usr/local/bin/python", "python3"),
            file("usr/local/lib/python3.13/os.py", b"# os\n" + text * 1000),
            file("usr/local/lib/python3.13/lib-dynload/_x.so", module, mode=0o755),
        ),
    ]


def write_world(folder: Path, text: bytes = b"") -> tuple[str, str]:
    """Write both as layouts; return them as places."""
    made = {
        "base": Made(base_layers()),
        "builder": Made(builder_layers(text), runtime={"Env": ["PYTHON_VERSION=3.13.5"]}),
    }
    for name, image in made.items():
        layout = Layout(folder / name)
        layout.tag("t", put_index(layout, [for_platform(image.put(layout), AMD64)]))
    return f"oci:{folder}/base:t", f"oci:{folder}/builder:t"
