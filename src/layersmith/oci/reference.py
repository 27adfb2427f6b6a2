"""References: ``registry/repository[:tag][@digest]``, always written in full.

The grammar is that of distribution-spec ("Pulling manifests") for repository and
tag; the short forms are Docker's (``python`` is ``docker.io/library/python``) and
are known here only.
"""

from __future__ import annotations

import re
from typing import Self

from layersmith.errors import InvalidReference, typed
from layersmith.oci.digest import Digest

__all__ = ["DOCKER_HUB", "Reference", "is_loopback", "registry_name", "valid_registry", "valid_tag"]

DOCKER_HUB = "docker.io"
_HUB_ALIASES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_LONGEST_NAME = 255

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]{{2,45}}\])(?::[0-9]{{1,5}})?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = re.compile(_HOST, re.ASCII)
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.ASCII)


def is_loopback(registry: str) -> bool:
    """Tell whether `registry` (``host[:port]``) is this machine."""
    return _LOOPBACK.fullmatch(registry) is not None


def valid_tag(text: str) -> bool:
    """Tell whether `text` is a tag by distribution-spec's grammar."""
    return _TAG.fullmatch(text) is not None


def valid_registry(text: str) -> bool:
    """Tell whether `text` is ``host[:port]``."""
    if _REGISTRY.fullmatch(text) is None or (text[0] == "[" and not _is_ipv6(text)):
        return False
    port = text.rpartition(":")[2] if not text.endswith("]") else ""
    return not port.isdigit() or ":" not in text or 0 < int(port) <= 65535


def _is_ipv6(text: str) -> bool:
    from ipaddress import IPv6Address  # noqa: PLC0415 - few registries have such a name

    try:
        IPv6Address(text[1 : text.index("]")])
    except ValueError:
        return False
    return True


def registry_name(text: str) -> str | None:
    """Return the name by which references know a registry; none if `text` is no registry."""
    name = text.lower()
    if not valid_registry(name):
        return None
    return DOCKER_HUB if name in _HUB_ALIASES else name


class Reference(str):
    """An image's name, in full: ``docker.io/library/python:3.13-slim-trixie``.

    Compares, sorts and prints as its full text. :meth:`parse` takes the short
    forms; the constructor checks the full one.

    Raises :class:`InvalidReference`, or :class:`InvalidDigest` for what follows ``@``.
    """

    __slots__ = ("digest", "registry", "repository", "tag")

    registry: str
    repository: str
    tag: str | None
    digest: Digest | None

    def __new__(cls, text: str) -> Self:
        """Split and check a full reference."""
        rest, at, digest = text.partition("@")
        registry, slash, path = rest.partition("/")
        repository, colon, tag = path.partition(":")
        if (
            not slash
            or not valid_registry(registry)
            or _REPOSITORY.fullmatch(repository) is None
            or len(repository) > _LONGEST_NAME
            or (colon and not valid_tag(tag))
        ):
            raise _invalid(text)
        self = super().__new__(cls, text)
        self.registry = registry
        self.repository = repository
        self.tag = tag or None
        self.digest = Digest(digest) if at else None
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `text` as people write it: Docker Hub and ``library/`` are implied."""
        head, slash, rest = text.partition("/")
        if not slash or not ("." in head or ":" in head or head == "localhost"):
            head, rest = DOCKER_HUB, text
        if head in _HUB_ALIASES:
            head = DOCKER_HUB
            if "/" not in rest:
                rest = f"library/{rest}"
        try:
            return cls(f"{head}/{rest}")
        except InvalidReference:
            raise _invalid(text) from None

    @property
    def name(self) -> str:
        """``registry/repository``, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def identifier(self) -> str:
        """What a registry is asked for: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or "latest"

    def with_tag(self, tag: str) -> Self:
        """Return the same repository under `tag`, without a digest."""
        return type(self)(f"{self.name}:{tag}")

    def with_digest(self, digest: Digest) -> Self:
        """Return the same name pinned to `digest` (the tag stays for people)."""
        return type(self)(f"{self.partition('@')[0]}@{digest}")


def _invalid(text: str) -> InvalidReference:
    hint = "write it like docker.io/library/python:3.13-slim-trixie or host:5000/name@sha256:..."
    if text != text.lower() and _REPOSITORY.search(text.lower()):
        hint = "repository names are lower case; " + hint
    return InvalidReference(f"{typed(text, 200)!r} is not an image reference", hint=hint)
