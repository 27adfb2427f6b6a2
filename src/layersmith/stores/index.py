"""The index of a layer: its changes, as a checked file (MessagePack)."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.rootfs.entries import Directory, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.layer import Change, HardLink, Opaque, Put, Whiteout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.rootfs.entries import Entry

__all__ = ["pack_index", "unpack_index"]


class _Record(msgspec.Struct, array_like=True, gc=False):
    """A change as the index holds it; `kind` is a tar type flag, ``w`` or ``o``."""

    kind: str
    path: bytes
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    text: bytes = b""
    first: int = 0
    second: int = 0
    sha256: bytes = b""
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


_MAGIC: Final = b"layersmith index 1\n"
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[int, list[_Record]])


def pack_index(size: int, changes: Sequence[Change]) -> bytes:
    """Return the index of a layer of `size` uncompressed bytes."""
    body = _ENCODER.encode((size, [_record(change) for change in changes]))
    return _MAGIC + hashlib.sha256(body).digest() + body


def unpack_index(data: bytes, diff_id: str) -> tuple[int, list[Change]] | None:
    """Return size and changes, or None for an index that is damaged or of old."""
    head, body = data[: len(_MAGIC) + 32], data[len(_MAGIC) + 32 :]
    if head != _MAGIC + hashlib.sha256(body).digest():
        return None
    with suppress(msgspec.MsgspecError, ValueError):
        size, records = _DECODER.decode(body)
        metas: dict[Meta, Meta] = {}
        return size, [_change(record, diff_id, metas) for record in records]
    return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _record(change: Change) -> _Record:
    if isinstance(change, Whiteout):
        return _Record("w", _bytes(change.path))
    if isinstance(change, Opaque):
        return _Record("o", _bytes(change.path))
    if isinstance(change, HardLink):
        return _Record("1", _bytes(change.path), text=_bytes(change.target))
    return _put_record(_bytes(change.path), change.entry)


def _put_record(path: bytes, entry: Entry) -> _Record:
    meta = entry.meta
    owner = (meta.mode, meta.uid, meta.gid, meta.mtime)
    xattrs = tuple((_bytes(name), value) for name, value in meta.xattrs)
    if isinstance(entry, File):
        assert isinstance(entry.content, Slice)
        content = entry.content
        return _Record("0", path, *owner, b"", content.offset, content.size, content.sha256, xattrs)
    if isinstance(entry, Directory):
        return _Record("5", path, *owner, xattrs=xattrs)
    if isinstance(entry, Symlink):
        return _Record("2", path, *owner, _bytes(entry.target), xattrs=xattrs)
    return _Record(entry.kind.value, path, *owner, b"", entry.major, entry.minor, xattrs=xattrs)


def _change(record: _Record, diff_id: str, metas: dict[Meta, Meta]) -> Change:
    kind, path = record.kind, _text(record.path)
    if kind == "w":
        return Whiteout(path)
    if kind == "o":
        return Opaque(path)
    if kind == "1":
        return HardLink(path, _text(record.text))
    return Put(path, _entry(record, diff_id, metas))


def _entry(record: _Record, diff_id: str, metas: dict[Meta, Meta]) -> Entry:
    xattrs = tuple((_text(name), value) for name, value in record.xattrs)
    meta = Meta(record.mode, record.uid, record.gid, record.mtime, xattrs)
    meta = metas.setdefault(meta, meta)
    if record.kind == "0":
        return File(meta, Slice(diff_id, record.first, record.second, record.sha256))
    if record.kind == "5":
        return Directory(meta, {})
    if record.kind == "2":
        return Symlink(meta, _text(record.text))
    return Special(meta, Kind(record.kind), record.first, record.second)
