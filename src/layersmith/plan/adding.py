"""Packages of Debian's put over an image: where their files land, and the records of them.

As dpkg would place them, through the image's links (``/lib`` is ``/usr/lib``), but nothing of the
image is changed, no script is run, and what only people read is left out, as in distroless
images: manuals, translations, and of the documents all but copyrights.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.analysis.dpkg import RECORDS, records
from layersmith.analysis.ldcache import CACHE, write_cache
from layersmith.errors import ClosureError, LayersmithError, PackageError, one_line
from layersmith.plan.packages import md5_of
from layersmith.plan.placing import Placing
from layersmith.rootfs.checksum import same_bytes
from layersmith.rootfs.entries import Directory, File, Meta, Special, Symlink
from layersmith.rootfs.layer import HardLink, Put, overlay
from layersmith.rootfs.tree import Root, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from layersmith.analysis.objects import Objects
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.layer import Change
    from layersmith.rootfs.tree import Contents

__all__ = ["Opened", "add_packages"]

_DROPPED: Final = re.compile(
    r"usr/(?:local/)?share/(?:man|info|locale|lintian|doc-base|bug|gtk-doc|help)(?:/.*)?"
    r"|usr/share/doc(?:/[^/]+/(?!copyright$).*)?",
    re.DOTALL,
)
# The application's, and the records' own.
_TAKEN: Final = ("app", "var/lib/dpkg")


class Opened(NamedTuple):
    """A package that was read: its name, its control paragraph and its data."""

    name: str
    paragraph: bytes
    changes: Sequence[Change]


def add_packages(
    base: Root, packages: Sequence[Opened], contents: Contents, objects: Objects | None = None
) -> dict[str, Entry]:
    """Return the layer that adds `packages` to an image, with parents, records and ld.so.cache.

    `contents` has their bytes, `objects` remembers what was read of them. Raises
    :class:`ClosureError` with every file that the image or another package has otherwise, and
    :class:`PackageError` for what no package should have.
    """
    files = {each.name: _entries(each) for each in packages}
    folders = [
        change
        for each in packages
        for change in each.changes
        if isinstance(change, Put) and isinstance(change.entry, Directory)
    ]
    placing = Placing(base, Root(overlay([folders]), contents))
    problems: list[str] = []
    owned = {
        name: list(_landed(placing, name, entries, problems)) for name, entries in files.items()
    }
    if problems:
        raise ClosureError(
            "the packages do not fit the image",
            problems=tuple(sorted(set(problems))),
            hint="take base and builder of the archive's date, or an archive of theirs",
        )
    _record(placing, packages, owned)
    if isinstance(base.tree.lookup(CACHE), File):
        final = Root(placing.final(), contents)
        cache = File(Meta(0o644), write_cache(final, objects=objects))
        placing.put(CACHE, cache, "the loader's cache")
    return placing.entries


def _entries(package: Opened) -> dict[str, Entry]:
    """Return what a package has, without what is dropped; raises :class:`PackageError`."""
    found: dict[str, Entry] = {}
    for change in package.changes:
        if isinstance(change, Put):
            found[change.path] = change.entry
            continue
        shown = one_line(change.path, 200)
        target = found.get(change.target) if isinstance(change, HardLink) else None
        if not isinstance(target, File):
            raise PackageError(f"{shown!r} is a whiteout, or a link to nothing", place=package.name)
        found[change.path] = target
    for path, entry in found.items():
        if isinstance(entry, Special):
            raise PackageError(f"{one_line(path, 200)!r} is a device or a pipe", place=package.name)
        if _is_taken(path) and not isinstance(entry, Directory):
            raise PackageError(f"{one_line(path, 200)!r} is not a package's", place=package.name)
    return {path: entry for path, entry in found.items() if path and not _is_dropped(path, entry)}


def _is_taken(path: str) -> bool:
    return any(f"{path}/".startswith(f"{folder}/") for folder in _TAKEN)


def _is_dropped(path: str, entry: Entry) -> bool:
    # dpkg has directories for its records; one of documents may be a link to another package's.
    return (
        (isinstance(entry, Directory) and _is_taken(path))
        or _DROPPED.fullmatch(path) is not None
        or (path.startswith("usr/share/doc/") and isinstance(entry, Directory))
    )


def _landed(
    placing: Placing, name: str, entries: Mapping[str, Entry], problems: list[str]
) -> Iterator[str]:
    """Place a package's entries; yield where each file is that it brings."""
    for path, entry in entries.items():
        shown = one_line(path, 200)
        try:
            where = placing.place(path)
        except LayersmithError as error:
            problems.append(f"{name}: {error.message}")
            continue
        if any(
            isinstance(placing.entries.get(parent), (File, Symlink)) for parent in _parents(where)
        ):
            problems.append(f"{name} has /{shown} below what is no directory")
            continue
        contents = placing.builder.contents
        there, before = placing.base.tree.entry(where), placing.entries.get(where)
        if isinstance(entry, Directory):
            found = placing.base.tree.lookup(where)
            if there is not None and not isinstance(found, Directory):
                problems.append(f"{name} has the directory /{shown}, the image something else")
            elif before is not None and not isinstance(before, Directory):
                problems.append(
                    f"{name} has the directory /{shown}, another package something else"
                )
            elif there is None and before is None:
                placing.put(path, Directory(Meta(entry.meta.mode & 0o755), {}), name)
            continue
        if there is not None:
            if not _same(there, entry, where, placing.base.contents, contents):
                problems.append(f"{name} has another /{shown} than the image")
            continue
        if before is not None and not _same(before, entry, where, contents, contents):
            problems.append(f"{name} and another package have another /{shown} each")
            continue
        placing.put(path, _roots(entry), name)
        yield where


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _roots(entry: Entry) -> Entry:
    """Return root's own, without the bits of setuid: nothing here is started by others."""
    if isinstance(entry, File):
        return File(Meta(entry.meta.mode & 0o755), entry.content)
    assert isinstance(entry, Symlink)
    return Symlink(Meta(0o777), entry.target)


def _same(one: Entry, other: Entry, where: str, ours: Contents, theirs: Contents) -> bool:
    if isinstance(one, Symlink) and isinstance(other, Symlink):
        return _aim(one, where) == _aim(other, where)
    if isinstance(one, File) and isinstance(other, File):
        modes = (one.meta.mode ^ other.meta.mode) & 0o555 == 0
        return modes and same_bytes(one, other, ours, theirs)
    return False


def _aim(link: Symlink, where: str) -> str:
    folder = "" if link.target.startswith("/") else where.rpartition("/")[0]
    return canonical(f"{folder}/{link.target}")


def _record(
    placing: Placing, packages: Sequence[Opened], owned: Mapping[str, Iterable[str]]
) -> None:
    """Write what dpkg would know, of just the files that are there."""
    there = records(placing.base)
    for package in packages:
        name = package.name
        before = there[name][1] if name in there else b""
        lines = [*before.splitlines(keepends=True), *_md5sums(placing, sorted(owned[name]))]
        record = File(Meta(0o644), b"".join(lines))
        placing.put(f"{RECORDS}/{name}.md5sums", record, f"the record of {name}")
        if name not in there:
            paragraph = File(Meta(0o644), package.paragraph)
            placing.put(f"{RECORDS}/{name}", paragraph, f"the record of {name}")


def _md5sums(placing: Placing, paths: Iterable[str]) -> Iterator[bytes]:
    for path in paths:
        entry = placing.entries[path]
        if isinstance(entry, File):
            digest = md5_of(placing.builder.contents, entry)
            yield f"{digest}  {path}\n".encode("utf-8", "surrogateescape")
