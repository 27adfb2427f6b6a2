"""ELF files changed at random where a loader looks, the same for the same seed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random

_WORDS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 255, 256, 257, 0x7FFF, 0x8000, 0xFFFF, 1 << 16, 1 << 31)
_TAGS = (0, 1, 5, 10, 14, 15, 29, 0x6FFFFFFB, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF)
_LARGEST = 1 << 16  # bytes of a real file that are kept


@dataclass(frozen=True)
class Specimen:
    """A file and the regions of it that matter: offset, size, and how wide its fields are."""

    name: str
    data: bytes
    regions: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, name: str, data: bytes) -> Specimen:
        """Find the regions of a whole, little-endian file of 64 bits."""
        data = data[: 4 * _LARGEST]
        (phoff,), (count,) = struct.unpack_from("<Q", data, 32), struct.unpack_from("<H", data, 56)
        regions = [(0, 64, 2), (phoff, 56 * count, 8)]
        for number in range(count):
            kind, offset, size = struct.unpack_from("<I4xQ16xQ", data, phoff + 56 * number)
            if kind in (2, 3, 0x6474E553):
                regions.append((offset, size, 8 if kind == 2 else 4))
                regions += _tables(data, offset, size) if kind == 2 else ()
        return cls(name, data, tuple(r for r in regions if r[1] > 0 and sum(r[:2]) <= len(data)))

    def mutant(self, rng: Random) -> bytes:
        """Return the file with one to four changes."""
        data = bytearray(self.data)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
            if not data:
                break
            start, size, width = rng.choice(self.regions)
            at = min(start + rng.randrange(size) // width * width, len(data) - 1)
            kind = rng.random()
            if kind < 0.55:
                value = _number(rng, len(data))
                data[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
            elif kind < 0.7:
                data[at] ^= 1 << rng.randrange(8)
            elif kind < 0.8:
                data[at : at + 8] = rng.choice(_TAGS).to_bytes(8, "little")
            elif kind < 0.9:
                other = rng.choice(self.regions)
                length = rng.choice((1, 8, 16, 64))
                data[at : at + length] = data[other[0] : other[0] + length]
            elif kind < 0.96:
                length = rng.choice((1, 4, 16, 256))
                data[at : at + length] = rng.choice((b"\0", b"\xff", b"A", b"$")) * length
            else:
                del data[rng.choice((at, rng.randrange(len(data)))) :]
        return bytes(data)


def _tables(data: bytes, offset: int, size: int) -> list[tuple[int, int, int]]:
    """Return the strings and version tables that a dynamic segment names by address."""
    entries = dict(struct.iter_unpack("<QQ", data[offset : offset + size - size % 16]))
    found = [(entries.get(5, 0), min(entries.get(10, 0), 4096), 1)]
    found += [(entries[tag], 512, 4) for tag in (0x6FFFFFFC, 0x6FFFFFFE) if tag in entries]
    return found


def _number(rng: Random, size: int) -> int:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(_WORDS)
    if kind < 0.7:
        return rng.choice((size, 1 << 32, 1 << 63, 1 << 64)) - rng.choice((0, 1, 2, 8, 16, 64))
    return rng.randrange(size) if kind < 0.9 else rng.getrandbits(64)
