"""``python -m bench sizes``: how large our image is beside two that others publish.

All three stand on the same distroless base and are for amd64. Each is compressed by the same
libraries, so that only what is in it counts; how much of the standard library can be
imported is found by running it, without root or network.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fixtures import distroless, sandbox
from fixtures.apt import PrivateApt
from fixtures.build import RELEASE
from fixtures.debs import Deb
from fixtures.entries import Entry, Kind, Stack, directory, file, symlink, whiteout

from bench import inputs
from bench.contenders import PROGRAM, TARGET
from layersmith.rootfs.compressor import Compressor

__all__ = ["main"]

ARCHITECTURE, TRIPLET = "amd64", "x86_64-linux-gnu"
CODECS = ("gzip", "zstd", "zstd:19")
TRY = Path(__file__).resolve().parent.parent / "tests/interop/inside.py"
# What GoogleContainerTools/distroless lists for its python3 image on debian13.
GOOGLE = (
    "libbz2-1.0", "libdb5.3t64", "libexpat1", "liblzma5", "libsqlite3-0", "libuuid1",
    "libncursesw6", "libtinfo6", "zlib1g", "libcom-err2", "libcrypt1", "libgssapi-krb5-2",
    "libk5crypto3", "libkeyutils1", "libkrb5-3", "libkrb5support0", "libnsl2",
    "libreadline8t64", "libtirpc3t64", "libffi8", "libpython3.13-minimal",
    "libpython3.13-stdlib", "python3.13-minimal", "python3.13-venv",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """Layers on top of the base, and where Python is."""

    name: str
    layers: list[Stack]
    python: str


def main() -> int:
    """Make all three and print the table."""
    with tempfile.TemporaryDirectory(prefix="sizes-") as name:
        work = Path(name)
        images = inputs.images(work)
        base, builder = images["distroless/cc-debian13"], images["library/python"]
        root = sandbox.unpack(builder, "3.13-slim-trixie", ARCHITECTURE, work / "builder").rootfs
        bundle = sandbox.unpack(base, "latest", ARCHITECTURE, work / "base")
        below = _base_size(base)
        print(f"\n{TARGET}, {ARCHITECTURE}, {inputs.named()}, {_today()};", end=" ")
        print(f"MB, base {below / 1e6:.1f}\n")
        heads = ("on the same base", *CODECS, "image, gzip", "unpacked", "modules")
        print("| " + " | ".join(heads) + " |")
        print("|---" * len(heads) + "|")
        for image in (_ours(base, builder, work), _dockerfile(root), _google()):
            tars = [_tar(layer) for layer in image.layers]
            sizes = [sum(_size(tar, codec) for tar in tars) for codec in CODECS]
            cells = [*(size / 1e6 for size in sizes), (below + sizes[0]) / 1e6]
            cells.append(sum(map(len, tars)) / 1e6)
            found, failed = _modules(image, bundle, work)
            missing = f": not {', '.join(failed)}" if failed else ""
            figures = " | ".join(f"{cell:.2f}" for cell in cells)
            print(f"| {image.name} | {figures} | {found}{missing} |", flush=True)
    return 0


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _base_size(layout: Path) -> int:
    """Add up the base's layers as they are, compressed."""
    command = [*PROGRAM, "inspect", f"oci:{layout}:latest", "--platform", "linux/amd64", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sum(_layer_sizes(json.loads(done.stdout)))


def _layer_sizes(value: object) -> list[int]:
    """Find the sizes of a manifest's layers, wherever the manifest is in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("layers"), list):
            return [layer["size"] for layer in value["layers"]]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            if found := _layer_sizes(one):
                return found
    return []


def _ours(base: Path, builder: Path, work: Path) -> Image:
    command = [*PROGRAM, "assemble", TARGET, "--platform", f"linux/{ARCHITECTURE}", "--quiet"]
    command += ["--base", f"oci:{base}:latest", "--builder", f"oci:{builder}:3.13-slim-trixie"]
    command += ["--output", f"oci:{work}/ours", "--cache-dir", f"{work}/cache", "--json"]
    command += ["--compression", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    digest = json.loads(done.stdout)["platforms"][0]["layer"]["digest"]
    data = (work / "ours/blobs" / digest.replace(":", "/")).read_bytes()
    return Image("layersmith", [Stack(_read(data))], "/usr/local/bin/python3")


def _read(tar: bytes) -> list[Entry]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return [
            Entry(
                member.name.strip("/"), Kind(member.type), member.mode,
                data=_content(archive, member), target=member.linkname,
                uid=member.uid, gid=member.gid,
            )
            for member in archive
        ]  # fmt: skip


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member) if member.isreg() else None
    return stream.read() if stream else b""


def _dockerfile(root: Path) -> Image:
    """Do what the Dockerfile of alexdmoss/distroless-python does, an instruction a layer.

    A file that COPY is given by name is copied as what it links to.
    """
    tools = ("echo", "ln", "rm", "sh")
    libraries = [f"lib/{TRIPLET}/libz.so.1"]
    for pattern in ("libffi*", "libexpat*"):
        found = sorted((root / "usr/lib" / TRIPLET).glob(pattern))
        libraries += [f"usr/lib/{TRIPLET}/{path.name}" for path in found]
    whole = [_from_disk(root, path) for path in sorted((root / "usr/local/lib").rglob("*"))]
    user = [
        file("etc/passwd", "monty:x:1000:1001::/home/monty:\n"),
        file("etc/group", "monty:x:1000:monty\nmonty:x:1001:\n"),
        symlink("usr/local/bin/python3", "/usr/local/bin/python"),
    ]
    layers = [
        [_copied(root, f"usr/bin/{name}") for name in tools],
        user,
        whole,
        [_copied(root, "usr/local/bin/python")],
        [_copied(root, "etc/ld.so.cache")],
        *([_copied(root, path)] for path in libraries),
        [whiteout(f"usr/bin/{name}") for name in tools],
    ]
    stacks = [Stack(entries).with_parents(0) for entries in layers]
    return Image("alexdmoss/distroless-python's Dockerfile", stacks, "/usr/local/bin/python")


def _copied(root: Path, path: str) -> Entry:
    source = _inside(root, path)
    return file(path, source.read_bytes(), source.stat().st_mode & 0o7777)


def _inside(root: Path, path: str) -> Path:
    """Follow the links of an unpacked image, absolute ones inside it."""
    place = root / path
    for _ in range(40):
        if not place.is_symlink():
            return place
        target = place.readlink()
        place = root / target.relative_to("/") if target.is_absolute() else place.parent / target
    raise SystemExit(f"{path}: a link without end")


def _from_disk(root: Path, path: Path) -> Entry:
    name = str(path.relative_to(root))
    if path.is_symlink():
        return symlink(name, str(path.readlink()))
    mode = path.stat().st_mode & 0o7777
    return directory(name, mode) if path.is_dir() else file(name, path.read_bytes(), mode)


def _google() -> Image:
    """Take the packages of Google's python3 image, a layer each, and its two links."""
    apt = PrivateApt(RELEASE, ["amd64", "arm64"])
    debs = [Deb(path) for path in apt.obtain(GOOGLE, ARCHITECTURE).values()]
    links = [symlink(f"usr/bin/{name}", "/usr/bin/python3.13") for name in ("python", "python3")]
    layers = [Stack(distroless.package(deb)) for deb in debs] + [Stack(links)]
    return Image("Google's python3 package list", layers, "/usr/bin/python3.13")


def _tar(layer: Stack) -> bytes:
    """Pack a layer as its makers do, sorted, without times."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in layer:
            info = tarfile.TarInfo(entry.path or ".")
            info.type, info.mode, info.size = entry.kind.value, entry.mode, len(entry.data)
            info.linkname, info.uid, info.gid = entry.target, entry.uid, entry.gid
            archive.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def _size(tar: bytes, codec: str) -> int:
    return sum(map(len, Compressor.parse(codec).compress([tar])))


def _modules(image: Image, base: sandbox.Bundle, work: Path) -> tuple[int, list[str]]:
    """Count the modules of the standard library that can be imported, and name the others."""
    root = work / "root"
    subprocess.run(["rm", "-rf", str(root)], check=True)
    subprocess.run(["cp", "-a", str(base.rootfs), str(root)], check=True)
    for layer in image.layers:
        for entry in layer:
            _write(root, entry)
    bundle = sandbox.Bundle(root, {**base.config, "Env": ["LANG=C.UTF-8"]})
    done = sandbox.run(bundle, [image.python, "-c", TRY.read_text(), "modules"])
    if done.returncode:
        raise SystemExit(f"{image.name}: {done.stderr}")
    report = json.loads(done.stdout)
    # What is not on any Linux is no loss.
    foreign = ("_winapi", "_wmi", "_overlapped", "_scproxy", "_android_support", "_ios_support",
               "_apple_support", "msilib", "msvcrt", "nt", "winreg", "winsound", "nturl2path",
               "_msi", "_osx_support", "_aix_support")  # fmt: skip
    return len(report["imported"]), [name for name in report["failed"] if name not in foreign]


def _write(root: Path, entry: Entry) -> None:
    place = root / entry.path
    name = place.name
    if name.startswith(".wh."):
        place.with_name(name.removeprefix(".wh.")).unlink()
    elif entry.kind is Kind.DIRECTORY:
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if entry.kind is Kind.SYMLINK:
            place.symlink_to(entry.target)
        elif entry.kind is Kind.HARDLINK:
            place.hardlink_to(root / entry.target)
        else:
            place.write_bytes(entry.data)
            place.chmod(entry.mode)
