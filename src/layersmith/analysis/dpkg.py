"""dpkg's records: which package a file belongs to, and what an image says it holds.

A Debian system has ``/var/lib/dpkg/status``, one paragraph a package, and beside it a list of
each package's paths (deb822(5), dpkg(1)). An image without dpkg, as distroless makes them, has
``/var/lib/dpkg/status.d/NAME`` instead, a package's control paragraph, and ``NAME.md5sums``;
scanners read both forms. Lists may name ``/lib/x`` where usr-merge has put ``/usr/lib/x``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from layersmith.errors import LayerError, one_line
from layersmith.rootfs.entries import Directory, File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from layersmith.rootfs.tree import Root, Tree

__all__ = ["RECORDS", "Package", "copyright_of", "fields", "installed", "owners", "records", "sums"]

RECORDS: Final = "var/lib/dpkg/status.d"
_STATUS: Final = "var/lib/dpkg/status"
_INFO: Final = "var/lib/dpkg/info"
_DIVERSIONS: Final = "var/lib/dpkg/diversions"
_MD5SUMS: Final = ".md5sums"
_MAX_FILE: Final = 64 << 20
_MAX_PACKAGES: Final = 100_000
# deb-version(7) and Debian Policy 5.6.1.
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+", re.ASCII)
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+:~-]*", re.ASCII)
_SOURCE = re.compile(r"([a-z0-9][a-z0-9+.-]+)(?: \(([0-9][0-9A-Za-z.+:~-]*)\))?", re.ASCII)
_SUM = re.compile(r"([0-9A-Fa-f]{32})  (?:\./|/)?(.+)", re.ASCII | re.DOTALL)
_FIELD = re.compile(r"([!-,.-9;-~][!-9;-~]*):[ \t]*(.*)")
# What dpkg adds to a package's own control paragraph.
_OF_DPKG: Final = frozenset({"status", "conffiles", "config-version", "triggers-pending"})
_ABSENT: Final = ("not-installed", "config-files")


@dataclass(frozen=True, slots=True)
class Package:
    """A binary package; `control` is its paragraph as its maintainer wrote it."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    control: bytes = field(repr=False)


def owners(root: Root, paths: Iterable[str]) -> dict[str, Package]:
    """Return who owns those of the canonical `paths` that a package owns.

    Raises :class:`LayerError` for records that cannot be read.
    """
    wanted = set(paths)
    packages = {f"{p.name}:{p.architecture}": p for p in installed(root)}
    lists = root.tree.listing(_INFO)
    diverted = _diverted(root)
    where = _Folders(root.tree)
    last = {path.rpartition("/")[2] for path in wanted}
    found: dict[str, Package] = {}
    for key in sorted(packages):
        package = packages[key]
        name = next((n for n in (f"{key}.list", f"{package.name}.list") if n in lists), None)
        text = root.read(f"{_INFO}/{name}") if name else None
        for line in (text or b"").decode("utf-8", "surrogateescape").splitlines():
            mover, moved = diverted.get(line, ("", line))
            path = line if mover == package.name else moved
            # Lists are long; few of their names are asked for.
            if path.rpartition("/")[2] in last and (real := where.canonical(path)) in wanted:
                found.setdefault(real, package)
    return found


def installed(root: Root) -> Iterator[Package]:
    """Yield the packages of a system with dpkg, as ``/var/lib/dpkg/status`` has them.

    Raises :class:`LayerError` for what cannot be read.
    """
    if isinstance(root.tree.lookup(_STATUS), File):
        yield from _packages(_read(root, _STATUS), _STATUS)


def records(root: Root) -> dict[str, tuple[Package, bytes]]:
    """Return the packages of ``status.d`` with their md5sums, by name.

    Raises :class:`LayerError` for a record that cannot be read.
    """
    found = {}
    listed = root.tree.listing(RECORDS)
    for name in sorted(listed):
        if name.endswith(_MD5SUMS) or isinstance(listed[name], Directory):
            continue
        place = f"{RECORDS}/{name}"
        for package in _packages(_read(root, place), place):
            sums = f"{place}{_MD5SUMS}"
            found[package.name] = (
                package,
                _read(root, sums) if f"{name}{_MD5SUMS}" in listed else b"",
            )
    return found


def sums(tree: Tree, md5sums: bytes) -> Iterator[tuple[str, str]]:
    """Yield the canonical path and the MD5 of every file that a record lists (deb-md5sums(5))."""
    where = _Folders(tree)
    for line in md5sums.decode("utf-8", "surrogateescape").splitlines():
        match = _SUM.fullmatch(line)
        if match is not None:
            yield where.canonical(match[2]), match[1].lower()


def copyright_of(tree: Tree, package: Package) -> list[str]:
    """Return the canonical path of a package's copyright file, behind the links to it."""
    found = tree.resolve(f"usr/share/doc/{package.name}/copyright")
    return [*found.links, found.path] if found and isinstance(found.entry, File) else []


def _packages(raw: bytes, place: str) -> Iterator[Package]:
    for count, paragraph in enumerate(re.split(rb"\n(?:[ \t]*\n)+", raw.strip(b"\n"))):
        if count > _MAX_PACKAGES:
            raise LayerError(f"more than {_MAX_PACKAGES} packages", path=place)
        if paragraph.strip():
            package = _package(paragraph, place)
            if package is not None:
                yield package


def _package(paragraph: bytes, place: str) -> Package | None:
    found = dict(fields(paragraph, place))
    said = {name: _first_line(text) for name, (text, _) in found.items()}
    name, version = said.get("package", ""), said.get("version", "")
    if said.get("status", "").rpartition(" ")[2] in _ABSENT:
        return None
    source = _SOURCE.fullmatch(said.get("source", name))
    if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version) and source):
        raise LayerError(
            f"not a package's paragraph: {one_line(name, 60)!r} {one_line(version, 60)!r}",
            path=place,
        )
    control = b"".join(lines for key, (_, lines) in found.items() if key not in _OF_DPKG)
    architecture = said.get("architecture", "all")
    return Package(name, version, architecture, source[1], source[2] or version, control)


def fields(paragraph: bytes, place: str) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Yield each field's name in small letters, its text, and its lines as they are (deb822(5)).

    Raises :class:`LayerError` for a line that is none.
    """
    name, lines = "", [b""]
    for line in [*paragraph.split(b"\n"), None]:
        if line is not None and line[:1] in (b" ", b"\t") and name:
            lines.append(line)
            continue
        if name:
            raw = b"\n".join(lines)
            yield name, (raw.partition(b":")[2].decode("utf-8", "replace").strip(), raw + b"\n")
        if line is None:
            return
        match = _FIELD.fullmatch(line.decode("utf-8", "surrogateescape"))
        if match is None:
            raise LayerError(
                f"not a field: {one_line(line.decode('ascii', 'replace'), 60)!r}", path=place
            )
        name, lines = match[1].lower(), [line]


def _first_line(text: str) -> str:
    return text.partition("\n")[0].strip()


def _diverted(root: Root) -> Mapping[str, tuple[str, str]]:
    """Return what `dpkg-divert` moved away: path -> (for whom, to where)."""
    lines = (root.read(_DIVERSIONS) or b"").decode("utf-8", "surrogateescape").splitlines()
    return {
        path: (package, to)
        for path, to, package in zip(lines[::3], lines[1::3], lines[2::3], strict=False)
    }


def _read(root: Root, path: str) -> bytes:
    entry = root.tree.lookup(path)
    if not isinstance(entry, File) or entry.size > _MAX_FILE:
        raise LayerError(f"no file of at most {_MAX_FILE >> 20} MiB", path=path)
    return root.contents.read(entry)


class _Folders:
    """Where directories really are: each looked up once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[str, str] = {}

    def canonical(self, path: str) -> str:
        folder, _, name = path.strip("/").rpartition("/")
        if folder not in self._known:
            found = self._tree.resolve(folder)
            self._known[folder] = found.path if found else folder
        real = self._known[folder]
        return f"{real}/{name}" if real else name
