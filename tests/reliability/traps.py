"""A base and a builder full of traps: whatever of them is run leaves a mark behind.

Programs that ask for an interpreter of the image's own (what ``ldd`` would start), scripts
under the names that tools call, start-up files of Python, ``ld.so.preload``. Both platforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.build.elf import AARCH64, X86_64, elf
from tests.build.image import AMD64, ARM64, Made, for_platform, put_index
from tests.build.tar import archive, directory, file, symlink
from tests.build.wheels import EXECUTABLE, pylock, wheel

from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.documents import Platform

__all__ = ["lay_traps", "write_application", "write_trapped"]

BANNER: Final = b"GNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n"
TOOLS: Final = (
    "ldd", "ldconfig", "python3.13-config", "python3", "python", "sh", "env", "uname",
    "docker-credential-desktop", "docker-credential-osxkeychain", "gcc", "objdump", "readelf", "git",
)  # fmt: skip
STARTERS: Final = (
    "sitecustomize.py", "usercustomize.py", "layersmith.py", "typer.py", "requests.py", "json.py",
    "typing.py", "oras.py", "zstandard.py", "msgspec.py", "rich.py", "isal.py",
)  # fmt: skip


@dataclass(frozen=True)
class Arch:
    """How a platform's loader is called, and where its libraries are."""

    platform: Platform
    machine: int
    loader: str
    link: str
    triplet: str


ARCHES: Final = (
    Arch(AMD64, X86_64, "ld-linux-x86-64.so.2", "lib64", "x86_64-linux-gnu"),
    Arch(ARM64, AARCH64, "ld-linux-aarch64.so.1", "lib", "aarch64-linux-gnu"),
)


def lay_traps(folder: Path, mark: Path) -> None:
    """Fill a directory of the user's with traps that make `mark`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in STARTERS:
        (folder / name).write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    (folder / "trap.pth").write_text(f"import sys; open({str(mark)!r}, 'a').write('pth')\n")
    for name in TOOLS:
        (folder / name).write_text(f"#!/bin/sh\necho {name} >>{mark}\n")
        (folder / name).chmod(0o755)


def _base(arch: Arch, mark: Path) -> list[bytes]:
    evil = "/usr/bin/ldd"
    libraries = f"usr/lib/{arch.triplet}"
    folders = sorted(
        {"etc", "usr", "usr/lib", f"usr/{arch.link}", libraries, "usr/bin", "usr/sbin"}
    )
    links = {"lib": "usr/lib"} | ({"lib64": "usr/lib64"} if arch.link == "lib64" else {})
    system = "".join(
        f"\0{path}/" for path in (f"/lib/{arch.triplet}", f"/usr/lib/{arch.triplet}", "/lib", "/usr/lib")
    )  # fmt: skip
    libc = elf(machine=arch.machine, soname="libc.so.6", needed=[arch.loader], interpreter=evil,
               pad=BANNER)  # fmt: skip
    loader = elf(
        machine=arch.machine, soname=arch.loader, interpreter=evil, pad=system.encode() + b"\0"
    )
    script = f"#!/bin/sh\necho base >>{mark}\n".encode()
    up = f"../lib/{arch.triplet}" if arch.link == "lib64" else arch.triplet
    return [
        archive(*map(directory, folders), *(symlink(name, to) for name, to in links.items()),
                file("etc/passwd", b"root:x:0:0:root:/root:/sbin/nologin\n"),
                file("etc/group", b"root:x:0:\n"),
                file("etc/ld.so.preload", b"/usr/lib/evil.so\n")),
        archive(file(f"{libraries}/libc.so.6", libc, mode=0o4755),
                file(f"{libraries}/{arch.loader}", loader, mode=0o4755),
                symlink(f"usr/{arch.link}/{arch.loader}", f"{up}/{arch.loader}"),
                *(file(f"usr/bin/{name}", script, mode=0o4755) for name in TOOLS),
                file("usr/sbin/ldconfig", script, mode=0o4755)),
    ]  # fmt: skip


def _builder(arch: Arch, mark: Path) -> list[bytes]:
    evil = "/usr/bin/ldd"
    libraries, home = f"usr/lib/{arch.triplet}", "usr/local/lib/python3.13"
    python = elf(
        machine=arch.machine, needed=["libc.so.6"], interpreter=f"/{arch.link}/{arch.loader}"
    )
    module = elf(machine=arch.machine, needed=["libevil.so.1", "libc.so.6"], interpreter=evil)
    trap = elf(machine=arch.machine, soname="libevil.so.1", interpreter=evil, needed=["libc.so.6"])
    text = f"open({str(mark)!r}, 'a').write('image')\n".encode()
    script = f"#!/bin/sh\necho builder >>{mark}\n".encode()
    folders = ("usr/local", "usr/local/bin", "usr/local/lib", home, f"{home}/lib-dynload",
               f"{home}/site-packages")  # fmt: skip
    return [
        *_base(arch, mark),
        archive(file(f"{libraries}/libevil.so.1", trap, mode=0o4755)),
        archive(*map(directory, folders),
                file("usr/local/bin/python3.13", python, mode=0o755),
                symlink("usr/local/bin/python3", "python3.13"),
                symlink("usr/local/bin/python", "python3"),
                *(file(f"usr/local/bin/{name}", script, mode=0o755)
                  for name in TOOLS if not name.startswith("python3") and name != "python"),
                file(f"{home}/os.py", text),
                *(file(f"{home}/{name}", text) for name in STARTERS),
                file(f"{home}/_sysconfigdata__linux_{arch.triplet}.py", text),
                file(f"{home}/site-packages/trap.pth", b"import os; " + text),
                file(f"{home}/lib-dynload/_evil.so", module, mode=0o755)),
    ]  # fmt: skip


def write_trapped(folder: Path, mark: Path) -> tuple[str, str]:
    """Write base and builder as layouts; return them as places."""
    for name, layers in (("base", _base), ("builder", _builder)):
        layout = Layout(folder / name)
        runtime = {"Env": ["PYTHON_VERSION=3.13.5", "PATH=/usr/local/bin:/usr/bin"]}
        made = [
            Made(layers(arch, mark), platform=arch.platform, runtime=runtime) for arch in ARCHES
        ]
        described = [for_platform(image.put(layout), image.platform) for image in made]
        layout.tag("t", put_index(layout, described))
    return f"oci:{folder}/base:t", f"oci:{folder}/builder:t"


def write_application(folder: Path, mark: Path) -> tuple[str, ...]:
    """Write a source and a lock of wheels, all of them traps; return the options that name them."""
    text = f"open({str(mark)!r}, 'a').write('wheel')\n".encode()
    traps = dict.fromkeys((*STARTERS, "setup.py", "demo/__init__.py", "demo/cli.py"), text)
    tool = "demo-1.0.data/scripts/ldd"
    made = [
        wheel(
            files={**traps, "demo.pth": b"import os; " + text, tool: b"#!python\n" + text},
            scripts={"demo": "demo.cli:main"},
            modes={tool: EXECUTABLE},
        )
    ]
    for arch, name in zip(ARCHES, ("x86_64", "aarch64"), strict=True):
        module = elf(machine=arch.machine, needed=["libc.so.6"], interpreter="/usr/bin/ldd")
        tag = f"cp313-cp313-manylinux_2_17_{name}"
        made.append(wheel("native", files={"native.so": module}, tag=tag))
    for each in made:
        each.write(folder / "wheels")
    (folder / "pylock.toml").write_text(pylock(*made))
    lay_traps(folder / "src", mark)
    return (f"--dependencies={folder}/pylock.toml", f"--source={folder}/src", "--entrypoint=demo")
