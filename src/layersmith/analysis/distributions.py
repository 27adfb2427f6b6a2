"""Python distributions: what is installed in a tree, and which files it consists of.

The directory ``NAME-VERSION.dist-info`` has the core metadata and RECORD, a CSV of paths
relative to the directory that it lies in (PyPA specifications, "Recording installed
projects"). A RECORD may name files beyond it (``../../../bin/x``), but none beyond the root.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.rootfs.entries import Directory, File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.rootfs.tree import Root

__all__ = ["Distribution", "distributions", "normalized"]

_END: Final = ".dist-info"
_MAX_METADATA: Final = 4 << 20
_MAX_RECORD: Final = 64 << 20
# PyPA specifications, "Names and normalization"; "Version specifiers" is not judged here.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*", re.ASCII)
_RUN = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed project; `place` is its dist-info, `files` are canonical paths that exist."""

    name: str
    version: str
    license: str
    place: str
    files: frozenset[str]


def normalized(name: str) -> str:
    """Return the one form of a project's name that two spellings have in common."""
    return _RUN.sub("-", name).lower()


def distributions(root: Root) -> list[Distribution]:
    """Return what is installed, ordered by place; what has no sound metadata is passed over."""
    found = []
    for path, entry in root.tree.walk():
        if path.endswith(_END) and isinstance(entry, Directory):
            made = _distribution(root, path)
            if made is not None:
                found.append(made)
    return found


def _distribution(root: Root, place: str) -> Distribution | None:
    raw = _read(root, f"{place}/METADATA", _MAX_METADATA)
    about = _headers(raw.decode("utf-8", "replace")) if raw is not None else {}
    name, version = about.get("name", ""), about.get("version", "")
    if _NAME.fullmatch(name) is None or _VERSION.fullmatch(version) is None:
        return None
    own = {f"{place}/{child}" for child in root.tree.listing(place)}
    listed = _listed(root, place) if raw is not None else ()
    files = {path for path in (*own, *listed) if isinstance(root.tree.entry(path), File)}
    return Distribution(name, version, about.get("license-expression", ""), place, frozenset(files))


def _listed(root: Root, place: str) -> Iterator[str]:
    """Yield the canonical paths that a RECORD names, through the links of the tree."""
    text = (_read(root, f"{place}/RECORD", _MAX_RECORD) or b"").decode("utf-8", "surrogateescape")
    beside = place.rpartition("/")[0]
    try:
        rows = list(csv.reader(text.splitlines()))
    except csv.Error:
        return
    for row in rows:
        if row and "\0" not in row[0]:
            path = row[0] if row[0].startswith("/") else f"{beside}/{row[0]}"
            found = root.tree.resolve(path, follow_last=False)
            if found is not None:
                yield found.path


def _read(root: Root, path: str, most: int) -> bytes | None:
    entry = root.tree.lookup(path)
    if not isinstance(entry, File) or entry.size > most:
        return None
    return root.contents.read(entry)


def _headers(text: str) -> dict[str, str]:
    """Return the first of each one-line field before the description, names in small letters."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            found.setdefault(key.strip().lower(), value.strip())
    return found
