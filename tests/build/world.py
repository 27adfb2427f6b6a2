"""The smallest base and builder that an assemble is content with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.build.elf import AARCH64, X86_64, elf
from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from tests.build.tar import archive, directory, file, symlink

from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.content import Sink
    from layersmith.oci.documents import Descriptor, Platform


@dataclass(frozen=True)
class Abi:
    """What differs between the platforms."""

    platform: Platform
    machine: int
    triplet: str
    loader: str
    lib: str  # where programs look for the loader

    @property
    def folder(self) -> str:
        return f"usr/lib/{self.triplet}"

    @property
    def system(self) -> bytes:
        """The directories that the loader was built to search."""
        return f"\0/lib/{self.triplet}/\0/usr/lib/{self.triplet}/\0/lib/\0/usr/lib/\0".encode()


X86 = Abi(AMD64, X86_64, "x86_64-linux-gnu", "ld-linux-x86-64.so.2", "lib64")
ARM = Abi(ARM64, AARCH64, "aarch64-linux-gnu", "ld-linux-aarch64.so.1", "lib")
BANNER = b"GNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n"


def base_layers(abi: Abi = X86) -> list[bytes]:
    """Return a base with a loader, a C library and users, in two layers."""
    libc = elf(machine=abi.machine, soname="libc.so.6", needed=[abi.loader], pad=BANNER)
    loader = elf(machine=abi.machine, soname=abi.loader, pad=abi.system)
    return [
        archive(
            directory("etc"),
            file("etc/passwd", b"root:x:0:0:root:/root:/sbin/nologin\n"),
            file("etc/group", b"root:x:0:\n"),
            directory("usr"),
            directory("usr/lib"),
            directory("usr/lib64"),
            directory(abi.folder),
            symlink("lib", "usr/lib"),
            symlink("lib64", "usr/lib64"),
        ),
        archive(
            file(f"{abi.folder}/libc.so.6", libc, mode=0o755),
            file(f"{abi.folder}/{abi.loader}", loader, mode=0o755),
            symlink(f"usr/{abi.lib}/{abi.loader}", f"/{abi.folder}/{abi.loader}"),
        ),
    ]


def builder_layers(text: bytes = b"", abi: Abi = X86) -> list[bytes]:
    """Return a builder with a Python, one extension module and its library."""
    machine = abi.machine
    python = elf(machine=machine, needed=["libc.so.6"], interpreter=f"/{abi.lib}/{abi.loader}")
    module = elf(machine=machine, needed=["libx.so.1", "libc.so.6"])
    library = elf(machine=machine, soname="libx.so.1", pad=text)
    return [
        *base_layers(abi),
        archive(file(f"{abi.folder}/libx.so.1", library, mode=0o755)),
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


def put_base(sink: Sink, *abis: Abi) -> Descriptor:
    """Put the base, an index of every platform."""
    images = [Made(base_layers(abi), abi.platform) for abi in abis or (X86,)]
    return put_index(sink, [for_platform(image.put(sink), image.platform) for image in images])


def put_builder(sink: Sink, *abis: Abi, text: bytes = b"") -> Descriptor:
    """Put the builder, an index of every platform."""
    runtime = {"Env": ["PYTHON_VERSION=3.13.5"]}
    images = [
        Made(builder_layers(text, abi), abi.platform, runtime=runtime) for abi in abis or (X86,)
    ]
    return put_index(sink, [for_platform(image.put(sink), image.platform) for image in images])


def write_world(folder: Path, text: bytes = b"") -> tuple[str, str]:
    """Write both as layouts; return them as places."""
    base, builder = Layout(folder / "base"), Layout(folder / "builder")
    base.tag("t", put_base(base))
    builder.tag("t", put_builder(builder, text=text))
    return f"oci:{folder}/base:t", f"oci:{folder}/builder:t"
