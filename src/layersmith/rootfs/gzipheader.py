"""Where the header of a gzip member ends (RFC 1952, 2.3).

ISA-L checks a header that it gets in one piece. In several it loses its place among name,
comment and checksum: it refuses good ones and accepts bad ones, as the network cuts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from layersmith.errors import LayerError

if TYPE_CHECKING:
    from layersmith.oci.content import Readable

__all__ = ["with_header"]

_FIXED: Final = 10
_CHECKSUM, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
_LONGEST: Final = 512  # of a name or comment with its NUL
_STEP: Final = 1 << 18


def with_header(data: bytes, stream: Readable) -> bytes:
    """Return the start of a member with as much more of `stream` as its header needs.

    Less where the stream ends. Raises :class:`LayerError` for a header that the readers of
    runtimes refuse: they take names of 511 bytes, and get a checksum of names wrong.
    """
    while not _is_whole(data) and (more := stream.read(_STEP)):
        data += more
    return data


def _is_whole(data: bytes) -> bool:
    if len(data) < _FIXED:
        return False
    flags, end = data[3], _FIXED
    if flags & _CHECKSUM and flags & (_EXTRA | _NAME | _COMMENT):
        raise LayerError("a gzip header with a checksum over its names, which runtimes refuse")
    if flags & _EXTRA:
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for flag, what in ((_NAME, "name"), (_COMMENT, "comment")):
        if flags & flag:
            nul = data.find(b"\0", end, end + _LONGEST)
            if nul < 0 and len(data) >= end + _LONGEST:
                raise LayerError(f"the {what} in a gzip header is longer than runtimes read")
            if nul < 0:
                return False
            end = nul + 1
    return len(data) >= end + (2 if flags & _CHECKSUM else 0)
