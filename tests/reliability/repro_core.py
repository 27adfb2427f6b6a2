"""Packing and compressing alone, of a tree from literals: ``python -m tests.reliability.repro_core``.

Prints the diff_id and, for each compressor, the digest of the blob. Needs no more of
layersmith's requirements than the compressors, so that an emulated machine can do it in seconds.
"""

import hashlib
import json
import platform
import random

from tests.build.tree import entries

from layersmith.rootfs.compressor import Compressor
from layersmith.rootfs.entries import Directory, File, Meta, Special, Symlink
from layersmith.rootfs.entries import Kind as SpecialKind
from layersmith.rootfs.pack import pack
from layersmith.rootfs.tree import MemoryContents

COMPRESSORS = ("gzip", "gzip:1", "gzip:12", "zstd", "zstd:1", "zstd:19", "none")
MTIME = 1_700_000_000


def content(rng: random.Random, size: int) -> bytes:
    """Bytes that compress as code does: words again and again, and some noise between."""
    words = [rng.randbytes(rng.randint(2, 12)) for _ in range(400)]
    made = bytearray()
    while len(made) < size:
        made += rng.choice(words) if rng.random() < 0.9 else rng.randbytes(8)
    return bytes(made[:size])


def tar() -> bytes:
    """A layer with every kind of entry, six megabytes, more than one block of each compressor."""
    rng = random.Random(17)
    listed = entries({f"usr/lib/d{n % 7}/f{n}": content(rng, 1 << n) for n in range(22)})
    listed |= entries({"lib": "usr/lib", "tmp/": Directory(Meta(0o1777), {})})
    listed["long" * 60] = File(Meta(0o600, 1000, 3_000_000, xattrs=(("user.a", b"\0x"),)), b"x")
    listed["caf\udce9"] = Symlink(Meta(0o777), "\udcff")
    listed["null"] = Special(Meta(0o666), SpecialKind.CHAR, 1, 3)
    return b"".join(pack(listed, MemoryContents(), MTIME))


def main() -> None:
    """Print it all as one JSON document."""
    whole = tar()
    chunks = [whole[at : at + 100_000] for at in range(0, len(whole), 100_000)]
    digests = {}
    for text in COMPRESSORS:
        hasher = hashlib.sha256()
        for piece in Compressor.parse(text).compress(chunks):
            hasher.update(piece)
        digests[text] = hasher.hexdigest()
    found = {"diff_id": hashlib.sha256(whole).hexdigest(), "digests": digests}
    print(json.dumps({"machine": platform.machine(), "found": found}))


if __name__ == "__main__":
    main()
