"""URLs that a registry hands us: where they lead, and whether we go there.

A registry chooses the targets of redirects, upload locations and token realms. None
of them may lead to a place that the user could not have meant (CVE-2020-15157,
GHSA-jxpm-75mh-9fp7, GHSA-xf85-363p-868w), and only the registry's own origin
(scheme, host and port) ever sees credentials.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from layersmith.errors import RegistryError, one_line
from layersmith.oci.reference import valid_registry

__all__ = ["Origin", "check_realm", "follow", "redacted", "without_secrets"]

_VISIBLE: Final = re.compile(r"[!-\[\]-~]+", re.ASCII)
_NUMERIC: Final = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII | re.IGNORECASE)
_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,15}://)(?P<rest>[^\s\"'<>]*)", re.IGNORECASE
)
_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port: what must be equal for two URLs to be one place."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of `url`; raises :class:`ValueError` if it has none."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("not an http or https URL")
        return cls(parts.scheme, parts.hostname.lower(), parts.port or _PORTS[parts.scheme])

    @property
    def is_loopback(self) -> bool:
        """Tell whether this is our own machine, by name or by address."""
        address = _address(self.host)
        return self.host == "localhost" or (address is not None and address.is_loopback)

    def __str__(self) -> str:
        """Return ``scheme://host:port``, the port only if it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def follow(base: str, target: str, registry: Origin, what: str) -> str:
    """Return the URL that `target`, given by the answer to `base`, stands for.

    Relative targets are joined (RFC 3986, distribution-spec "Pushing blobs"); the
    query stays as it is. `what` names the target in errors.

    Raises :class:`RegistryError` for an empty, malformed or forbidden target: with
    user information, without TLS where the registry has it, a link-local address,
    or our own machine where the registry is another.
    """
    if not target or _VISIBLE.fullmatch(target) is None:
        raise _forbidden(what, target, "is not a URL")
    try:
        url = urljoin(base, target)
        parts = urlsplit(url)
        origin = Origin.of(url)
    except ValueError:
        raise _forbidden(what, target, "is not a URL") from None
    if reason := _objection(parts, origin, registry):
        raise _forbidden(what, url, reason)
    return url.partition("#")[0]


def check_realm(realm: str, registry: Origin) -> str:
    """Return the URL of a token server that `registry`'s challenge names.

    Credentials go there, so more is refused than by :func:`follow`: a private address
    that is not the registry's own, and plain HTTP from our machine to another.

    Raises :class:`RegistryError`.
    """
    what = f"{registry}: the token server"
    if "://" not in realm:
        raise _forbidden(what, realm, "is not a URL")
    url = follow(realm, realm, registry, what)
    origin = Origin.of(url)
    address = _address(origin.host)
    ours = origin.host == registry.host or (origin.is_loopback and registry.is_loopback)
    if address is not None and not ours and not address.is_global:
        raise _forbidden(what, url, "has a private address")
    if origin.scheme == "http" and registry.is_loopback and not ours:
        raise _forbidden(what, url, "leaves this machine without TLS")
    return url


def _objection(parts: SplitResult, origin: Origin, registry: Origin) -> str:
    """Return why we do not go to `origin`, or nothing."""
    if not valid_registry(parts.netloc):
        return "has user information or a malformed host"
    if origin.scheme == "http" and registry.scheme == "https":
        return "leaves TLS"
    if origin.host == registry.host:
        return ""
    address = _address(origin.host)
    local = origin.is_loopback or origin.host.endswith(".localhost")
    numeric = _NUMERIC.fullmatch(origin.host.rpartition(".")[2])
    if address is None and numeric:
        return "hides an address in a number"
    if local and not registry.is_loopback:
        return "leads to this machine"
    odd = address and (address.is_link_local or address.is_unspecified or address.is_multicast)
    return "leads to an address that is no registry's" if odd else ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _forbidden(what: str, target: str, reason: str) -> RegistryError:
    shown = redacted(one_line(target, 200)) or "(empty)"
    return RegistryError(f"{what} {shown} {reason}")


def redacted(text: str) -> str:
    """Return `text` with the query, fragment and user information of URLs removed."""
    return _URL.sub(_redact, text)


def _redact(match: re.Match[str]) -> str:
    rest = match["rest"]
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = place.partition("/")
    shown = authority.rpartition("@")[2] + slash + path.rpartition("@")[2]
    return f"{match['scheme']}{shown}{'?…' if place != rest else ''}"


def without_secrets(text: str, secrets: frozenset[str]) -> str:
    """Return a peer's `text` fit for a message: redacted, with no `secrets` echoed."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return redacted(text)
