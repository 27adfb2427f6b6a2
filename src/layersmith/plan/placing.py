"""Where entries land on the base: through its links, with its parents, nothing twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from layersmith.errors import RecipeError, UnsafePath
from layersmith.rootfs.checksum import same_bytes
from layersmith.rootfs.entries import Directory, File, Meta, Symlink
from layersmith.rootfs.layer import Whiteout, overlay, put
from layersmith.rootfs.tree import canonical

if TYPE_CHECKING:
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents, Root, Tree

__all__ = ["Placing"]


@dataclass(slots=True)
class Placing:
    """The layer while it is being put together over `base`.

    `entries` are canonical paths of the base's tree, so no entry is written through a
    symbolic link; `reasons` says of each file why it is there, and `origins` where in the
    builder it comes from, if it does. `removed` are paths of the base that the layer takes away.
    """

    base: Root
    builder: Root
    entries: dict[str, Entry] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    provided: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)

    def take(self, path: str, reason: str) -> None:
        """Take what the builder has at the canonical `path`, owned by root.

        What the base has byte for byte is not shipped again. Raises
        :class:`RecipeError` where the base has something else there.
        """
        entry = self.builder.tree.entry(path)
        if entry is None or isinstance(entry, Directory) or path in self._taken:
            return
        self._taken.add(path)
        where = self.place(path)
        there = self.base.tree.entry(where)
        if there is not None and self._same(there, entry, where, self.base.contents):
            if where not in self.entries:
                self.provided.append(where)
            return
        if there is not None:
            raise RecipeError(
                f"the base has another {where!r}, taken from the builder ({reason})",
                hint=f"keep the base's with --exclude {where}",
            )
        before = self.entries.get(where)
        if before is not None and not self._same(before, entry, where, self.builder.contents):
            raise RecipeError(f"two different files of the builder become {where!r} on the base")
        self.put(where, _with_meta(entry, _owned(entry.meta)), reason)
        self.origins[where] = path

    def put(self, path: str, entry: Entry, reason: str) -> None:
        """Add an entry of our own at a path of the base, with its parents."""
        where = self.place(path)
        self._add_parents(where)
        self.entries[where] = entry
        self.reasons[where] = reason
        self.removed.discard(where)

    def remove(self, path: str) -> None:
        """Take away what the base has at a canonical path that is no directory."""
        self._add_parents(path)
        self.removed.add(path)

    def over(self, base: Root) -> Placing:
        """Return the same layer over a base that is as if it were part of it already."""
        return replace(self, base=base, _taken=set())

    def keep_directory(self, path: str, reason: str) -> None:
        """Add a directory of the builder although nothing may be in it."""
        found = self.builder.tree.entry(path)
        where = self.place(path)
        if isinstance(found, Directory) and self.base.tree.entry(where) is None:
            self.put(where, Directory(Meta(found.meta.mode), {}), reason)

    def place(self, path: str) -> str:
        """Return where `path` lands in the base: its parents' links followed."""
        folder, _, name = path.rpartition("/")
        parts = folder.split("/") if folder else []
        for count in range(len(parts), -1, -1):
            found = self.base.tree.resolve("/".join(parts[:count]))
            if found is None:
                continue
            if not isinstance(found.entry, Directory):
                raise UnsafePath(f"the base has {found.path!r}, which is no directory", path=path)
            if count < len(parts) and parts[count] in found.entry.children:
                raise UnsafePath(f"the base's {parts[count]!r} is a link to nothing", path=path)
            return "/".join(filter(None, (found.path, *parts[count:], name)))
        raise AssertionError("a tree always has its root")

    def drop_dangling(self) -> None:
        """Drop links of the builder whose target was not taken along."""
        while True:
            tree = self.final()
            broken = [
                path
                for path, entry in self.entries.items()
                if isinstance(entry, Symlink) and tree.resolve(path) is None
            ]
            if not broken:
                return
            for path in broken:
                del self.entries[path], self.reasons[path]
                self.origins.pop(path, None)
            self.dangling += broken

    def final(self) -> Tree:
        """Return the base with the layer on top: what a process will see."""
        puts = [put(path, self.entries[path]) for path in sorted(self.entries)]
        return overlay([[*map(Whiteout, sorted(self.removed)), *puts]], self.base.tree)

    def _same(self, ours: Entry, theirs: Entry, where: str, contents: Contents) -> bool:
        """Tell whether the builder's entry is no other than one whose bytes are in `contents`."""
        if isinstance(ours, Symlink) and isinstance(theirs, Symlink):
            return _aim(ours, where) == _aim(theirs, where)
        if isinstance(ours, File) and isinstance(theirs, File):
            readable = (ours.meta.mode ^ theirs.meta.mode) & 0o555 == 0
            return readable and same_bytes(ours, theirs, contents, self.builder.contents)
        return False

    def _add_parents(self, where: str) -> None:
        parts = where.split("/")[:-1]
        for count in range(len(parts), 0, -1):
            path = "/".join(parts[:count])
            if path in self.entries:
                return
            self.entries[path] = Directory(self._parent_meta(path), {})

    def _parent_meta(self, path: str) -> Meta:
        """Return the base's mode and owner, or the builder's mode for what only it has."""
        there = self.base.tree.entry(path)
        if there is not None:
            return there.meta
        found = self.builder.tree.lookup(path)
        return Meta(found.meta.mode & 0o755 if isinstance(found, Directory) else 0o755)


def _owned(meta: Meta) -> Meta:
    """Return root's own: a stranger's setuid bit or capability must not become root's."""
    xattrs = tuple((name, value) for name, value in meta.xattrs if name.startswith("user."))
    return Meta(meta.mode & 0o755, 0, 0, 0, xattrs)


def _aim(link: Symlink, where: str) -> str:
    """Return where a link at `where` points to, as text: ``../lib/x`` is ``/usr/lib/x``."""
    folder = "" if link.target.startswith("/") else where.rpartition("/")[0]
    return canonical(f"{folder}/{link.target}")


def _with_meta(entry: Entry, meta: Meta) -> Entry:
    if isinstance(entry, File):
        return File(meta, entry.content)
    if isinstance(entry, Symlink):
        return Symlink(Meta(0o777), entry.target)
    raise UnsafePath("only files and links are taken from a builder")
