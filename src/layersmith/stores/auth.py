"""What a registry's challenge says, and what we ask of its token server.

Pure functions on text: the parser of ``WWW-Authenticate`` (RFC 9110, 11.6.1), the
scopes of the token protocol, and the request that follows from both. Who answers a
challenge, and with what, is :mod:`layersmith.stores.tokens`' business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from layersmith.stores.registry_urls import check_realm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.stores.registry_urls import Origin

__all__ = [
    "Challenge",
    "Scopes",
    "TokenService",
    "main_repository",
    "parse_challenges",
    "parse_scopes",
    "repository_scopes",
    "scope_texts",
]

_LONGEST: Final = 8192
_MOST_SCOPES: Final = 32
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"[\s,]*(?P<scheme>{_NAME})(?=[\s,]|$)", re.ASCII)
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)", re.ASCII)
_PARAM = re.compile(
    rf"[\s,]*(?P<name>{_NAME})[ \t]*=[ \t]*"
    r"(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>[^\s\",]+))[ \t]*(?=,|$)",
    re.ASCII,
)

Scopes = frozenset[tuple[str, str]]
"""Pairs of resource and action: ``("repository:library/python", "pull")``."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme and its parameters' names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Return the challenges of a ``WWW-Authenticate`` value, in their order.

    Several challenges may share one value, parameters may be quoted or not. What
    comes after something malformed is not read; a challenge that gives a parameter
    twice is left out, because two readers would take two values.
    """
    found: list[Challenge] = []
    header, at = header[:_LONGEST], 0
    while scheme := _SCHEME.match(header, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        twice = False
        if opaque := _TOKEN68.match(header, at):
            at = opaque.end()
        while parameter := _PARAM.match(header, at):
            at = parameter.end()
            name = parameter["name"].lower()
            twice = twice or name in parameters
            parameters[name] = _value(parameter)
        if not twice:
            found.append(Challenge(scheme["scheme"].lower(), parameters))
    return tuple(found)


def _value(parameter: re.Match[str]) -> str:
    if (plain := parameter["plain"]) is not None:
        return plain
    return re.sub(r"\\(.)", r"\1", parameter["quoted"])


def repository_scopes(path: str, *actions: str) -> Scopes:
    """Return the scopes for `actions` on one repository."""
    return frozenset((f"repository:{path}", action) for action in actions)


def main_repository(scopes: Scopes) -> str:
    """Return the repository that a request is about: the one it writes, or the only one."""
    ranked = sorted((action != "push", resource) for resource, action in scopes)
    return ranked[0][1].removeprefix("repository:") if ranked else ""


def parse_scopes(text: str) -> Scopes:
    """Read a challenge's ``scope``; what is no scope is left out."""
    found: set[tuple[str, str]] = set()
    for part in text.split()[:_MOST_SCOPES]:
        resource, _, actions = part.rpartition(":")
        if resource:
            found.update((resource, action) for action in actions.split(",") if action)
    return frozenset(found)


def scope_texts(scopes: Scopes) -> list[str]:
    """Return one ``type:name:action,action`` a resource, sorted."""
    resources = sorted({resource for resource, _ in scopes})
    return [
        f"{resource}:{','.join(sorted(action for of, action in scopes if of == resource))}"
        for resource in resources
    ]


class TokenService(NamedTuple):
    """Where tokens come from: the realm's URL, checked, and the service's name."""

    realm: str
    service: str

    @classmethod
    def of(cls, challenge: Challenge, registry: Origin) -> TokenService:
        """Return the service a Bearer challenge names.

        Raises :class:`RegistryError` for a realm that must not be asked.
        """
        realm = check_realm(challenge.parameters.get("realm", ""), registry)
        return cls(realm, challenge.parameters.get("service", ""))

    def url(self, scopes: Scopes) -> str:
        """Return the URL that is asked for a token; the realm's own query stays."""
        pairs = [("service", self.service)] if self.service else []
        pairs += [("scope", text) for text in scope_texts(scopes)]
        query = "&".join(f"{key}={quote(value, safe=':/,')}" for key, value in pairs)
        return f"{self.realm}{'&' if '?' in self.realm else '?'}{query}" if query else self.realm
