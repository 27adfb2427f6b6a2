"""An immutable file system tree, and the only code that follows symbolic links.

Paths are relative to the root and canonical: ``usr/lib/x``; the root is ``""``.
Links are followed as a kernel would inside a chroot: an absolute target starts at the
root, ``..`` above the root stays there, and more than 40 hops are an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from layersmith.errors import UnsafeLink
from layersmith.rootfs.entries import Directory, File, Meta, Symlink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.rootfs.entries import Entry

__all__ = [
    "EMPTY",
    "MAX_HOPS",
    "Contents",
    "Found",
    "MemoryContents",
    "Root",
    "Tree",
    "canonical",
    "glob_pattern",
]

MAX_HOPS: Final = 40


def canonical(path: str) -> str:
    """Return `path` without empty, ``.`` and ``..`` parts, relative to the root."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


class Found(NamedTuple):
    """Where a path led: the canonical `path`, its `entry`, and the `links` crossed."""

    path: str
    entry: Entry
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A root directory and the questions one asks of it."""

    root: Directory

    def entry(self, path: str) -> Entry | None:
        """Return what stands at a canonical `path`, following nothing."""
        here: Entry = self.root
        if path:
            for part in path.split("/"):
                if not isinstance(here, Directory):
                    return None
                child = here.children.get(part)
                if child is None:
                    return None
                here = child
        return here

    def resolve(self, path: str, *, follow_last: bool = True) -> Found | None:
        """Follow `path` inside the root; None where nothing is there.

        Raises :class:`UnsafeLink` for more than 40 symbolic links.
        """
        todo = path.split("/")[::-1]
        names: list[str] = []
        parents: list[Directory] = []
        here: Entry = self.root
        links: list[str] = []
        while todo:
            part = todo.pop()
            if not isinstance(here, Directory):
                return None
            if part in ("", "."):
                continue
            if part == "..":
                here = parents.pop() if parents else self.root
                del names[-1:]
                continue
            child = here.children.get(part)
            if child is None:
                return None
            if isinstance(child, Symlink) and (follow_last or any(p != "" for p in todo)):
                links.append("/".join([*names, part]))
                if len(links) > MAX_HOPS:
                    raise UnsafeLink(f"more than {MAX_HOPS} symbolic links", path=path)
                if child.target.startswith("/"):
                    names, parents, here = [], [], self.root
                todo += child.target.split("/")[::-1]
                continue
            names.append(part)
            parents.append(here)
            here = child
        return Found("/".join(names), here, tuple(links))

    def lookup(self, path: str) -> Entry | None:
        """Return the entry that `path` leads to, through all links, or None."""
        found = self.resolve(path)
        return found.entry if found else None

    def listing(self, path: str) -> Mapping[str, Entry]:
        """Return the children of the directory that `path` leads to, by name."""
        entry = self.lookup(path)
        return entry.children if isinstance(entry, Directory) else {}

    def walk(self, path: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield every entry below the canonical `path`, parents first, names sorted."""
        start = self.entry(path)
        stack = [(path, start)] if start is not None else []
        while stack:
            where, entry = stack.pop()
            if where != path:
                yield where, entry
            if isinstance(entry, Directory):
                prefix = f"{where}/" if where else ""
                names = sorted(entry.children, reverse=True)
                stack += [(prefix + name, entry.children[name]) for name in names]


EMPTY: Final = Tree(Directory(Meta(0o755), {}))


class Contents(Protocol):
    """Where the bytes of files are; what it gives has been verified."""

    def read(self, file: File) -> bytes:
        """Return all bytes of `file`."""

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield the bytes of `file` in bounded pieces."""


@dataclass(frozen=True, slots=True)
class MemoryContents:
    """Contents of files that carry their own bytes."""

    def read(self, file: File) -> bytes:
        """Return the inline bytes."""
        assert isinstance(file.content, bytes)
        return file.content

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield the inline bytes at once."""
        yield self.read(file)


@dataclass(frozen=True, slots=True)
class Root:
    """A tree together with its contents: a file system to read."""

    tree: Tree
    contents: Contents

    def read(self, path: str) -> bytes | None:
        """Return the bytes of the regular file that `path` leads to, or None."""
        entry = self.tree.lookup(path)
        return self.contents.read(entry) if isinstance(entry, File) else None


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a path glob: ``*`` and ``?`` stay within a name, ``**`` crosses names.

    A pattern without a slash matches a name anywhere; one that names a directory
    matches all below it too.
    """
    text = pattern.strip("/")
    prefix = "(?:.*/)?" if "/" not in text else ""
    out = ""
    position = 0
    while position < len(text):
        for token, regex in _GLOB_TOKENS:
            if text.startswith(token, position):
                out += regex
                position += len(token)
                break
        else:
            out += re.escape(text[position])
            position += 1
    return re.compile(f"{prefix}{out}(?:/.*)?", re.DOTALL)


_GLOB_TOKENS = (("**/", "(?:.*/)?"), ("**", ".*"), ("*", "[^/]*"), ("?", "[^/]"))
