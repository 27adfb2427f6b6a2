"""Writes ``/etc/ld.so.cache``, byte for byte as ``ldconfig -r ROOT`` would.

The format is `cache_file_new` of sysdeps/generic/dl-cache.h with its extensions, which
ldconfig has written alone (without the older one in front) since glibc 2.32::

    header  48 bytes   magic, number of entries, size of strings, byte order, extensions
    entries 24 bytes   flags, name, path, 0, hwcaps bit and index
    strings            each ended by a zero byte; one that ends another shares its bytes
    extensions         who wrote it; the names of the glibc-hwcaps directories
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from layersmith.analysis.glibc import find_glibc
from layersmith.analysis.ldconf import configured
from layersmith.analysis.ldindex import read_index
from layersmith.analysis.objects import Objects
from layersmith.errors import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layersmith.analysis.ldindex import Index
    from layersmith.rootfs.tree import Root

__all__ = ["CACHE", "encode", "write_cache"]

CACHE: Final = "etc/ld.so.cache"

_MAGIC: Final = b"glibc-ld.so.cache1.1"
_EXTENSION_MAGIC: Final = 0xEAA42174
_GENERATOR, _HWCAPS = 0, 1
_HWCAP_EXTENSION: Final = 1 << 62
_HEADER_SIZE, _ENTRY_SIZE = 48, 24


def write_cache(root: Root, *, objects: Objects | None = None) -> bytes:
    """Return the cache of `root`, as the ldconfig of the root's own glibc writes it."""
    objects = objects or Objects()
    glibc = find_glibc(root, objects)
    if glibc is None:
        raise ElfError("there is no dynamic loader of glibc", path=CACHE)
    index = read_index(root, glibc, configured(root), objects)
    return encode(index, f"ldconfig {glibc.words}", little_endian=glibc.little_endian)


def encode(index: Index, generator: str, *, little_endian: bool) -> bytes:
    """Write the entries of `index` down, signed by `generator`."""
    order = "<" if little_endian else ">"
    used = sorted({entry.hwcaps for entry in index.entries if entry.hwcaps is not None})
    names = {name: number for number, name in enumerate(used)}
    texts = [text for entry in index.entries for text in (entry.soname, entry.path)]
    start = _HEADER_SIZE + _ENTRY_SIZE * len(index.entries)
    offsets, strings = string_table((*texts, *index.hwcaps))
    pack = struct.Struct(order + "iIIIQ").pack
    entries = b"".join(
        [
            pack(
                entry.flags,
                start + offsets[entry.soname],
                start + offsets[entry.path],
                0,
                0
                if entry.hwcaps is None
                else _HWCAP_EXTENSION | entry.isa_level << 32 | names[entry.hwcaps],
            )
            for entry in index.entries
        ]
    )
    extension = start + len(strings) + -(start + len(strings)) % 4
    header = struct.pack(
        order + "20sIIBxxxIxxxxxxxxxxxx",
        _MAGIC,
        len(index.entries),
        len(strings),
        2 if little_endian else 3,
        extension,
    )
    body = (header + entries + strings).ljust(extension, b"\0")
    words = [start + offsets[name] for name in used]
    return body + _extensions(order, extension, words, generator.encode())


def _extensions(order: str, start: int, hwcaps: list[int], generator: bytes) -> bytes:
    """Write the extension directory and its sections; the hwcaps one only if it is needed."""
    sections = [(_GENERATOR, len(generator))]
    if hwcaps:
        sections.append((_HWCAPS, 4 * len(hwcaps)))
    data = start + 8 + 16 * len(sections)
    where = {_GENERATOR: data + 4 * len(hwcaps), _HWCAPS: data}
    directory = struct.pack(order + "II", _EXTENSION_MAGIC, len(sections))
    for tag, size in sections:
        directory += struct.pack(order + "IIII", tag, 0, where[tag], size)
    return directory + struct.pack(f"{order}{len(hwcaps)}I", *hwcaps) + generator


def string_table(texts: Iterable[str]) -> tuple[dict[str, int], bytes]:
    """Lay out strings so that one ending another lies inside it; return their offsets.

    Sorted from their ends backwards, descending, each such string follows a longer one
    that ends with it (`stringtable_finalize` of elf/stringtable.c).
    """
    backwards = {text.encode("utf-8", "surrogateescape")[::-1]: text for text in texts}
    offsets: dict[str, int] = {}
    table = bytearray()
    previous = b""
    for reverse in sorted(backwards, reverse=True):
        if not (previous.startswith(reverse) and table):
            table += reverse[::-1] + b"\0"
        offsets[backwards[reverse]] = len(table) - 1 - len(reverse)
        previous = reverse
    return offsets, bytes(table)
