"""The index of a layer: its changes, as a checked file.

It is the layer's size, then the changes in batches, each a MessagePack document behind its
length, and the SHA-256 of all that. A layer may have hundreds of thousands of changes: only one
batch is in memory twice.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.rootfs.entries import Directory, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.layer import Change, HardLink, Opaque, Put, Whiteout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.rootfs.entries import Entry

__all__ = ["index_pieces", "unpack_index"]


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
    checksum: bytes = b""
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


_MAGIC: Final = b"layersmith index 4\n"
_DIGEST: Final = 32
_NUMBER: Final = 8  # bytes of the size, and of each length
_BATCH: Final = 4096
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[_Record])


def index_pieces(size: int, changes: Sequence[Change]) -> Iterator[bytes]:
    """Yield the index of a layer of `size` uncompressed bytes."""
    hasher = hashlib.sha256()
    yield _MAGIC
    for piece in chain([_number(size)], _packed(changes)):
        hasher.update(piece)
        yield piece
    yield hasher.digest()


def _packed(changes: Sequence[Change]) -> Iterator[bytes]:
    for start in range(0, len(changes), _BATCH):
        batch = _ENCODER.encode([_record(change) for change in changes[start : start + _BATCH]])
        yield _number(len(batch)) + batch


def unpack_index(data: bytes, diff_id: str) -> tuple[int, list[Change]] | None:
    """Return size and changes, or None for an index that is damaged or of old."""
    body = memoryview(data)[len(_MAGIC) : -_DIGEST]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).digest() != data[-_DIGEST:]:
        return None
    with suppress(msgspec.MsgspecError, ValueError):
        shared = _Shared(diff_id)
        changes = [_change(one, shared) for batch in _batches(body) for one in batch]
        return int.from_bytes(body[:_NUMBER], "big"), changes
    return None


def _number(number: int) -> bytes:
    return number.to_bytes(_NUMBER, "big")


def _batches(body: memoryview) -> Iterator[list[_Record]]:
    at = _NUMBER
    while at < len(body):
        start = at + _NUMBER
        at = start + int.from_bytes(body[at:start], "big")
        yield _DECODER.decode(body[start:at])
    if at != len(body):
        raise ValueError("a batch is cut")


class _Shared:
    """What many changes of a layer have in common: the layer, their folders and metadata."""

    def __init__(self, diff_id: str) -> None:
        self.diff_id = diff_id
        self._folders: dict[str, str] = {}
        self._metas: dict[Meta, Meta] = {}

    def folder(self, path: str) -> str:
        return self._folders.setdefault(path, path)

    def meta(self, meta: Meta) -> Meta:
        return self._metas.setdefault(meta, meta)


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
        where = entry.content
        return _Record("0", path, *owner, b"", where.offset, where.size, where.checksum, xattrs)
    if isinstance(entry, Directory):
        return _Record("5", path, *owner, xattrs=xattrs)
    if isinstance(entry, Symlink):
        return _Record("2", path, *owner, _bytes(entry.target), xattrs=xattrs)
    return _Record(entry.kind.value, path, *owner, b"", entry.major, entry.minor, xattrs=xattrs)


def _change(record: _Record, shared: _Shared) -> Change:
    kind, path = record.kind, _text(record.path)
    if kind == "w":
        return Whiteout(path)
    if kind == "o":
        return Opaque(path)
    if kind == "1":
        return HardLink(path, _text(record.text))
    folder, _, name = path.rpartition("/")
    return Put(shared.folder(folder), name, _entry(record, shared))


def _entry(record: _Record, shared: _Shared) -> Entry:
    xattrs = tuple((_text(name), value) for name, value in record.xattrs)
    meta = shared.meta(Meta(record.mode, record.uid, record.gid, record.mtime, xattrs))
    if record.kind == "0":
        content = Slice(shared.diff_id, record.first, record.second, record.checksum)
        return File(meta, content)
    if record.kind == "5":
        return Directory(meta, {})
    if record.kind == "2":
        return Symlink(meta, _text(record.text))
    return Special(meta, Kind(record.kind), record.first, record.second)
