"""The application's own files: a directory of this machine becomes entries.

Sorted, owned by whom the recipe says, with two modes: what is executable here, and what is
not. Links that lead out of the directory are refused, for in the image they would lead to
something else.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.apps.ignoring import make_filter
from layersmith.apps.site import APP
from layersmith.errors import OutputError, RecipeError, one_line
from layersmith.recipe.application import owner_of
from layersmith.rootfs.entries import Directory, File, Meta, Slice, Symlink
from layersmith.stores.files import disk_errors
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from layersmith.apps.ignoring import Filter
    from layersmith.recipe.application import App
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents

__all__ = ["Source", "SourceContents", "read_source"]

_PLACE: Final = "the application's source"
_MOST_IGNORED: Final = 1 << 20
_ELF: Final = b"\x7fELF"
_PIECE: Final = 1 << 20
_DEEPEST: Final = 200  # as deep as images are unpacked


@dataclass(frozen=True, slots=True)
class SourceContents:
    """The bytes of files that are on this machine's disk; others are asked of `below`."""

    paths: Mapping[int, Path]
    below: Contents

    def read(self, file: File) -> bytes:
        """Return all bytes of `file`, verified."""
        return b"".join(self.chunks(file))

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield the bytes of `file`; raises where it has changed since it was looked at."""
        content = file.content
        if isinstance(content, bytes) or content.layer != _PLACE:
            yield from self.below.chunks(file)
            return
        path, hasher, left = self.paths[content.offset], hashlib.sha256(), content.size
        with disk_errors(f"reading {one_line(str(path))}"), path.open("rb") as stream:
            while left and (piece := stream.read(min(_PIECE, left))):
                hasher.update(piece)
                left -= len(piece)
                yield piece
        if hasher.digest() != content.checksum:
            raise OutputError(
                f"{one_line(str(path))} changed while it was read", hint="run it again"
            )


@dataclass(frozen=True, slots=True)
class Source:
    """Entries below the application's directory, their bytes, and which may be ELF files."""

    entries: Mapping[str, Entry]
    paths: Mapping[int, Path]
    files: frozenset[str]
    objects: tuple[str, ...]


def read_source(app: App, folder: Path, ours: Iterable[Path] = ()) -> Source:
    """Look at the directory of a recipe; raises :class:`RecipeError` for what cannot be taken.

    `ours` are left out: what is written by this run belongs to no source.
    """
    top = folder / app.source
    if not top.is_dir():
        raise RecipeError(f"the source {one_line(str(top))} is no directory")
    return _Reading(app, top, frozenset(map(os.path.abspath, ours))).read()


class _Reading:
    """One directory being read."""

    def __init__(self, app: App, top: Path, ours: frozenset[str]) -> None:
        self._top = top
        self._ours = ours
        uid, gid = owner_of(app.owner)
        mode = app.file_mode
        readers = (mode & 0o444) >> 2
        self._plain = Meta(mode, uid, gid)
        self._executable = Meta(mode | readers, uid, gid)
        self._link = Meta(0o777, uid, gid)
        self._filter: Filter = make_filter(app.include, app.exclude, _ignore_file(top))
        self._entries: dict[str, Entry] = {}
        self._paths: dict[int, Path] = {}
        self._objects: list[str] = []

    def read(self) -> Source:
        """Read it all."""
        with disk_errors(f"reading {one_line(str(self._top))}"):
            self._folder("")
        if not self._entries:
            raise RecipeError(
                f"no file of {one_line(str(self._top))} belongs to the application",
                hint="look at include, exclude and .dockerignore",
            )
        entries = {f"{APP}/{path}": entry for path, entry in self._entries.items()}
        for path in list(entries):
            self._with_parents(path, entries)
        entries[APP] = Directory(Meta(0o755, self._link.uid, self._link.gid), {})
        objects = tuple(f"{APP}/{path}" for path in self._objects)
        return Source(entries, self._paths, frozenset(self._entries), objects)

    def _with_parents(self, path: str, entries: dict[str, Entry]) -> None:
        while (path := posixpath.dirname(path)) != APP and path not in entries:
            entries[path] = Directory(self._executable, {})

    def _folder(self, folder: str) -> None:
        if folder.count("/") >= _DEEPEST:
            raise RecipeError(
                f"{one_line(folder, 200)!r}: directories deeper than {_DEEPEST}",
                hint="leave them out: exclude",
            )
        with os.scandir(self._top / folder) as found:
            children = sorted(found, key=lambda child: child.name)
        for child in children:
            path = f"{folder}/{child.name}" if folder else child.name
            if self._ours and os.path.abspath(child.path) in self._ours:  # noqa: PTH100
                continue
            if child.is_dir(follow_symlinks=False):
                if self._filter.enters(path):
                    self._folder(path)
            elif self._filter.takes(path):
                self._take(path, child)

    def _take(self, path: str, child: os.DirEntry[str]) -> None:
        status = child.stat(follow_symlinks=False)
        if any(part.startswith(".wh.") for part in path.split("/")):
            raise RecipeError(f"{one_line(path)!r} has a name that would delete files in an image")
        if stat.S_ISLNK(status.st_mode):
            self._entries[path] = self._linked(path, os.fsdecode(os.readlink(child)))  # noqa: PTH115 - not normalized
        elif stat.S_ISREG(status.st_mode):
            self._entries[path] = self._file(path, status.st_mode)
        else:
            raise RecipeError(
                f"{one_line(path)!r} is no file, directory or link", hint="leave it out: exclude"
            )

    def _linked(self, path: str, target: str) -> Symlink:
        aim = posixpath.normpath(f"{posixpath.dirname(path) or '.'}/{target}")
        if target.startswith("/") or aim == ".." or aim.startswith("../"):
            raise RecipeError(
                f"the link {one_line(path)!r} leads out of the source, to {one_line(target)!r}",
                hint="leave it out with exclude, or put the file there",
            )
        return Symlink(self._link, target)

    def _file(self, path: str, mode: int) -> File:
        where = self._top / path
        with where.open("rb") as stream:
            start = stream.read(len(_ELF))
            stream.seek(0)
            hasher = hashlib.file_digest(stream, "sha256")
            size = stream.tell()
        if start == _ELF:
            self._objects.append(path)
        number = len(self._paths)
        self._paths[number] = where
        meta = self._executable if mode & 0o111 else self._plain
        return File(meta, Slice(_PLACE, number, size, hasher.digest()))


def _ignore_file(top: Path) -> str:
    try:
        return read_file(top / ".dockerignore", _MOST_IGNORED).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise RecipeError(f".dockerignore cannot be read: {error.strerror}") from None
