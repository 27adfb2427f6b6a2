"""What a fuzz target is: bytes of a stranger go in, nothing but our own errors comes out.

A target reads `data` as the program would. Besides what escapes it states what must hold of
all that is accepted: read again, in other pieces, or written and read back, it is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from layersmith.errors import LayersmithError

_SEAM = b"\n%%\n"  # between the files of one input


@dataclass(frozen=True)
class Target:
    """One target: what it `reads`, inputs to begin with, and `words` of that language.

    `parsers` are the modules it is about, below ``layersmith``. What is changed at random is
    smaller than `largest`; other seeds are only read as they are.
    """

    name: str
    reads: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    parsers: tuple[str, ...]
    words: Sequence[bytes] = ()
    largest: int = 8192

    def __call__(self, data: bytes) -> None:
        """Read `data`; whatever this raises is a find."""
        with suppress(LayersmithError):
            self.reads(data)

    def corpus(self) -> list[bytes]:
        """Return the seeds that are small enough to be changed, each once."""
        return [seed for seed in dict.fromkeys(self.seeds()) if len(seed) < self.largest]


def refused(read: Callable[[], object]) -> bool:
    """Tell whether our own error comes out of `read`."""
    try:
        read()
    except LayersmithError:
        return True
    return False


def seamed(*files: bytes) -> bytes:
    """Return an input of several files."""
    return _SEAM.join(files)


def parted(data: bytes, count: int) -> list[bytes]:
    """Return the `count` files of an input, those that it lacks empty."""
    found = data.split(_SEAM, count - 1)
    return found + [b""] * (count - len(found))
