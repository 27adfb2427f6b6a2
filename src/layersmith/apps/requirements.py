"""``requirements.txt`` with hashes, as pip reads it in its hash-checking mode.

Every requirement is pinned with ``==``, or is the URL or path of a wheel, and has hashes;
anything else is no lock. Lines, comments, continuations and ``${VARIABLES}`` are pip's
("Requirements File Format").
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from layersmith.apps.pins import Indexes, Pin, Remote, holds, strong
from layersmith.errors import RecipeError, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from layersmith.apps.interpreter import Interpreter
    from layersmith.oci.digest import Digest

__all__ = ["Requirements", "parse_requirements"]

# Neither begins anew at every blank of many.
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*$")
_MARKER: Final = re.compile(r"(?<!\s)(?:\s+;\s*|\s+$)")
_VARIABLE: Final = re.compile(r"\$\{([A-Z0-9_]+)\}")
_HASH: Final = re.compile(r"\s--hash[=\s]\s*(\S+)")
_DEEPEST: Final = 8
# Options that change nothing here: the mode is always on, and there are only wheels.
_IGNORED: Final = {"--require-hashes", "--pre", "--prefer-binary"}
_IGNORED_WITH_VALUE: Final = {"--only-binary", "--use-feature"}
_SHORT: Final = {"-i": "--index-url", "-f": "--find-links", "-r": "--requirement"}


class _Line(NamedTuple):
    text: str
    place: str


class _Entry(NamedTuple):
    requirement: Requirement
    pin: Pin


@dataclass(slots=True)
class Requirements:
    """A file that was read, with those that it names."""

    entries: list[_Entry] = field(default_factory=list)
    index: str = field(default="", repr=False)
    extra: list[str] = field(default_factory=list, repr=False)
    find_links: list[str] = field(default_factory=list, repr=False)
    no_index: bool = False
    trusted: list[str] = field(default_factory=list)

    @property
    def indexes(self) -> Indexes:
        """Where it says that files are."""
        lists = tuple(self.extra), tuple(self.find_links)
        return Indexes(self.index, *lists, self.no_index, tuple(self.trusted))

    def pins(
        self, interpreter: Interpreter, extras: Sequence[str], groups: Sequence[str]
    ) -> tuple[Pin, ...]:
        """Return the pins whose markers are met; raises :class:`RecipeError`."""
        if extras or groups:
            raise RecipeError(
                "a requirements file has no extras or groups to choose from",
                hint="name them when it is exported, or use pylock.toml",
            )
        environment = interpreter.environment()
        found: dict[str, Pin] = {}
        for requirement, pin in self.entries:
            marker = requirement.marker
            if marker is not None and not holds(marker, environment, pin.name):
                continue
            before = found.setdefault(pin.name, pin)
            if before.version != pin.version or before.files != pin.files:
                raise RecipeError(
                    f"{pin.name} is pinned twice: to {before.version} and to {pin.version}"
                )
        return tuple(found[name] for name in sorted(found))


def parse_requirements(
    text: str,
    where: str,
    variables: Mapping[str, str],
    read: Callable[[str, str], tuple[str, str]],
) -> Requirements:
    """Read the text of a file called `where`.

    `variables` are those of the environment; `read` returns name and text of a file that
    another one names, as ``read(named, where)``. Raises :class:`RecipeError`.
    """
    found = Requirements()
    _read(found, text, where, variables, read, 0)
    return found


def _read(
    found: Requirements,
    text: str,
    where: str,
    variables: Mapping[str, str],
    read: Callable[[str, str], tuple[str, str]],
    depth: int,
) -> None:
    if depth > _DEEPEST:
        raise RecipeError("requirements files name each other too deeply", place=where)
    for line in _lines(text, where):
        said = _VARIABLE.sub(lambda m: variables.get(m[1], m[0]), line.text)
        if not said.startswith("-"):
            found.entries.append(_entry(said, line.place))
        elif (named := _option(found, said, line.place)) is not None:
            name, content = read(named, where)
            _read(found, content, name, variables, read, depth + 1)


def _lines(text: str, where: str) -> Iterator[_Line]:
    """Join continued lines and leave comments out."""
    waiting, first = "", 0
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        first = first or number
        # A comment line does not continue, even if it ends in a backslash.
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            waiting += raw[:-1]
            continue
        line = _COMMENT.sub("", waiting + (f" {raw}" if raw.lstrip().startswith("#") else raw))
        if line.strip():
            yield _Line(line.strip(), f"{where}:{first}")
        waiting, first = "", 0


def _option(found: Requirements, text: str, place: str) -> str | None:
    """Take an option; return the file that it names, if it does."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise RecipeError(f"{error}", place=place) from None
    name, equals, value = words[0].partition("=")
    if not equals and len(words) > 1:
        value = words[1]
    name = _SHORT.get(name, name)
    if name in _IGNORED or name in _IGNORED_WITH_VALUE:
        return None
    if name == "--no-index":
        found.no_index = True
        return None
    if not value:
        raise RecipeError(f"the option {typed(name, 40)!r} is not known here", place=place)
    match name:
        case "--requirement":
            return value
        case "--index-url" | "--pypi-url":
            found.index = value
        case "--extra-index-url":
            found.extra.append(value)
        case "--find-links":
            found.find_links.append(value)
        case "--trusted-host":
            found.trusted.append(value)
        case "-e" | "--editable":
            raise RecipeError(
                "an editable requirement cannot be locked",
                place=place,
                hint="give your own sources as source = in [app]",
            )
        case _:
            raise RecipeError(f"the option {typed(name, 40)!r} is not known here", place=place)
    return None


def _entry(text: str, place: str) -> _Entry:
    pairs = []
    for said in _HASH.findall(f" {text}"):
        algorithm, colon, value = said.partition(":")
        if not colon:
            raise RecipeError(f"{typed(said, 40)!r} is no hash", place=place)
        pairs.append((algorithm, value))
    plain = _HASH.sub("", f" {text}").strip()
    if " --" in plain:
        raise RecipeError(f"what is {typed(plain.partition(' --')[2], 40)!r}?", place=place)
    requirement = _requirement(plain, place)
    name = canonicalize_name(requirement.name)
    hashes = strong(pairs, f"{place}: {name}")
    if requirement.url:
        return _Entry(requirement, _direct(name, requirement.url, hashes, place))
    exact = [s.version for s in requirement.specifier if s.operator in ("==", "===")]
    if len(exact) != 1 or len(requirement.specifier) != 1 or exact[0].endswith(".*"):
        raise RecipeError(
            f"{name} is not pinned to one version with ==",
            place=place,
            hint="lock with uv export, uv pip compile or pip-compile, with hashes",
        )
    return _Entry(requirement, Pin(name, exact[0], hashes))


def _requirement(text: str, place: str) -> Requirement:
    """Read ``name ...``, or the bare URL or path of a wheel, which has the name in it."""
    bare, marker = _MARKER.split(f"{text} ", maxsplit=1)[:2]
    try:
        path = urlsplit(bare).path
        if path.endswith(".whl") and "@" not in text.partition("://")[0]:
            name, *_ = parse_wheel_filename(unquote(path.rpartition("/")[2]))
            url = bare if "://" in bare else f"file:{bare}"
            return Requirement(f"{name} @ {url}" + (f" ; {marker}" if marker else ""))
        return Requirement(text)
    except (ValueError, RecursionError) as error:
        message = str(error).partition("\n")[0]
        raise RecipeError(
            f"{typed(text, 80)!r} is no requirement: {typed(message, 120)}", place=place
        ) from None


def _direct(name: str, url: str, hashes: frozenset[Digest], place: str) -> Pin:
    try:
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        said, version, *_ = parse_wheel_filename(filename)
    except ValueError:
        raise RecipeError(
            f"{name} is at a URL that is no wheel: only wheels are installed",
            place=place,
            hint="build it, and give --wheel-dir",
        ) from None
    if said != name:
        raise RecipeError(f"{name} is at the URL of a wheel of {said}", place=place)
    file = Remote(filename, url, hashes)
    return Pin(name, str(version), hashes, (file,), direct=True)
