"""``python -m bench growth [--full]``: cost by size, and memory with a huge builder.

The rates at three sizes should be alike: then cost grows linearly.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import deflate
from fixtures.build import BUILDER, REPOSITORIES

from bench import inputs
from bench.contenders import PROGRAM, TARGET
from layersmith.analysis.closure import closure
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_LAYER
from layersmith.rootfs.compression import PieceReader
from layersmith.rootfs.layer import overlay, read_layer
from layersmith.rootfs.tar import Allowance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.rootfs.tree import Root

__all__ = ["main"]

ENTRIES = (10_000, 100_000, 1_000_000)
OBJECTS = (100, 1_000, 10_000)
SIZES = {False: (125_000, 1 << 30), True: (500_000, 4 << 30)}
_LAYERS = 4
_MIB = 1 << 20


def main(*, full: bool) -> int:
    """Measure all three and print them."""
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    # First, for a child's peak begins with what its parent had resident when it was started.
    files, size = SIZES[full]
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        seconds, resident = _assembled(Path(name), files, size)
    print(f"\na builder with {files} files and {size >> 30} GiB more: {seconds:.1f} s, ", end="")
    print(f"{resident / 1e6:.0f} MB resident")
    print("\ntar index and tree\n| entries | seconds | entries/s |\n|---|---|---|")
    for count in ENTRIES:
        seconds = _index(count)
        print(f"| {count} | {seconds:.2f} | {count / seconds:.0f} |", flush=True)
    print("\nclosure\n| ELF files | seconds | files/s |\n|---|---|---|")
    for count in OBJECTS:
        seconds = _closure(count)
        print(f"| {count} | {seconds:.2f} | {count / seconds:.0f} |", flush=True)
    return 0


# The tar index


def _index(count: int) -> float:
    """Read a layer of `count` small files and make a tree of it; return CPU seconds."""
    start = time.process_time()
    spent_on_making = 0.0

    def pieces() -> Iterator[bytes]:
        nonlocal spent_on_making
        made = _tar(count, 100, seed=1)
        while True:
            before = time.process_time()
            piece = next(made, None)
            spent_on_making += time.process_time() - before
            if piece is None:
                return
            yield piece

    changes = list(read_layer(PieceReader(pieces()), Digest.of(b""), Allowance(1 << 30)))
    overlay([changes])
    return time.process_time() - start - spent_on_making


def _tar(files: int, size: int, seed: int) -> Iterator[bytes]:
    """Yield a tar of `files` files of about `size` bytes, a hundred to a directory, by MiB.

    A file has less than a MiB.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    pool = rng.randbytes(_MIB) + bytes(_MIB)
    waiting = bytearray()
    for number in range(files):
        folder = f"opt/{seed}/{number // 10_000}/{number // 100 % 100}"
        if number % 100 == 0:
            waiting += _header(folder, b"5", 0)
        length = rng.randint(size // 2, size * 3 // 2)
        waiting += _header(f"{folder}/{number}", b"0", length)
        # Different bytes in each file, half of them noise.
        at = rng.randrange(_MIB)
        content = number.to_bytes(8, "little") + pool[at : at + length]
        waiting += content[:length] + bytes(-length % 512)
        if len(waiting) >= _MIB:
            yield bytes(waiting)
            waiting.clear()
    yield bytes(waiting) + bytes(1024)


def _header(name: str, kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, size, 0o755
    return info.tobuf(tarfile.USTAR_FORMAT)


# The closure


def _closure(count: int) -> float:
    """Resolve a module that needs libraries that need libraries: `count` files in all."""
    builder, base, roots = _world(count)
    start = time.process_time()
    done = closure(builder, base, roots, allow_unresolved=())
    taken = time.process_time() - start
    if len(done.shipped) != count:
        raise SystemExit(f"{len(done.shipped)} of {count} libraries were found")
    return taken


def _world(count: int) -> tuple[Root, Root, list[str]]:
    """Modules that need four libraries each, each of which needs two others of their dozen."""
    # The builders of ELF files are the tests': they are put on the path only here.
    from tests.unit.analysis.worlds import LIB, library, world  # noqa: PLC0415

    rng = random.Random(count)  # noqa: S311 - no secret
    files: dict[str, bytes] = {}
    roots = []
    for number in range(count):
        group = number - number % 12
        later = range(number + 1, min(group + 12, count))
        needed = [f"libg{n}.so" for n in sorted(rng.sample(later, min(2, len(later))))]
        files[f"{LIB}/libg{number}.so"] = library(f"libg{number}.so", *needed, "libc.so.6")
    for number in range(0, count, 4):
        path = f"usr/local/lib/m{number}.so"
        needed = [f"libg{n}.so" for n in range(number, min(number + 4, count))]
        files[path] = library(None, *needed, "libc.so.6")
        roots.append(path)
    return world(files), world({}), roots


# Memory


def _assembled(work: Path, files: int, size: int) -> tuple[float, int]:
    """Assemble both platforms from a builder with `files` more files of `size` bytes in all."""
    layouts = {name: Path(path) for name, path in inputs.images(work).items()}
    base = layouts["distroless/cc-debian13"]
    builder = work / "huge"
    shutil.copytree(layouts[REPOSITORIES[BUILDER]], builder, copy_function=os.link)
    _enlarge(builder, files, size)
    command = [*PROGRAM, "assemble", TARGET, "--quiet", f"--base=oci:{base}:latest"]
    command += [f"--builder=oci:{builder}:huge", f"--output=oci:{work}/out"]
    command += [f"--cache-dir={work}/cache"]
    start = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.monotonic() - start, usage.ru_maxrss * 1024


def _enlarge(layout: Path, files: int, size: int) -> None:
    """Put layers on every image of a layout, the same for all, and tag that ``huge``."""
    added = [_put_layer(layout, files // _LAYERS, size // files, n) for n in range(_LAYERS)]
    index = json.loads((layout / "index.json").read_bytes())
    top = json.loads(_blob(layout, index["manifests"][0]["digest"]).read_bytes())
    manifests = []
    for child in top["manifests"]:
        if child["platform"]["os"] != "linux":
            continue
        manifest = json.loads(_blob(layout, child["digest"]).read_bytes())
        config = json.loads(_blob(layout, manifest["config"]["digest"]).read_bytes())
        config["rootfs"]["diff_ids"] += [diff_id for _, diff_id in added]
        config.pop("history", None)
        manifest["config"] |= _put(layout, json.dumps(config).encode())
        manifest["layers"] += [descriptor for descriptor, _ in added]
        manifests.append({**child, **_put(layout, json.dumps(manifest).encode())})
    made = _put(layout, json.dumps({**top, "manifests": manifests}).encode())
    about = {"org.opencontainers.image.ref.name": "huge"}
    entry = {"mediaType": top["mediaType"], **made, "annotations": about}
    # The file is linked to the original's: it is replaced, not written.
    (layout / "index.json").unlink()
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _put_layer(layout: Path, files: int, size: int, number: int) -> tuple[dict[str, object], str]:
    diff_id, digest, length = Digest.of(b"").hasher(), Digest.of(b"").hasher(), 0
    fresh = layout / f"layer-{number}"
    with fresh.open("wb") as out:
        for piece in _tar(files, size, seed=number):
            diff_id.update(piece)
            member = bytes(deflate.gzip_compress(piece, 1))
            digest.update(member)
            length += out.write(member)
    name = Digest.of_hasher(digest)
    fresh.rename(_blob(layout, name))
    descriptor = {"mediaType": f"{OCI_LAYER}+gzip", "digest": name, "size": length}
    return descriptor, Digest.of_hasher(diff_id)


def _put(layout: Path, raw: bytes) -> dict[str, object]:
    digest = Digest.of(raw)
    _blob(layout, digest).write_bytes(raw)
    return {"digest": digest, "size": len(raw)}


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")
