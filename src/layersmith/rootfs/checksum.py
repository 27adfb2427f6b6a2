"""The checksum that a file of a layer is verified by alone: XXH3 of 64 bits.

The layer as a whole was verified by its digest when it was read; this finds what rotted since,
at a thirtieth of SHA-256's price. It proves nothing to strangers, who can make two files with
one XXH3: see :func:`same_bytes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xxhash import xxh3_64, xxh3_64_digest

from layersmith.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.errors import LayersmithError
    from layersmith.oci.digest import Hasher
    from layersmith.rootfs.entries import File
    from layersmith.rootfs.tree import Contents

__all__ = ["Checksum", "checksum", "proven", "same_bytes"]

Checksum = xxh3_64
checksum = xxh3_64_digest


def proven(
    pieces: Iterable[bytes], hasher: Hasher, expected: bytes, failure: LayersmithError
) -> Iterator[bytes]:
    """Yield `pieces`; the last comes only if all of them have the digest `expected`.

    Raises `failure` where they have another.
    """
    waiting = b""
    for piece in pieces:
        hasher.update(piece)
        yield waiting
        waiting = piece
    if hasher.digest() != expected:
        raise failure
    yield waiting


def same_bytes(one: File, other: File, ours: Contents, theirs: Contents) -> bool:
    """Tell whether two files of layers have the same bytes.

    They are read where their checksums are equal, and they are not one file: `one` from
    `ours`, `other` from `theirs`.
    """
    if one.content == other.content:
        return True
    if one.size != other.size or _sum(one) != _sum(other):
        return False
    return Digest.of_chunks(ours.chunks(one)) == Digest.of_chunks(theirs.chunks(other))


def _sum(file: File) -> bytes:
    return checksum(file.content) if isinstance(file.content, bytes) else file.content.checksum
