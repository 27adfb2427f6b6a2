"""The order of Debian's versions, ``[epoch:]upstream[-revision]`` (deb-version(7)).

Upstream version and revision are compared piece by piece: text that is not digits, then a
number. In text ``~`` comes before the end, the end before letters, letters before the rest.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

__all__ = ["DebianKey", "debian_key"]

_UPSTREAM: Final = re.compile(r"[0-9A-Za-z.+:~-]+", re.ASCII)
_REVISION: Final = re.compile(r"[0-9A-Za-z.+~]+", re.ASCII)
_EPOCH: Final = re.compile(r"[0-9]+", re.ASCII)
_PIECE: Final = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)
_MOST_EPOCH: Final = 2**31 - 1

# Text by the order of its characters, and a number by its digits: as long as one likes.
_Piece: TypeAlias = tuple[tuple[int, ...], tuple[int, str]]
DebianKey: TypeAlias = tuple[int, tuple[_Piece, ...], tuple[_Piece, ...]]

_END: Final[_Piece] = ((0,), (0, ""))


def debian_key(text: str) -> DebianKey:
    """Return what sorts as dpkg sorts `text`, and is equal where dpkg says equal.

    Raises :class:`ValueError` for what is no version.
    """
    epoch, _, rest = text.partition(":") if ":" in text else ("0", "", text)
    upstream, hyphen, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    significant = epoch.lstrip("0") or "0"
    if (
        _EPOCH.fullmatch(epoch) is None
        or _UPSTREAM.fullmatch(upstream) is None
        or (hyphen and _REVISION.fullmatch(revision) is None)
        or len(significant) > 10
        or int(significant) > _MOST_EPOCH
    ):
        raise ValueError("not a version of Debian's")
    return int(significant), _pieces(upstream), _pieces(revision)


def _pieces(text: str) -> tuple[_Piece, ...]:
    """Cut `text`; what an absent piece counts as stands at the end, and alone for nothing."""
    found = [_piece(match) for match in _PIECE.finditer(text) if match[0]]
    return (*(found or [_END]), _END)


def _piece(match: re.Match[str]) -> _Piece:
    return (*map(_order, match[1]), 0), _number(match[2])


def _order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) + (0 if character.isalpha() else 256)


def _number(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")
    return len(significant), significant
