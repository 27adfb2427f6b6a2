"""Trees from literals, and a place for the bytes of their files.

>>> tree({"usr/lib/x": b"bytes", "lib": "usr/lib", "tmp/": Directory(Meta(0o1777), {})})

A value is bytes (a file), text (a symbolic link's target), or any entry; a key that
ends in a slash is a directory. Parents that are not named are there, mode 0755.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from layersmith.rootfs.checksum import checksum
from layersmith.rootfs.entries import Directory, Entry, File, Meta, Slice, Symlink
from layersmith.rootfs.layer import overlay, put
from layersmith.rootfs.tree import Root, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Spec: TypeAlias = bytes | str | Entry
Literal: TypeAlias = "Mapping[str, Spec | None]"

FOLDER = Directory(Meta(0o755), {})


def entry(spec: Spec | None) -> Entry:
    if isinstance(spec, bytes):
        return File(Meta(0o644), spec)
    if isinstance(spec, str):
        return Symlink(Meta(0o777), spec)
    return FOLDER if spec is None else spec


def entries(literal: Literal) -> dict[str, Entry]:
    """Return canonical path -> entry, with every parent directory."""
    found: dict[str, Entry] = {}
    for key, spec in literal.items():
        path = key.strip("/")
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = FOLDER
            parent = parent.rpartition("/")[0]
        found[path] = entry(spec)
    return found


def tree(literal: Literal) -> Tree:
    listed = entries(literal)
    return overlay([[put(path, listed[path]) for path in sorted(listed)]])


def flat(shown: Tree) -> dict[str, Entry]:
    """Return canonical path -> entry of a whole tree, directories without children."""
    return {
        path: Directory(entry.meta, {}) if isinstance(entry, Directory) else entry
        for path, entry in shown.walk()
    }


class Shelf:
    """Contents whose files are slices, as those of layers are.

    Equal bytes put twice are two inodes; the same :class:`File` at two paths is one.
    """

    def __init__(self, layer: str = "shelf") -> None:
        self._layer = layer
        self._kept: dict[int, bytes] = {}
        self._end = 0

    def file(self, content: bytes, mode: int = 0o644, *, uid: int = 0) -> File:
        at = self._end = self._end + 512
        self._kept[at] = content
        self._end += len(content)
        where = Slice(self._layer, at, len(content), checksum(content))
        return File(Meta(mode, uid, uid), where)

    def read(self, file: File) -> bytes:
        content = file.content
        return content if isinstance(content, bytes) else self._kept[content.offset]

    def chunks(self, file: File) -> Iterator[bytes]:
        data = self.read(file)
        yield data[: len(data) // 2]
        yield data[len(data) // 2 :]


def root(literal: Literal) -> Root:
    """Return a file system whose files are slices: what an image's layers give."""
    shelf = Shelf()
    stored = {
        path: shelf.file(spec) if isinstance(spec, bytes) else spec
        for path, spec in literal.items()
    }
    return Root(tree(stored), shelf)


def described(shown: Root) -> dict[str, tuple[object, ...]]:
    """Return what a person sees of each path: kind, mode, and content or target."""
    return {path: _described(entry, shown) for path, entry in shown.tree.walk()}


def _described(entry: Entry, shown: Root) -> tuple[object, ...]:
    if isinstance(entry, Symlink):
        return "link", entry.target
    mode = oct(entry.meta.mode)
    if isinstance(entry, Directory):
        return "directory", mode
    if isinstance(entry, File):
        return "file", mode, shown.contents.read(entry)
    return entry.kind.name, mode, entry.major, entry.minor
