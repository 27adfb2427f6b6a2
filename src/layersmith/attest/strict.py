"""What all signed documents are read with: one spelling of base64, objects with just their keys."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import DocumentError, Untrusted, one_line
from layersmith.oci import strictjson

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_PAYLOAD", "decoded", "encoded", "read_json", "text_of", "with_keys"]

MAX_PAYLOAD: Final = 32 << 20


def encoded(data: bytes) -> str:
    """Return `data` in base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def decoded(text: Any, what: str) -> bytes:
    """Return the bytes of base64 in its one spelling.

    Go's reader skips line ends and all take stray bits at the end: such a text would be
    another name of the same bytes. Raises :class:`Untrusted`.
    """
    try:
        raw = base64.b64decode(text_of(text, what).encode(), validate=True)
    except binascii.Error:
        raise Untrusted(f"{what}: not base64") from None
    if encoded(raw) != text:
        raise Untrusted(f"{what}: base64 in another spelling than its one")
    return raw


def text_of(value: Any, what: str) -> str:
    """Return a string; raises :class:`Untrusted` for anything else."""
    if not isinstance(value, str) or not value.isascii():
        raise Untrusted(f"{what}: not a plain text")
    return value


def read_json(raw: bytes, what: str, *, limit: int = MAX_PAYLOAD) -> dict[str, Any]:
    """Return the object in `raw`; raises :class:`Untrusted`, also for a key that stands twice."""
    try:
        value = strictjson.decode(raw, what, limit=limit)
    except DocumentError as error:
        raise Untrusted(error.message) from None
    if not isinstance(value, dict):
        raise Untrusted(f"{what}: not a JSON object")
    return value


def with_keys(
    value: Any, what: str, needed: Iterable[str], allowed: Iterable[str] = ()
) -> dict[str, Any]:
    """Return an object that has all keys that are needed, and no others than are allowed.

    A key that we do not know may change what the others mean. Raises :class:`Untrusted`.
    """
    if not isinstance(value, dict):
        raise Untrusted(f"{what}: not a JSON object")
    if missing := sorted(set(needed) - value.keys()):
        raise Untrusted(f"{what}: no {missing[0]}")
    if strange := sorted(value.keys() - set(needed) - set(allowed)):
        raise Untrusted(f"{what}: the unknown key {one_line(strange[0], 60)!r}")
    return value
