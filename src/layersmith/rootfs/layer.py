"""Layers as changes, and how changes make trees (image-spec layer.md).

A whiteout never removes what its own layer put, whatever the order of the entries:
all whiteouts of a layer act first, on the lower layers, then all its entries in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from layersmith.errors import BadWhiteout, UnsafeLink, UnsafePath
from layersmith.rootfs.checksum import Checksum
from layersmith.rootfs.entries import Directory, Entry, File, Kind, Meta, Slice, Special, Symlink
from layersmith.rootfs.tar import Allowance, TarEntry, TarReader
from layersmith.rootfs.tree import EMPTY, MAX_HOPS, Found, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from layersmith.oci.content import Readable

__all__ = ["Change", "HardLink", "Opaque", "Put", "Whiteout", "overlay", "put", "read_layer"]

_PREFIX: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_IMPLICIT: Final = Meta(0o755)
_MAX_IMPLICIT: Final = 1 << 16  # directories that layers need and do not name
_MAX_FOLLOWED: Final = 32 << 20  # bytes of the links that one layer's entries lead through
# What overlayfs, on which runtimes unpack layers, takes for whiteouts and the like.
_OVERLAY: Final = tuple(
    f"{space}.overlay.{name}"
    for space in ("trusted", "user")
    for name in ("opaque", "redirect", "metacopy", "whiteout")
)


class Put(msgspec.Struct, frozen=True, gc=False):
    """Place `entry` in `folder` as `name`; a directory keeps the children that are there.

    Both are "" for the root. Half a million of them fit into memory because those of one
    folder share its name, and trees share theirs.
    """

    folder: str
    name: str
    entry: Entry

    @property
    def path(self) -> str:
        """Where it is placed."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


def put(path: str, entry: Entry) -> Put:
    """Return the change that places `entry` at `path`."""
    folder, _, name = path.rpartition("/")
    return Put(folder, name, entry)


class HardLink(msgspec.Struct, frozen=True, gc=False):
    """Give the file at `target` one more name."""

    path: str
    target: str


class Whiteout(msgspec.Struct, frozen=True, gc=False):
    """Remove what lower layers have at `path`."""

    path: str


class Opaque(msgspec.Struct, frozen=True, gc=False):
    """Remove what lower layers have below the directory `path`."""

    path: str


Change: TypeAlias = Put | HardLink | Whiteout | Opaque


def read_layer(
    stream: Readable, diff_id: str, allowance: Allowance | None = None
) -> Iterator[Change]:
    """Yield the changes of an uncompressed layer whose digest is `diff_id`.

    File contents are summed up on the way and then only named, by :class:`Slice`. Layers
    that are kept together may share an `allowance`.
    Raises :class:`MalformedTar`, :class:`UnsafePath` or :class:`BadWhiteout`.
    """
    reader = TarReader(stream, allowance)
    metas: dict[Meta, Meta] = {}
    folders: dict[str, str] = {}
    for entry in reader:
        folder, _, name = entry.path.rpartition("/")
        if _PREFIX in entry.path:
            _check_whiteout(entry, folder, name)
            if name == _OPAQUE:
                yield Opaque(folder)
                continue
            if name.startswith(_PREFIX):
                yield Whiteout(f"{folder}/{name[4:]}" if folder else name[4:])
                continue
        if entry.type == "1":
            yield HardLink(entry.path, entry.link)
            continue
        if entry.xattrs or entry.type == "3":
            _check_overlay(entry)
        meta = Meta(entry.mode, entry.uid, entry.gid, entry.mtime, entry.xattrs)
        meta = metas.setdefault(meta, meta)
        made = _made(entry, meta, reader, diff_id)
        yield Put(folders.setdefault(folder, folder), name, made)


def _made(entry: TarEntry, meta: Meta, reader: TarReader, diff_id: str) -> Entry:
    if entry.type == "0":
        hasher = Checksum()
        for piece in reader.content():
            hasher.update(piece)
        return File(meta, Slice(diff_id, entry.offset, entry.size, hasher.digest()))
    if entry.type == "5":
        return Directory(meta, {})
    if entry.type == "2":
        return Symlink(meta, entry.link)
    return Special(meta, Kind(entry.type), entry.major, entry.minor)


def _check_whiteout(entry: TarEntry, folder: str, name: str) -> None:
    if any(part.startswith(_PREFIX) for part in folder.split("/")):
        raise BadWhiteout("an entry below a whiteout", path=entry.path)
    if not name.startswith(_PREFIX):
        return
    hidden = name.removeprefix(_PREFIX)
    if hidden in ("", ".", "..") or (hidden.startswith(_PREFIX) and name != _OPAQUE):
        raise BadWhiteout("a whiteout of no name", path=entry.path)
    if entry.type != "0" or entry.size:
        raise BadWhiteout("a whiteout must be an empty regular file", path=entry.path)


def _check_overlay(entry: TarEntry) -> None:
    """Refuse what is an entry to who reads the layer, and a whiteout to who mounts it."""
    if entry.type == "3" and entry.major == entry.minor == 0:
        raise BadWhiteout("the device 0:0, a whiteout to overlayfs", path=entry.path)
    for name, _ in entry.xattrs:
        if name.startswith(_OVERLAY):
            raise BadWhiteout(f"the attribute {name[:60]!r} of overlayfs", path=entry.path)


def overlay(layers: Iterable[Iterable[Change]], lower: Tree = EMPTY) -> Tree:
    """Apply `layers`, lowest first, on top of `lower`.

    Raises :class:`UnsafePath` where an entry's parent is a file, or too many are not named,
    :class:`UnsafeLink` for a hard link to nothing, and :class:`BadWhiteout` for a
    whiteout in a directory that is reached through a link.
    """
    tree, implicit = lower, 0
    for changes in layers:
        listed = changes if isinstance(changes, (list, tuple)) else list(changes)
        work = _Overlay(tree, implicit)
        # Whiteouts are rare: the other changes are applied from the list as it is.
        hidden = [c for c in listed if isinstance(c, (Whiteout, Opaque))]
        folders = {c.path for c in listed if _is_folder(c)} if hidden else set()
        for whiteout in hidden:
            if _stands(tree, whiteout, folders):
                work.hide(whiteout)
        for change in listed:
            if isinstance(change, Put):
                work.put(change.folder, change.name, change.entry)
            elif isinstance(change, HardLink):
                work.link(change)
        tree, implicit = work.tree(), work.implicit
    return tree


def _is_folder(change: Change) -> bool:
    return isinstance(change, Put) and isinstance(change.entry, Directory)


def _stands(lower: Tree, change: Whiteout | Opaque, folders: AbstractSet[str]) -> bool:
    """Tell whether the directory that a whiteout acts in stands in `lower`, and stays.

    Where the layer's own `folders` take the place of a file or a link, nothing of the
    lower layers is seen there any more. Whiteouts never follow links.
    """
    path = change.path if isinstance(change, Opaque) else change.path.rpartition("/")[0]
    here: Entry = lower.root
    parts = path.split("/") if path else []
    for count, part in enumerate(parts, 1):
        child = here.children.get(part) if isinstance(here, Directory) else None
        if isinstance(child, Symlink) and "/".join(parts[:count]) not in folders:
            raise BadWhiteout("a whiteout in a directory that is a link", path=change.path)
        if not isinstance(child, Directory):
            return False
        here = child
    return True


class _Overlay:
    """One layer's work on a tree: directories are copied when they first change."""

    def __init__(self, lower: Tree, implicit: int) -> None:
        self._root = Directory(lower.root.meta, dict(lower.root.children))
        self._owned: dict[int, Directory] = {id(self._root): self._root}
        self._known: dict[str, Directory] = {"": self._root}
        self._followed = 0
        self.implicit = implicit

    def tree(self) -> Tree:
        return Tree(self._root)

    def hide(self, change: Whiteout | Opaque) -> None:
        folder, _, name = change.path.rpartition("/")
        path = change.path if isinstance(change, Opaque) else folder
        if not isinstance(self.tree().entry(path), Directory):
            return  # another whiteout removed it
        children = self._directory(path).children
        if isinstance(change, Opaque):
            children.clear()
        else:
            children.pop(name, None)
        self._known = {"": self._root}

    def put(self, folder: str, name: str, entry: Entry) -> None:
        if not name:
            assert isinstance(entry, Directory)
            self._root = self._own(Directory(entry.meta, self._root.children))
            self._known = {"": self._root}
            return
        children = self._directory(folder).children
        old = children.get(name)
        if isinstance(entry, Directory):
            entry = self._own(Directory(entry.meta, self._below(old)))
        if isinstance(old, (Directory, Symlink)):
            self._known = {"": self._root}
        children[name] = entry
        if isinstance(entry, Directory):
            self._known[f"{folder}/{name}" if folder else name] = entry

    def link(self, change: HardLink) -> None:
        found = self._resolve(change.target, follow_last=False)
        if found is None or isinstance(found.entry, Directory):
            raise UnsafeLink(f"a hard link to {change.target!r}, no file", path=change.path)
        folder, _, name = change.path.rpartition("/")
        parent = self._resolve(folder)
        place = f"{parent.path}/{name}".lstrip("/") if parent is not None else None
        if place is not None and f"{found.path}/".startswith(f"{place}/"):
            # What stands at its place is removed first, so the link would have no target.
            raise UnsafeLink(f"a hard link to {change.target!r}, itself", path=change.path)
        self.put(folder, name, found.entry)

    def _below(self, old: Entry | None) -> dict[str, Entry]:
        """Return the children that a directory keeps; copied once, however often it is named."""
        if not isinstance(old, Directory):
            return {}
        return old.children if id(old) in self._owned else dict(old.children)

    def _resolve(self, path: str, *, follow_last: bool = True) -> Found | None:
        """Follow `path`, and count the way: few entries could send us far through links."""
        found = self.tree().resolve(path, follow_last=follow_last)
        for link in found.links if found else ():
            crossed = self.tree().entry(link)
            self._followed += len(crossed.target) if isinstance(crossed, Symlink) else 0
        if self._followed > _MAX_FOLLOWED:
            raise UnsafeLink("too long ways through symbolic links", path=path)
        return found

    def _own(self, directory: Directory) -> Directory:
        self._owned[id(directory)] = directory
        return directory

    def _directory(self, path: str) -> Directory:
        """Return the directory that `path` leads to, ours to change."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._make(path)
        return known

    def _make(self, path: str) -> Directory:
        here = self._root
        done: list[str] = []
        hops = 0
        todo = path.split("/")[::-1]
        while todo:
            part = todo.pop()
            done.append(part)
            child = here.children.get(part)
            if isinstance(child, Symlink):
                found = self._target("/".join(done), path)
                hops += len(found.links)
                if hops > MAX_HOPS:
                    raise UnsafeLink(f"more than {MAX_HOPS} symbolic links", path=path)
                todo += filter(None, found.path.split("/")[::-1])
                here, done = self._root, []
                continue
            if child is None:
                self.implicit += 1
                if self.implicit > _MAX_IMPLICIT:
                    raise UnsafePath("too many directories that no entry names", path=path[:300])
                child = self._own(Directory(_IMPLICIT, {}))
            elif not isinstance(child, Directory):
                raise UnsafePath(f"its parent {'/'.join(done)!r} is no directory", path=path)
            elif id(child) not in self._owned:
                child = self._own(Directory(child.meta, dict(child.children)))
            here.children[part] = child
            here = child
        return here

    def _target(self, link: str, path: str) -> Found:
        found = self._resolve(link)
        if found is None:
            raise UnsafePath(f"its parent {link!r} is a link to nothing", path=path)
        return found
