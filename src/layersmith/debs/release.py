"""The signed index of a suite: which it is, until when it counts, and the digests of its indexes.

``InRelease`` of Debian's repository format: one paragraph, with the names of further indexes and
their SHA-256 and sizes. MD5 and SHA-1 are not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.debs.paragraph import said_in
from layersmith.errors import PackageError, RecipeError, Untrusted, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.debs.sources import Source

__all__ = ["Listed", "Release", "check_release", "parse_release"]

_LINE: Final = re.compile(r"([0-9a-f]{64})\s+([0-9]{1,12})\s+(\S{1,1000})", re.ASCII)
_DAY: Final = 86_400
_LARGEST: Final = 1 << 30
_FORMS: Final = (".xz", ".gz", "")
_SNAPSHOT: Final = (
    "if it is of a snapshot, and meant to be old: --debian-archive '[check-valid-until=no] URL ...'"
)


class Listed(NamedTuple):
    """An index to fetch: its path below the suite, its bytes, and how many it becomes, if known."""

    path: str
    sha256: str
    size: int
    inflated: int


@dataclass(frozen=True, slots=True)
class Release:
    """A suite of an archive, as it was signed; times are seconds of the clock."""

    origin: str
    suite: str
    codename: str
    date: int
    valid_until: int | None
    by_hash: bool
    automatic: bool
    apart: bool
    components: tuple[str, ...]
    files: Mapping[str, tuple[str, int]]

    def has(self, component: str) -> bool:
        """Tell whether there is any list of a component."""
        return any(path.startswith(f"{component}/binary-") for path in self.files)

    def indexes(self, component: str, architecture: str) -> Iterator[Listed]:
        """Yield the lists of packages of a component, each in the form that is smallest.

        Packages for all architectures may have a list of their own.
        """
        for name in (architecture, *(["all"] if self.apart else [])):
            plain = f"{component}/binary-{name}/Packages"
            form = next((form for form in _FORMS if plain + form in self.files), None)
            if form is not None:
                inflated = self.files.get(plain, ("", 0))[1]
                yield Listed(plain + form, *self.files[plain + form], inflated)

    def places(self, listed: Listed) -> list[str]:
        """Return where below the suite an index may be: by its digest, then by its name."""
        by_hash = f"{listed.path.rpartition('/')[0]}/by-hash/SHA256/{listed.sha256}"
        return [*([by_hash] if self.by_hash else []), listed.path]


def parse_release(text: bytes, what: str) -> Release:
    """Read it; raises :class:`PackageError`."""
    said = said_in(text.strip(b"\n"), what)
    until = said.get("valid-until")
    return Release(
        said.get("origin", ""),
        said.get("suite", ""),
        said.get("codename", ""),
        _moment(said.get("date", ""), what),
        _moment(until, what) if until is not None else None,
        said.get("acquire-by-hash") == "yes",
        said.get("notautomatic") != "yes",
        "all" in said.get("architectures", "").split()
        and said.get("no-support-for-architecture-all") != "Packages",
        tuple(one_line(each, 60) for each in said.get("components", "").split()[:20]),
        dict(_files(said.get("sha256", ""), what)),
    )


def check_release(release: Release, source: Source, codename: str, now: float, what: str) -> None:
    """Refuse what is not the suite that was asked for, of another time or another Debian.

    `codename` is the image's. Raises :class:`Untrusted` and :class:`RecipeError`.
    """
    if source.suite not in (release.suite, release.codename):
        raise Untrusted(
            f"{what} is of {one_line(release.codename or release.suite, 60)!r}, "
            f"not of {source.suite!r}, which was asked for"
        )
    if release.date > now + _DAY:
        raise Untrusted(f"{what} is of the future", hint="is the clock of this machine right?")
    if source.expires and release.valid_until is not None and release.valid_until < now:
        raise Untrusted(
            f"{what} has expired: somebody may be holding newer packages back", hint=_SNAPSHOT
        )
    base = release.codename.partition("-")[0]
    if release.origin == "Debian" and codename and base != codename:
        raise RecipeError(
            f"{what} is of Debian {base}, the image of {codename}",
            hint=f"name the suite {codename} of the archive",
        )


def _files(text: str, what: str) -> Iterator[tuple[str, tuple[str, int]]]:
    seen = set()
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is None and line.strip():
            raise PackageError("a line of SHA256 that is none", place=what)
        if match is not None:
            # Installers and contents are listed too; only lists of packages are ever fetched.
            if not re.search(r"/binary-[^/]+/Packages(\.[a-z]+)?$", match[3]):
                continue
            if match[3] in seen or int(match[2]) > _LARGEST or ".." in match[3]:
                raise PackageError(f"{one_line(match[3], 200)} twice, or too large", place=what)
            seen.add(match[3])
            yield match[3], (match[1], int(match[2]))


def _moment(text: str, what: str) -> int:
    try:
        parsed = parsedate_tz(text)
        if parsed is not None:
            return int(mktime_tz(parsed))
    except (ValueError, OverflowError, TypeError, IndexError):
        pass
    raise PackageError(f"{one_line(text, 60)!r} is no date", place=what)
