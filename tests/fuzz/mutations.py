"""Inputs changed at random, the same for the same seed: what a fuzzer tries first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from tests.fuzz.target import Target

_BYTES = (b"\0", b"\xff", b"\x7f", b"\x80", b" ", b"\n", b'"', b"-1", b"9" * 20, b"\xed\xa0\x80")
_NUMBERS = (0, 1, 2, 0x7FFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1)


def inputs(target: Target, rng: Random, count: int) -> Iterator[bytes]:
    """Yield every seed of a target, then `count` mutants of them."""
    yield from dict.fromkeys(target.seeds())
    corpus = target.corpus()
    for _ in range(count):
        yield mutant(rng, corpus, target.words)[: target.largest]


def mutant(rng: Random, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Return one of `corpus` with one to four changes."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        start = rng.randrange(len(data) + 1)
        stop = min(len(data), start + rng.choice((1, 1, 2, 4, 8, 16, 64, 512)))
        kind = rng.randrange(8)
        if kind == 0 and start < len(data):
            data[start] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[start:stop] = b""
        elif kind == 2:
            data[stop:stop] = data[start:stop]
        elif kind == 3:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(_NUMBERS) + rng.randrange(-2, 3)
            value = (number % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big")))
            data[start : start + size] = value
        elif kind == 4:
            other = rng.choice(corpus)
            at = rng.randrange(len(other) + 1)
            data[start:stop] = other[at : at + rng.choice((8, 64, 512))]
        elif kind == 5:
            del data[start:]
        else:
            data[start : rng.choice((start, stop))] = rng.choice((*_BYTES, *words, *words))
    return bytes(data)
