"""Where an archive of packages is: apt's sources, in both of their forms (sources.list(5)).

A line is ``deb [option=value] URI SUITE COMPONENT...``, a file ``*.sources`` has the same in
paragraphs (deb822(5)). What is for another release of the same system is turned to the image's:
the archive at a mirror has all releases, and each says in its signed index which it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from layersmith.analysis.dpkg import fields
from layersmith.errors import InvalidInput, LayerError, one_line, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Source", "fitted", "parse_deb822", "parse_line", "parse_list", "read_release"]

_FALSE: Final = frozenset({"no", "false", "without", "off", "disable", "0"})
_ARMOR: Final = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_SUITE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]{0,63}(?:/[A-Za-z0-9._-]{1,63})?", re.ASCII)
_COMPONENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_/-]{0,63}", re.ASCII)
_URI: Final = re.compile(
    r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[!-\"$->@-~]*)?", re.ASCII
)
_USER: Final = re.compile(r"//[^/\s]*@")
_LINE: Final = re.compile(r"(?:deb\s+)?(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+\S+)*)\s*", re.ASCII)
_ASSIGNED: Final = re.compile(r"([A-Z_]+)=(?:\"([^\"]*)\"|'([^']*)'|(\S*))\s*", re.ASCII)
_NAMED: Final = re.compile(r"\(([a-z]{2,20})\)$", re.ASCII)
_HOW: Final = "write it like 'URL trixie main', or name a .sources file"


@dataclass(frozen=True, slots=True)
class Source:
    """One suite of an archive; `keys` are paths of keyrings, `armored` is one in itself.

    With `expires` unset an index counts beyond the day that it says: of a snapshot.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    keys: tuple[str, ...] = ()
    armored: str = ""
    expires: bool = True

    @property
    def shown(self) -> str:
        """Where it is, without the user of its URL, who may be a token."""
        return _shown(self.uri)

    @property
    def problem(self) -> str:
        """Why nothing is taken from here, or nothing."""
        problems = (
            (not _is_web(self.uri), "is no http or https URL without a user in it"),
            (_SUITE.fullmatch(self.suite) is None, "has a suite that is a path, or none"),
            (".." in self.suite or ".." in self.uri, "goes up with .."),
            (not self.components, "names no component, like main"),
            (not all(map(_COMPONENT.fullmatch, self.components)), "has an odd component"),
            (any(".." in one for one in self.components), "goes up with .."),
            (any(not key.startswith("/") for key in self.keys), "is signed by a fingerprint"),
        )
        return next((text for is_wrong, text in problems if is_wrong), "")


def parse_line(text: str) -> Source:
    """Read what a user writes: a line of apt's, its ``deb`` left out.

    Raises :class:`InvalidInput`.
    """
    found = _of_line(text.strip())
    shown = _shown(text)
    if found is None:
        raise InvalidInput(f"{shown!r} is no archive of packages", hint=_HOW)
    if found.problem:
        raise InvalidInput(f"the archive {shown!r} {found.problem}", hint=_HOW)
    return found


def parse_list(text: str) -> list[Source]:
    """Read a file of lines; those that are not understood, or for sources, are nobody's."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = (_of_line(line) for line in lines if re.match(r"deb\s", line))
    return [source for source in found if source is not None]


def parse_deb822(text: str, place: str) -> list[Source]:
    """Read a file of paragraphs; raises :class:`InvalidInput` for what are none."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found: list[Source] = []
    for paragraph in re.split(r"\n(?:[ \t]*\n)+", kept.strip("\n")):
        if not paragraph.strip():
            continue
        try:
            said = {name: value for name, (value, _) in fields(paragraph.encode(), place)}
        except LayerError as error:
            raise InvalidInput(f"{error.message}: these are no sources of apt's") from None
        if "deb" in said.get("types", "").split() and _is_on(said.get("enabled", "")):
            found += _of_paragraph(said)
    return found


def read_release(text: str) -> dict[str, str]:
    """Return what ``/etc/os-release`` assigns (os-release(5)).

    Distroless has its release's name in VERSION only.
    """
    matches = (_ASSIGNED.fullmatch(line) for line in text.splitlines())
    said = {m[1]: next(filter(None, m.groups()[1:]), "") for m in matches if m is not None}
    name = _NAMED.search(said.get("VERSION", ""))
    return ({"VERSION_CODENAME": name[1]} if name else {}) | said


def fitted(
    sources: Iterable[Source], host: Mapping[str, str], image: Mapping[str, str]
) -> list[Source]:
    """Return a host's sources for an image of the same system, whatever its release.

    What is of no release of the host's, or cannot be asked, is left out.
    """
    if not host.get("ID") or host.get("ID") != image.get("ID"):
        return []
    ours, theirs = host.get("VERSION_CODENAME", ""), image.get("VERSION_CODENAME", "")
    found = []
    for source in sources:
        base, dash, pocket = source.suite.partition("-")
        if base in filter(None, (ours, theirs, "stable")) and theirs:
            turned = replace(source, suite=f"{theirs}{dash}{pocket}")
            found += [] if turned.problem or turned in found else [turned]
    return found


def _of_line(line: str) -> Source | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    options = dict(one.partition("=")[::2] for one in (match[1] or "").split())
    return Source(
        match[2].rstrip("/"),
        match[3],
        tuple(match[4].split()),
        tuple(filter(None, options.get("signed-by", "").split(","))),
        expires=_is_on(options.get("check-valid-until", "")),
    )


def _of_paragraph(said: Mapping[str, str]) -> Iterator[Source]:
    signed = said.get("signed-by", "")
    armored = ""
    if signed.lstrip().startswith(_ARMOR):
        lines = (line.strip() for line in signed.splitlines())
        armored, signed = "\n".join("" if line == "." else line for line in lines) + "\n", ""
    keys = tuple(filter(None, re.split(r"[\s,]+", signed)))
    for uri in said.get("uris", "").split():
        for suite in said.get("suites", "").split():
            yield Source(
                one_line(uri.rstrip("/"), 2000),
                suite,
                tuple(said.get("components", "").split()),
                keys,
                armored,
                _is_on(said.get("check-valid-until", "")),
            )


def _is_web(uri: str) -> bool:
    try:
        return _URI.fullmatch(uri) is not None and urlsplit(uri).port != 0
    except ValueError:
        return False


def _shown(text: str) -> str:
    return typed(_USER.sub("//***@", text), 200)


def _is_on(text: str) -> bool:
    return text.strip().lower() not in _FALSE
