"""The list of an archive's packages: ``Packages``, a paragraph for each (Debian Policy, 5.3).

A list has some 60,000 of them, of which few are wanted: names are found in the text as it is,
and a paragraph is read when somebody asks for its package.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.analysis.debversion import debian_key
from layersmith.debs.paragraph import said_in
from layersmith.debs.relations import Clause, parse_relations
from layersmith.errors import PackageError, one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["NAME", "Listing", "Stanza", "provided", "stanza_of", "unwanted"]

NAME: Final = re.compile(r"[a-z0-9][a-z0-9+.-]{1,199}", re.ASCII)
_PACKAGE: Final = re.compile(rb"^Package:[ \t]*(\S+)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_PROVIDES: Final = re.compile(rb"^Provides:(.*(?:\n[ \t].*)*)$", re.MULTILINE | re.IGNORECASE)
_PATH: Final = re.compile(r"[A-Za-z0-9+._~%:@=,/-]{1,1000}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LARGEST: Final = 4 << 30
_LONGEST: Final = 1 << 20


class Stanza(msgspec.Struct, frozen=True):
    """A package of an archive: what it wants, and which bytes it is; `base` is the archive."""

    name: str
    version: str
    architecture: str
    depends: tuple[Clause, ...]
    conflicts: tuple[Clause, ...]
    provides: tuple[tuple[str, str], ...]
    filename: str
    size: int
    sha256: str
    base: str = ""

    def __str__(self) -> str:
        """Return name and version, as apt writes them."""
        return f"{self.name}={self.version}"


class Listing:
    """The packages of one list; `automatic` unless they have to be asked for by version."""

    def __init__(
        self, text: bytes | bytearray, place: str, base: str, *, automatic: bool = True
    ) -> None:
        self.automatic = automatic
        self._text = text
        self._place = place
        self._base = base
        self._names: dict[str, list[int]] = {}
        for match in _PACKAGE.finditer(text):
            self._names.setdefault(match[1].decode("utf-8", "replace"), []).append(match.start())
        self._providers: dict[str, list[int]] | None = None

    @property
    def names(self) -> Collection[str]:
        """The names of all packages."""
        return self._names.keys()

    def named(self, name: str) -> Iterator[Stanza]:
        """Yield the packages of a name; raises :class:`PackageError` for a bad paragraph."""
        for start in self._names.get(name, ()):
            yield self._stanza(start)

    def providing(self, name: str) -> Iterator[Stanza]:
        """Yield the packages that provide a name."""
        if self._providers is None:
            self._providers = {}
            for match in _PROVIDES.finditer(self._text):
                for each in re.findall(rb"(?:^|,)\s*([a-z0-9][a-z0-9+.-]+)", match[1]):
                    self._providers.setdefault(each.decode(), []).append(match.start())
        for start in self._providers.get(name, ()):
            yield self._stanza(start)

    def _stanza(self, at: int) -> Stanza:
        before, end = self._text.rfind(b"\n\n", 0, at), self._text.find(b"\n\n", at)
        paragraph = self._text[max(before, 0) : end if end >= 0 else len(self._text)].strip(b"\n")
        return stanza_of(bytes(paragraph), self._place, self._base)


def stanza_of(paragraph: bytes, place: str, base: str) -> Stanza:
    """Read one paragraph; raises :class:`PackageError` for what names no file, or another's."""
    if len(paragraph) > _LONGEST:
        raise PackageError("a paragraph of more than 1 MiB", place=place)
    said = said_in(paragraph, place)
    name, version = said.get("package", ""), said.get("version", "")
    where = f"{place}: {one_line(name, 60)}"
    filename, size = said.get("filename", ""), said.get("size", "")
    if NAME.fullmatch(name) is None or not _is_version(version):
        raise PackageError("a package without a name or a version", place=place)
    parts = filename.removeprefix("./").split("/")
    if _PATH.fullmatch(filename) is None or set(parts) & {"", ".", ".."}:
        raise PackageError(f"the file name {one_line(filename, 100)!r}", place=where)
    if not size.isascii() or not size.isdecimal() or not 0 < int(size[:12]) <= _LARGEST:
        raise PackageError(f"a size of {one_line(size, 30)!r}", place=where)
    if _SHA256.fullmatch(said.get("sha256", "")) is None:
        raise PackageError("no SHA-256", place=where)
    wanted = ", ".join(filter(None, (said.get("pre-depends"), said.get("depends"))))
    return Stanza(
        name,
        version,
        said.get("architecture", ""),
        parse_relations(wanted, where),
        unwanted(said, where),
        provided(said, where),
        "/".join(parts),
        int(size),
        said["sha256"],
        base,
    )


def unwanted(said: Mapping[str, str], place: str) -> tuple[Clause, ...]:
    """Return what a package does not want beside it (Policy, 7.3 and 7.4)."""
    text = ", ".join(filter(None, (said.get("conflicts"), said.get("breaks"))))
    return parse_relations(text, place)


def provided(said: Mapping[str, str], place: str) -> tuple[tuple[str, str], ...]:
    """Return the names that a package has besides its own, and in which version, if it says so."""
    clauses = parse_relations(said.get("provides", ""), place)
    return tuple((one.name, one.version) for clause in clauses for one in clause)


def _is_version(text: str) -> bool:
    try:
        debian_key(text)
    except ValueError:
        return False
    return text[:1].isdigit()
