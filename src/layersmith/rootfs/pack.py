"""The reproducible tar: the same entries give the same bytes, whatever their order.

Sorted by bytes, one entry a path, every parent directory first, owners by number
only, one mtime for all. ustar headers, with a PAX header where a value does not fit
(POSIX.1-2001 pax). Two files with one slice are one inode: the second is a hard link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from layersmith.errors import UnsafePath
from layersmith.rootfs import pax
from layersmith.rootfs.entries import Directory, File, Meta, Slice, Special, Symlink
from layersmith.rootfs.tar import BLOCK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents

__all__ = ["pack"]

_MAX_OCTAL_7: Final = 0o7777777
_MAX_OCTAL_11: Final = 0o77777777777
_END: Final = bytes(2 * BLOCK)
_MARK: Final = ".wh."
_WHITEOUT: Final = File(Meta(0o644), b"")


def pack(
    entries: Mapping[str, Entry], contents: Contents, mtime: int, removed: Collection[str] = ()
) -> Iterator[bytes]:
    """Yield an uncompressed layer that puts `entries` (canonical path -> entry).

    What lower layers have at the paths `removed` is gone (image-spec layer.md, "Whiteouts").

    Every parent of a path must be among `entries`, as a directory: a layer that
    leaves parents out is refused by some runtimes, and their modes are left to chance.

    Raises :class:`UnsafePath` for a path without its parents, and for what a tar cannot
    say: a name that deletes, a device beyond the numbers of a header.
    """
    inodes: dict[tuple[str, int], str] = {}
    for path in (*entries, *removed):
        if path.startswith(_MARK) or f"/{_MARK}" in path:
            raise UnsafePath("the name would be read as a whiteout", path=path)
    listed = {**entries, **{_marked(path): _WHITEOUT for path in removed}}
    for path in sorted(listed, key=_bytes):
        entry = listed[path]
        parent = path.rpartition("/")[0]
        if parent and not isinstance(entries.get(parent), Directory):
            raise UnsafePath("its parent directory is not in the layer", path=path)
        if isinstance(entry, File):
            yield from _file(path, entry, contents, mtime, inodes)
        else:
            yield _other(path, entry, mtime)
    yield _END


def _marked(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{_MARK}{name}"


def _file(
    path: str, entry: File, contents: Contents, mtime: int, inodes: dict[tuple[str, int], str]
) -> Iterator[bytes]:
    content = entry.content
    if isinstance(content, Slice):
        first = inodes.setdefault((content.layer, content.offset), path)
        if first != path:
            yield _header(path, entry, b"1", mtime, link=first)
            return
    yield _header(path, entry, b"0", mtime, size=entry.size)
    yield from contents.chunks(entry)
    if padding := -entry.size % BLOCK:
        yield bytes(padding)


def _other(path: str, entry: Entry, mtime: int) -> bytes:
    if isinstance(entry, Directory):
        return _header(f"{path}/", entry, b"5", mtime)
    if isinstance(entry, Symlink):
        return _header(path, entry, b"2", mtime, link=entry.target)
    assert isinstance(entry, Special)
    device = (entry.major, entry.minor)
    if not all(0 <= number <= _MAX_OCTAL_7 for number in device):
        raise UnsafePath(f"no header holds the device {device}", path=path)
    return _header(path, entry, entry.kind.value.encode(), mtime, device=device)


def _header(
    path: str,
    entry: Entry,
    flag: bytes,
    mtime: int,
    *,
    size: int = 0,
    link: str = "",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    records: dict[str, bytes] = {}
    name, prefix = _split(_bytes(path), records)
    target = _fit(_bytes(link), 100, "linkpath", records)
    meta = entry.meta
    if not path.isascii():
        records["path"] = _bytes(path)
    if not link.isascii():
        records["linkpath"] = _bytes(link)
    for key, value in meta.xattrs:
        records[pax.XATTR + key] = value
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0" % meta.mode,
            b"%07o\0" % _number(meta.uid, _MAX_OCTAL_7, "uid", records),
            b"%07o\0" % _number(meta.gid, _MAX_OCTAL_7, "gid", records),
            b"%011o\0" % _number(size, _MAX_OCTAL_11, "size", records),
            b"%011o\0" % _number(mtime, _MAX_OCTAL_11, "mtime", records),
            b" " * 8,
            flag,
            target.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"%07o\0%07o\0" % device,
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    return _extension(records) + block if records else block


def _extension(records: dict[str, bytes]) -> bytes:
    data = pax.encode(records)
    block = b"".join(
        (
            b"PaxHeaders".ljust(100, b"\0"),
            b"0000644\0" + b"0000000\0" * 2,
            b"%011o\0" % len(data) + b"%011o\0" % 0,
            b" " * 8,
            b"x",
            bytes(100),
            b"ustar\x0000",
            bytes(64),
            b"0000000\x000000000\0",
            bytes(155 + 12),
        )
    )
    block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
    return block + data + bytes(-len(data) % BLOCK)


def _split(path: bytes, records: dict[str, bytes]) -> tuple[bytes, bytes]:
    """Return name and prefix; a path that fits neither goes to a PAX record."""
    if len(path) <= 100:
        return path, b""
    slash = path.find(b"/", max(len(path) - 101, 0), 156)
    if 0 < slash < len(path) - 1:
        return path[slash + 1 :], path[:slash]
    records["path"] = path
    return path[:100].rstrip(b"/"), b""


def _fit(text: bytes, width: int, key: str, records: dict[str, bytes]) -> bytes:
    if len(text) > width:
        records[key] = text
    return text[:width]


def _number(value: int, most: int, key: str, records: dict[str, bytes]) -> int:
    if 0 <= value <= most:
        return value
    records[key] = b"%d" % value
    return 0


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
