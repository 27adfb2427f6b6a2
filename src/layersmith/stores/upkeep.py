"""Looking after a cache: what is in it, whether it is whole, and what can go.

A file that is removed while another process reads it stays readable to that process; one
that it has not opened yet is fetched again. What a killed process left behind (``.new-*``,
half a layer, a lock) is removed; it is known by nobody holding its lock.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import InvalidDigest, LayersmithError
from layersmith.oci.digest import Digest
from layersmith.rootfs.layer import read_layer
from layersmith.stores.cache import memo_value
from layersmith.stores.files import OpenFile, disk_errors
from layersmith.stores.index import unpack_index
from layersmith.stores.layers import digest_of
from layersmith.stores.locks import NEW, clear

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.stores.cache import Cache

__all__ = ["Item", "items", "prune", "verify"]

_DAY: Final = 24 * 3600
_ALGORITHMS: Final = {64: "sha256", 128: "sha512"}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in the cache: a ``blob``, ``layer``, ``memo`` or ``leftover``.

    `name` is its digest, or a file name; `used` the time when it was last used.
    """

    kind: str
    name: str
    paths: tuple[Path, ...]
    size: int
    used: float


def items(cache: Cache) -> list[Item]:
    """Return everything in the cache, what was not used for longest first.

    Raises :class:`OutputError` where it cannot be read; what another process removes
    meanwhile is left out.
    """
    with disk_errors(f"reading the cache {cache.root}"):
        root = cache.root
        found = [*_blobs(root), *_layers(root), *_memos(root), *_turns(root)]
    return sorted(found, key=lambda item: (item.used, item.name))


def prune(cache: Cache, max_size: int) -> list[Item]:
    """Remove leftovers, and what was not used for longest, down to `max_size` bytes.

    Returns what was removed.
    """
    found = items(cache)
    total = sum(item.size for item in found)
    gone = []
    for item in sorted(found, key=lambda item: item.kind != "leftover"):
        if item.kind == "leftover":
            if not _cleared(cache, item):
                continue
        elif total > max_size:
            _remove(cache, item)
        else:
            break
        gone.append(item)
        total -= item.size
    _remove_empty(cache)
    return gone


def verify(cache: Cache) -> Iterator[tuple[Item, str]]:
    """Check every byte; yield each thing with what is wrong with it, or nothing.

    What is damaged is removed, and what was left behind is.
    """
    for item in items(cache):
        if item.kind == "leftover":
            yield item, "left behind" if _cleared(cache, item) else ""
            continue
        fault = _fault(item)
        if fault:
            _remove(cache, item)
        yield item, fault
    _remove_empty(cache)


def _blobs(root: Path) -> Iterator[Item]:
    for folder in _entries(root / "blobs"):
        for path in _entries(folder):
            yield from _item("blob", f"{folder.name}:{path.name}", path)


def _layers(root: Path) -> Iterator[Item]:
    for folder in _entries(root / "layers"):
        parts = {path.name: path for path in _entries(folder)}
        for name in [name for name in parts if name not in ("index", "tar")]:
            yield from _item("leftover", name, parts.pop(name))
        if parts:  # one alone: somebody is, or was, between the two
            kind = "layer" if len(parts) == 2 else "leftover"
            algorithm = _ALGORITHMS.get(len(folder.name), "unknown")
            yield from _item(kind, f"{algorithm}:{folder.name}", *parts.values())


def _memos(root: Path) -> Iterator[Item]:
    for path in _entries(root / "memo"):
        yield from _item("memo", path.name, path)


def _turns(root: Path) -> Iterator[Item]:
    for path in _entries(root / "turns"):
        yield from _item("leftover", path.name, path)


def _entries(folder: Path) -> list[Path]:
    if folder.is_symlink():  # not ours: what it leads to is no cache, and must not be removed
        return []
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _item(kind: str, name: str, *paths: Path) -> Iterator[Item]:
    with suppress(FileNotFoundError):
        states = [path.stat() for path in paths]
        if paths[0].name.startswith(NEW):
            kind, name = "leftover", paths[0].name
        size = sum(state.st_size for state in states)
        yield Item(kind, name, paths, size, max(state.st_mtime for state in states))


def _remove(cache: Cache, item: Item) -> None:
    # An index without its tar is nothing; a tar without its index is waste.
    for path in sorted(item.paths, key=lambda path: path.name):
        cache.drop(path)


def _remove_empty(cache: Cache) -> None:
    with disk_errors(f"reading the cache {cache.root}"):
        folders = _entries(cache.root / "layers")
    for folder in folders:
        with suppress(OSError):  # not empty, as nearly all are
            folder.rmdir()


def _cleared(cache: Cache, item: Item) -> bool:
    """Remove what was left behind, unless who made it may be alive; tell whether."""
    first = item.paths[0]
    if first.name not in ("index", "tar"):
        return clear(first)
    with cache.turns.free(f"layer-{first.parent.name}") as is_free:
        is_dead = time.time() - item.used > _DAY if is_free is None else is_free
        with disk_errors(f"reading the cache {first.parent}"):
            is_half = len(_entries(first.parent)) == 1
        if not is_dead or not is_half:  # it may have become whole
            return False
        _remove(cache, item)
        return True


def _fault(item: Item) -> str:
    """Return what is wrong with an item; nothing if it is whole, or gone meanwhile."""
    try:
        return _CHECKS[item.kind](item)
    except FileNotFoundError:
        return ""
    except InvalidDigest:
        return "its name is no digest"
    except LayersmithError as error:
        return error.message
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _check_blob(item: Item) -> str:
    digest = Digest(item.name)
    return "" if digest_of(OpenFile.at(item.paths[0]), digest.algorithm) == digest else _ROT


def _check_layer(item: Item) -> str:
    """Compare the tar with the diff_id, and the index with what is in the tar."""
    index, path = sorted(item.paths, key=lambda path: path.name)
    diff_id, tar = Digest(item.name), OpenFile.at(path)
    if digest_of(tar, diff_id.algorithm) != diff_id:
        return _ROT
    found = unpack_index(index.read_bytes(), diff_id)
    if found is None:
        return "its index is damaged"
    is_right = found == (tar.status.st_size, list(read_layer(tar.whole(), diff_id)))
    return "" if is_right else "its index says something else"


def _check_memo(item: Item) -> str:
    return "" if memo_value(item.name, item.paths[0].read_bytes()) is not None else _ROT


_ROT: Final = "its bytes are not what they were"
_CHECKS: Final = {"blob": _check_blob, "layer": _check_layer, "memo": _check_memo}
