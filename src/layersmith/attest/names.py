"""How things are called in what is said about images: package URLs, CPEs, identifiers.

Nothing here is random: an identifier is made from what it stands for, so that two runs give
the same document.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["cpe_python", "identifier", "purl", "shown", "urn"]

# Name space of all our UUIDs (RFC 9562, section 5.5): made once from the project's name.
_SPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "layersmith.dev")
_PRERELEASE = re.compile(r"(3\.\d+\.\d+)((?:a|b|rc)\d+)?", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+", re.ASCII)


def purl(kind: str, path: str, version: str, qualifiers: Mapping[str, str] | None = None) -> str:
    """Return a package URL (purl specification, "Rules for each purl component").

    `path` is ``NAMESPACE/NAME`` or ``NAME``; empty qualifiers are left out.
    """
    name = "/".join(_quoted(part) for part in path.split("/"))
    said = {key: value for key, value in sorted((qualifiers or {}).items()) if value}
    tail = "&".join(f"{key}={quote(value, safe='.-_~:/')}" for key, value in said.items())
    return f"pkg:{kind}/{name}@{_quoted(version)}{'?' if tail else ''}{tail}"


def _quoted(text: str) -> str:
    return quote(text, safe=".-_~:", errors="replace")


def cpe_python(version: str) -> str:
    """Return CPython's name in the NVD's dictionary (CPE 2.3, NISTIR 7695, section 6.2)."""
    match = _PRERELEASE.fullmatch(version)
    release, update = (match[1], match[2] or "*") if match else (version, "*")
    return f"cpe:2.3:a:python:python:{release}:{update}:*:*:*:*:*:*"


def identifier(kind: str, *parts: str) -> str:
    """Return a name of letters, digits, dots and hyphens, different for different `parts`.

    128 bits: names of files are a stranger's to choose, and two of them must not meet.
    """
    told = "\0".join((kind, *parts)).encode("utf-8", "surrogateescape")
    readable = _UNSAFE.sub("-", parts[0])[:40].strip("-.")
    return "-".join(filter(None, (kind, readable, hashlib.sha256(told).hexdigest()[:32])))


def urn(*parts: str) -> str:
    """Return the UUID that just these `parts` have, as a URN (RFC 9562, section 4)."""
    return uuid.uuid5(_SPACE, "\0".join(parts)).urn


def shown(path: str) -> str:
    r"""Return a path as text: bytes that are not UTF-8 are written ``\xNN``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
