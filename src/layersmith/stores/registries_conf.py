"""``registries.conf``: where an administrator or a user has images read from.

Containers' format, version 2 (containers-registries.conf(5))::

    [[registry]]
    prefix = "docker.io/library"            # the longest that fits a name decides
    location = "mirror.example/hub"         # takes the prefix's place
    blocked = false
    [[registry.mirror]]
    location = "cache.example:5000/hub"     # tried in order, the registry itself last
    pull-from-mirror = "digest-only"        # or tag-only, or all

``$CONTAINERS_REGISTRIES_CONF`` names the file; else the user's
(``~/.config/containers``) takes the system's (``/etc/containers``) place; files in the
``registries.conf.d`` of both come on top. Short names are not looked up: they are
Docker Hub's here.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import InvalidInput, one_line, typed
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.oci.reference import Reference

__all__ = ["Location", "Rule", "read_rules", "rule_for"]

_SYSTEM: Final = Path("/etc/containers")
_NAME: Final = "registries.conf"
_LARGEST: Final = 1024 * 1024
_MOST: Final = 256
_KINDS: Final = ("all", "digest-only", "tag-only")


@dataclass(frozen=True, slots=True)
class Location:
    """``host[:port][/path]`` that takes a prefix's place, and what it is asked for."""

    text: str
    insecure: bool = False
    digests: bool = True
    tags: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """What one ``[[registry]]`` says."""

    prefix: str
    location: Location
    mirrors: tuple[Location, ...]
    blocked: bool

    def fits(self, name: str) -> bool:
        """Tell whether the rule is for the image `name` (``host/repository``)."""
        if self.prefix.startswith("*."):
            return name.partition("/")[0].endswith(self.prefix[1:])
        return f"{name}/".startswith(f"{self.prefix}/")


def rule_for(rules: Iterable[Rule], reference: Reference) -> Rule | None:
    """Return the rule with the longest prefix that fits.

    Raises :class:`InvalidInput` if it blocks the image.
    """
    fitting = [rule for rule in rules if rule.fits(reference.name)]
    found = max(fitting, key=lambda rule: len(rule.prefix), default=None)
    if found is not None and found.blocked:
        raise InvalidInput(
            f"{reference.name} is blocked by registries.conf", hint=f"prefix {found.prefix!r}"
        )
    return found


def read_rules() -> tuple[Rule, ...]:
    """Return the rules of this machine and user; later files replace equal prefixes.

    Raises :class:`InvalidInput` with the file's name for one that cannot be understood.
    """
    found: dict[str, Rule] = {}
    for path in _files():
        found |= {rule.prefix: rule for rule in _read(path)}
    return tuple(found.values())


def _files() -> Iterator[Path]:
    if named := os.environ.get("CONTAINERS_REGISTRIES_CONF"):
        yield Path(named)
        return
    configured = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    user = Path(configured) / "containers"
    main = user / _NAME
    yield main if main.is_file() else _SYSTEM / _NAME
    for directory in (_SYSTEM, user):
        yield from sorted((directory / f"{_NAME}.d").glob("*.conf"))[:_MOST]


def _read(path: Path) -> list[Rule]:
    try:
        text = read_file(path, _LARGEST).decode()
        tables = tomllib.loads(text).get("registry", [])
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: {typed(str(error), 200)}") from None
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidInput(f"{path}: 'registry' is not a list of tables")
    return [_rule(table, path) for table in tables[:_MOST]]


def _rule(table: dict[str, Any], path: Path) -> Rule:
    location = _location(table, path, needed=not table.get("prefix"))
    prefix = table.get("prefix") or location.text
    if not isinstance(prefix, str):
        raise InvalidInput(f"{path}: a prefix is not a text")
    if not location.text and not prefix.startswith("*."):
        location = Location(prefix, location.insecure)
    by_digest = table.get("mirror-by-digest-only") is True
    mirrors = table.get("mirror", [])
    if not isinstance(mirrors, list) or not all(isinstance(m, dict) for m in mirrors):
        raise InvalidInput(f"{path}: the mirrors of {one_line(prefix, 80)!r} are not tables")
    found = tuple(_location(m, path, by_digest=by_digest) for m in mirrors[:_MOST])
    return Rule(prefix, location, found, table.get("blocked") is True)


def _location(
    table: dict[str, Any], path: Path, *, needed: bool = True, by_digest: bool = False
) -> Location:
    text = table.get("location", "")
    kind = table.get("pull-from-mirror", "digest-only" if by_digest else "all")
    if not isinstance(text, str) or (needed and not text) or kind not in _KINDS:
        raise InvalidInput(
            f"{path}: a location or pull-from-mirror that is not one",
            hint=f"location is HOST[:PORT][/PATH], pull-from-mirror one of {', '.join(_KINDS)}",
        )
    return Location(
        text.rstrip("/"),
        table.get("insecure") is True,
        digests=kind != "tag-only",
        tags=kind != "digest-only",
    )
