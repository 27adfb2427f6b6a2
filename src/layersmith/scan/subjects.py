"""What is looked up in databases: installed packages, by the names that databases have.

Debian's entries name the source package and its version, so those of a binary package count.
Which distribution it is of, the package URL says. CPython is in no ecosystem: entries are
about its repository, and name releases by their tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CPYTHON",
    "STRANGE",
    "Place",
    "Subject",
    "is_cpython_repository",
    "normalized",
    "strange",
    "subject",
    "subjects",
]

CPYTHON: Final = "CPython"
STRANGE: Final = "other"
_PURL = re.compile(r"pkg:(?P<type>[a-z]+)/(?P<path>[^@?#]+)@(?P<version>[^?#]+)(?:\?(?P<more>.*))?")
_RUN = re.compile(r"[-_.]+")
_RELEASE = re.compile(r"debian-(\d+)(?:\.\d+)*", re.ASCII)
_REPOSITORY = re.compile(r"https://github\.com/python/cpython(?:\.git)?/?", re.IGNORECASE)


def is_cpython_repository(url: str) -> bool:
    """Tell whether a URL is that of CPython's repository."""
    return _REPOSITORY.fullmatch(url) is not None


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a package is: the record it is known by, its layer, and whose layer that is.

    `origin` is ``base`` or ``ours`` in an image that layersmith made, else nothing.
    """

    platform: str
    record: str
    layer: str = ""
    origin: str = ""
    purl: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """An installed package; `kind` is debian, python, cpython or other (:func:`strange`).

    `ecosystem` is what databases call the place it comes from ("" for one that none knows),
    `key` and `judged` are name and version there.
    """

    kind: str
    name: str
    version: str
    ecosystem: str
    key: str
    judged: str
    places: tuple[Place, ...] = ()

    @property
    def ecosystems(self) -> tuple[str, ...]:
        """Every ecosystem whose entries are about it: that of the release, that of all."""
        return tuple(dict.fromkeys((self.ecosystem, self.ecosystem.partition(":")[0])))


def normalized(ecosystem: str, name: str) -> str:
    """Return the one spelling of a package's name in an ecosystem."""
    return _RUN.sub("-", name).lower() if ecosystem == "PyPI" else name


def subject(
    kind: str, name: str, version: str, purl: str, source: tuple[str, str] | None, place: Place
) -> Subject:
    """Return what to look up for a package that an inventory or an SBOM lists."""
    place = replace(place, purl=purl)
    if kind == "debian":
        key, judged = source or (name, version)
        return Subject(kind, name, version, _distribution(purl), key, judged, (place,))
    if kind == "python":
        return Subject(kind, name, version, "PyPI", normalized("PyPI", name), version, (place,))
    return Subject(kind, name, version, CPYTHON, CPYTHON, version, (place,))


def strange(place: Place) -> Subject:
    """Return what stands for the packages of another distribution, recorded at `place`."""
    return Subject(STRANGE, f"what /{place.record} lists", "", "", "", "", (place,))


def _distribution(purl: str) -> str:
    """Return ``Debian:13``, or nothing for what is not a release of Debian."""
    match = _PURL.fullmatch(purl)
    if match is None or not match["path"].startswith("debian/"):
        return ""
    said = dict(parse_qsl(match["more"] or ""))
    release = _RELEASE.fullmatch(unquote(said.get("distro", "")))
    return f"Debian:{release[1]}" if release else ""


def subjects(found: Iterable[Subject]) -> list[Subject]:
    """Return `found` in order, the same package of several platforms once."""
    merged: dict[Subject, set[Place]] = {}
    for one in found:
        merged.setdefault(replace(one, places=()), set()).update(one.places)
    return [replace(one, places=tuple(sorted(merged[one]))) for one in sorted(merged)]
