"""Digests: the only names of content (image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Protocol, Self

from layersmith.errors import InvalidDigest, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Digest", "Hasher"]

_HEX_LENGTH = {"sha256": 64, "sha512": 128}
_GRAMMAR = re.compile(r"(sha256|sha512):([0-9a-f]+)", re.ASCII)


class Hasher(Protocol):
    """What :mod:`hashlib` objects are."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Hash more bytes."""

    def digest(self) -> bytes:
        """Return the raw digest so far."""

    def hexdigest(self) -> str:
        """Return the digest so far in lower-case hexadecimal."""


class Digest(str):
    """``algorithm:hex``, checked when it is made.

    Only the two registered algorithms are accepted: nothing else can be verified,
    and nothing unchecked may become part of a path or a URL.

    Raises :class:`InvalidDigest` for any other string.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check `text` against the grammar."""
        match = _GRAMMAR.fullmatch(text)
        if match is None or len(match[2]) != _HEX_LENGTH[match[1]]:
            raise InvalidDigest(
                f"{one_line(text, 100)!r} is not a digest",
                hint="a digest is sha256: and 64, or sha512: and 128, lower-case hex digits",
            )
        return super().__new__(cls, text)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Self:
        """Return the digest of `data`."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")

    @classmethod
    def of_chunks(cls, chunks: Iterable[bytes]) -> Self:
        """Return the sha256 digest of all `chunks` together."""
        hasher = hashlib.sha256()
        for chunk in chunks:
            hasher.update(chunk)
        return cls.of_hasher(hasher)

    @classmethod
    def of_hasher(cls, hasher: Hasher, algorithm: str = "sha256") -> Self:
        """Return what `hasher` has seen so far as a digest."""
        return cls(f"{algorithm}:{hasher.hexdigest()}")

    @property
    def algorithm(self) -> str:
        """The part before the colon."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The hexadecimal part."""
        return self.partition(":")[2]

    def hasher(self) -> Hasher:
        """Return a fresh hasher of this digest's algorithm."""
        return hashlib.new(self.algorithm)
