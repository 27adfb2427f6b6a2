"""Bombs in layers: little to send, much to inflate, to keep, or to walk."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

import zstandard
from tests.build.elf import elf
from tests.build.tar import (
    END,
    GNU,
    Header,
    base256,
    directory,
    file,
    hard_link,
    long_name,
    member,
    pax,
    record,
    symlink,
)
from tests.build.world import X86
from tests.reliability.bench import Bench, descriptor

from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_LAYER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["LAYERS", "Bomb"]

MIB: Final = 1 << 20
# 128 KiB of zeros in four bytes, behind the header of a frame (RFC 8878, 3.1.1.2).
RLE: Final = struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b"\0"
FRAME: Final = b"\x28\xb5\x2f\xfd\x00\x58"


@dataclass(frozen=True)
class Bomb:
    """What to run, and how it is to end; with code 0 it is only heavy, and may pass."""

    name: str
    arrange: Callable[[Bench], list[str]]
    says: str
    codes: frozenset[int] = frozenset({7})


def _gzip(pieces: Iterable[bytes], level: int = 1) -> Iterator[bytes]:
    writer = zlib.compressobj(level, zlib.DEFLATED, 31)
    for piece in pieces:
        yield writer.compress(piece)
    yield writer.flush()


def _batched(members: Iterable[bytes], size: int = 2000) -> Iterator[bytes]:
    """Join members: the compressor is faster with larger pieces."""
    waiting: list[bytes] = []
    for each in members:
        waiting.append(each)
        if len(waiting) == size:
            yield b"".join(waiting)
            waiting.clear()
    yield b"".join(waiting)


def _rle(count: int, first: bytes = b"") -> Iterator[bytes]:
    """Return a frame of `count` blocks of zeros behind some bytes."""
    yield FRAME + struct.pack("<I", len(first) << 3)[:3] + first
    for _ in range(count // 4096):
        yield RLE * 4096
    yield b"\x01\0\0"


def _members(bench: Bench) -> list[str]:
    """1 MiB of gzip for 1 GiB, a member a MiB; the whole: 1 GiB for 1 TiB."""
    return bench.assemble(
        repeat(gzip.compress(bytes(MIB), 9, mtime=0), 1 << (20 if bench.full else 10))
    )


def _one_member(bench: Bench) -> list[str]:
    return bench.assemble(_gzip(repeat(bytes(MIB), 4096 if bench.full else 300), 9))


def _zstd(bench: Bench) -> list[str]:
    """1 MiB of zstd for 32 GiB; the whole: 32 MiB for 1 TiB."""
    return bench.assemble(_rle(1 << (23 if bench.full else 18)), "zstd")


def _zstd_file(bench: Bench) -> list[str]:
    """One file of a TiB less a byte, so that the tar reader has nothing against it."""
    size = (1 << 40) - 1
    return bench.assemble(_rle(1 << 18, member(Header(size=base256(size, 12)))), "zstd")


def _zstd_behind_noise(bench: Bench) -> list[str]:
    """A blob that is large enough for its zeros, had it not kept them for its end."""
    noise = random.Random(1).randbytes(16 * MIB)
    first = [zstandard.ZstdCompressor().compress(file("noise", noise))]
    return bench.assemble(chain(first, _rle(1 << 18)), "zstd")


def _zstd_before_noise(bench: Bench) -> list[str]:
    """The zeros first, and the bytes that would pay for them never."""
    size = (1 << 40) - 1
    noise = random.Random(1).randbytes(64 * MIB)
    return bench.assemble(
        chain(_rle(1 << 20, member(Header(size=base256(size, 12)))), [noise]), "zstd"
    )


def _windows(bench: Bench) -> list[str]:
    """Layers that each want a window of 128 MiB, read side by side."""
    place = bench.folder / "base"
    chosen = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    layers, diff_ids = [], []
    for number in range(8):
        tar = file(f"big{number}", bytes(160 * MIB)) + END
        writer = zstandard.ZstdCompressor(compression_params=chosen).compressobj()
        pieces = [writer.compress(tar) + writer.flush()]
        layers.append(descriptor(f"{OCI_LAYER}+zstd", *bench.blob(place, pieces)))
        diff_ids.append(Digest.of(tar))
    return bench.assemble_on(bench.image(place, layers, diff_ids))


def _entries(bench: Bench) -> list[str]:
    """Files without content: 10^6, the whole 10^7; noise in the headers, so that they pass."""
    rng = random.Random(2)
    count = 10_000_000 if bench.full else 700_000
    tails = [rng.randbytes(12) for _ in range(1000)]
    head = Header(b"d/", patch={500: bytes(12)}).block()[:500]

    def headers() -> Iterator[bytes]:
        plain = sum(head) - sum(head[148:156]) + 256
        for number in range(count):
            name = b"%08d" % number
            tail = tails[number % 1000]
            block = bytearray(head + tail)
            block[2:10] = name
            block[148:156] = b"%06o\0 " % (plain + sum(name) + sum(tail))
            yield bytes(block)

    return bench.assemble(_gzip(_batched(headers())))


def _names(bench: Bench) -> list[str]:
    """Names and links of 250 bytes: not many entries, but much of each."""
    rng = random.Random(3)
    count = 3_000_000 if bench.full else 400_000
    halves = [rng.randbytes(75).hex().encode() for _ in range(500)]
    entries = (
        member(Header(b"%08d" % n + halves[n % 499][:90], b"2", link=halves[n % 487][:100], prefix=halves[n % 500]))
        for n in range(count)
    )  # fmt: skip
    return bench.assemble(_gzip(_batched(entries)))


def _keys(bench: Bench) -> list[str]:
    """One header with 10^6 keys."""
    data = b"".join(record(f"k{number}", "v") for number in range(1_000_000))
    return bench.assemble(_gzip([member(Header(b"x", b"x"), data), file("f")]))


def _few_keys(bench: Bench) -> list[str]:
    """One header of less than a MiB, with 60,000 keys."""
    data = b"".join(record(f"k{number}", "v") for number in range(60_000))
    return bench.assemble(_gzip([member(Header(b"x", b"x"), data), file("f")]))


def _attributes(bench: Bench) -> list[str]:
    """Headers of 64 KiB that are kept, one for every file."""
    rng = random.Random(4)
    count = 20_000 if bench.full else 5_000
    value = rng.randbytes(64 << 10)
    entries = (pax((f"SCHILY.xattr.user.{n}", value)) + file(f"f{n}") for n in range(count))
    return bench.assemble(_gzip(entries))


def _record(bench: Bench) -> list[str]:
    """A PAX record of 4 GiB."""
    size = 4 << 30
    head = member(Header(b"x", b"x", size=base256(size, 12))) + b"%d path=" % size
    return bench.assemble(_gzip(chain([head], repeat(b"a" * MIB, 4096 if bench.full else 64))))


def _name(bench: Bench) -> list[str]:
    """A name of 4 GiB, the GNU way."""
    head = member(Header(b"././@LongLink", b"L", magic=GNU, size=base256(4 << 30, 12)))
    return bench.assemble(_gzip(chain([head], repeat(b"a" * MIB, 4096 if bench.full else 64))))


def _layers(bench: Bench) -> list[str]:
    """As many layers as fit into a manifest, all of them one blob."""
    place = bench.folder / "base"
    tar = file("f") + END
    blob = descriptor(f"{OCI_LAYER}+gzip", *bench.blob(place, [gzip.compress(tar, mtime=0)]))
    count = 20_000
    return bench.assemble_on(bench.image(place, [blob] * count, [Digest.of(tar)] * count))


def _directories(bench: Bench) -> list[str]:
    """A large directory, named again and again."""
    count = 300_000 if bench.full else 60_000
    files = (file(f"d/{number}") for number in range(count))
    again = repeat(directory("d") * 100, count // 100)
    return bench.assemble(_gzip(chain(_batched(files), again, [END])))


# 40 links, each a path that goes 900 times down and up before it comes to the next.
CHAIN: Final = b"".join(
    [directory("a"), directory("l0"), file("l0/f")]
    + [
        member(Header(b"././@LongLink", b"K", magic=GNU), b"a/../" * 800 + b"l%d\0" % (n - 1))
        + symlink(f"l{n}", "x")
        for n in range(1, 40)
    ]
)


def _hard_links(bench: Bench) -> list[str]:
    """Hard links to a file that is found through long links only."""
    count = 300_000 if bench.full else 30_000
    links = (hard_link(f"h{number}", "l39/f") for number in range(count))
    return bench.assemble(_gzip(chain([CHAIN], _batched(links), [END])))


def _parents(bench: Bench) -> list[str]:
    """Files below long links, and a directory replaced in between each two."""
    count = 300_000 if bench.full else 30_000
    entries = (file(f"l39/{number}") + directory("x") for number in range(count))
    return bench.assemble(_gzip(chain([CHAIN], _batched(entries), [END])))


def _whiteouts(bench: Bench) -> list[str]:
    """Whiteouts deep in a tree of the layer below, and opaque marks of the same directory."""
    deep = "/".join(["d"] * 40)
    count = 300_000 if bench.full else 60_000
    lower = b"".join(file(f"{deep}/{number}") for number in range(5000)) + END
    marks = (file(f"{deep}/.wh.{number}") + file(f"{deep}/.wh..wh..opq") for number in range(count))
    place = bench.folder / "base"
    low = descriptor(f"{OCI_LAYER}+gzip", *bench.blob(place, [gzip.compress(lower, mtime=0)]))
    high = descriptor(
        f"{OCI_LAYER}+gzip", *bench.blob(place, _gzip(chain(_batched(marks), [b"x"])))
    )
    return bench.assemble_on(bench.image(place, [low, high], [Digest.of(lower), Digest.of(b"")]))


def _deep(bench: Bench) -> list[str]:
    """Directories as deep as names may be, beside each other."""
    count = 20_000 if bench.full else 4_000
    deep = "d/" * 2000
    entries = (long_name(f"{deep}{n}") + file("f") + directory("x") for n in range(count))
    return bench.assemble(_gzip(chain(_batched(entries, 100), [END])))


def _includes(bench: Bench) -> list[str]:
    """Forty files of ld.so.conf that include all of each other, twice."""
    line = b"include /etc/ld.so.conf.d/*.conf\n"
    confs = [file(f"etc/ld.so.conf.d/{n}.conf", line * 2 + b"/opt/lib%d\n" % n) for n in range(40)]
    tar = b"".join([file("etc/ld.so.conf", line), *confs]) + END
    return bench.assemble_on(bench.base(tar), bench.builder(tar))


def _headers(bench: Bench) -> list[str]:
    """A Python with 65,535 program headers."""
    plain = bytearray(elf(needed=["libc.so.6"], interpreter=f"/lib64/{X86.loader}"))
    plain[56:58] = b"\xff\xff"
    tar = file("usr/local/bin/python3.13", bytes(plain) + bytes(65_535 * 56), mode=0o755) + END
    return bench.assemble_on(bench.base(), bench.builder(tar))


def _needs(bench: Bench) -> list[str]:
    """A thousand libraries that each need all others."""
    names = [f"lib{number}.so" for number in range(1000)]
    libraries = b"".join(
        file(f"{X86.folder}/{name}", elf(soname=name, needed=names), mode=0o755) for name in names
    )
    module = elf(needed=[*names, "libc.so.6"])
    path = "usr/local/lib/python3.13/lib-dynload/_y.so"
    return bench.assemble_on(
        bench.base(), bench.builder(libraries + file(path, module, mode=0o755) + END)
    )


_INFLATES: Final = "inflates to more than"
_FINE: Final = frozenset({0, 7, 8})

LAYERS: Final = (
    Bomb("gzip, members", _members, _INFLATES),
    Bomb("gzip, one member", _one_member, _INFLATES),
    Bomb("zstd, 32,768 to 1", _zstd, _INFLATES),
    Bomb("zstd, a file of a TiB", _zstd_file, _INFLATES),
    Bomb("zstd, zeros behind noise", _zstd_behind_noise, _INFLATES),
    Bomb("zstd, zeros before noise", _zstd_before_noise, _INFLATES),
    Bomb("zstd, windows of 128 MiB", _windows, "", _FINE),
    Bomb("10^7 entries", _entries, "more entries|names"),
    Bomb("long names", _names, "more entries|names"),
    Bomb("10^6 PAX keys", _keys, "an extended header of"),
    Bomb("60,000 PAX keys in 1 MiB", _few_keys, "too many"),
    Bomb("extended attributes", _attributes, "extended headers|more entries"),
    Bomb("a PAX record of 4 GiB", _record, "an extended header of"),
    Bomb("a GNU name of 4 GiB", _name, "an extended header of"),
    Bomb("20,000 layers", _layers, "layers"),
    Bomb("a directory again and again", _directories, "", _FINE | {6}),
    Bomb("hard links through links", _hard_links, "", _FINE | {6}),
    Bomb("files through links", _parents, "", _FINE | {6}),
    Bomb("whiteouts", _whiteouts, "", frozenset({6, 7})),
    Bomb("deep directories", _deep, "", _FINE | {6}),
    Bomb("2^n includes of ld.so.conf", _includes, "", _FINE),
    Bomb("65,535 program headers", _headers, "", frozenset({7, 8})),
    Bomb("libraries that need each other", _needs, "", _FINE),
)
