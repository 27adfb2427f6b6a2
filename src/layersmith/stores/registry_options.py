"""What a user may say about registries, the limits kept with them, and endpoints.

Nothing here imports the network stack: a run that opens no registry pays nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from layersmith.errors import InvalidInput, typed
from layersmith.oci.reference import DOCKER_HUB, Reference, is_loopback, valid_registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["HUB_HOST", "Endpoint", "Limits", "RegistryOptions", "endpoint_at", "endpoint_for"]

HUB_HOST: Final = "registry-1.docker.io"
_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound on what a peer may make us do; sizes in bytes, times in seconds."""

    document: int = 4 * _KIB * _KIB
    token: int = 64 * _KIB
    error_body: int = 64 * _KIB
    redirects: int = 5
    connections: int = 16
    kept_documents: int = 16 * _KIB * _KIB

    # On the wire: see wire.py.
    lookup: float = 8.0  # of a host's name, the first time
    connect: float = 10.0
    read: float = 25.0
    floor: int = 64  # bytes a second: a sixteenth of what one of 8 streams gets of 64 kbit/s
    send_block: int = 16 * _KIB  # must leave within a timeout on the slowest link
    receive_block: int = 64 * _KIB

    # Trying again: see retries.py. Six of ten answers may be faults, and a push succeeds.
    tries: int = 20
    patience: float = 180.0
    backoff: float = 0.1
    longest_backoff: float = 5.0
    longest_wait: float = 120.0  # of a Retry-After
    retries: int = 100  # of one host, above those that its successes pay for
    regained: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """How registries are to be spoken to.

    `mirrors` maps a registry to ``host[:port][/prefix]``, or several with commas between;
    these take its place. `plain_http` names the hosts that are spoken to without TLS,
    `unverified` those that are spoken to with TLS, but whose certificates are not checked.
    """

    mirrors: Mapping[str, str] = field(default_factory=dict)
    plain_http: frozenset[str] = frozenset()
    unverified: frozenset[str] = frozenset()
    ca_file: Path | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the requests for a registry really go.

    Where nobody says how a host is spoken to, plain HTTP is a `guess`: on this machine,
    or, with `insecure`, wherever containers' tools would not insist on TLS.
    """

    host: str
    prefix: str = ""
    plain_http: bool = False
    replaced: str = ""
    guess: bool = False
    insecure: bool = False

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``: the one place that may see credentials."""
        return f"{'http' if self.plain_http else 'https'}://{self.host}"

    def repository(self, path: str) -> str:
        """Return the repository's path at this endpoint; `replaced` of it gives way."""
        path = path.removeprefix(self.replaced).removeprefix("/")
        return f"{self.prefix}/{path}" if self.prefix else path


def endpoint_at(
    place: str, options: RegistryOptions, *, replaced: str = "", insecure: bool = False
) -> Endpoint:
    """Return the endpoint at ``host[:port][/prefix]``.

    Raises :class:`InvalidInput` for anything else.
    """
    host, prefix = _mirror("a registry", place)
    return _endpoint(host, prefix, options, replaced=replaced, insecure=insecure)


def endpoint_for(
    registry: str, options: RegistryOptions, *, mirrored: bool = True, insecure: bool = False
) -> Endpoint:
    """Return where `registry` is spoken to.

    Raises :class:`InvalidInput` for a mirror that is not ``host[:port][/prefix]``.
    """
    host, prefix = registry, ""
    mirror = options.mirrors.get(registry) if mirrored else None
    if mirror is not None:
        host, prefix = _mirror(registry, mirror.partition(",")[0])
    return _endpoint(host, prefix, options, insecure=insecure)


def _endpoint(
    host: str, prefix: str, options: RegistryOptions, *, replaced: str = "", insecure: bool = False
) -> Endpoint:
    """Decide between TLS and plain HTTP: what an option names is sure, the rest a guess."""
    named = host in options.plain_http
    sure = named or host in options.unverified
    guess = not sure and (insecure or is_loopback(host.lower()))
    return Endpoint(
        (HUB_HOST if host == DOCKER_HUB else host).lower(),
        prefix,
        plain_http=named or guess,
        replaced=replaced,
        guess=guess,
        insecure=guess and insecure,
    )


def _mirror(registry: str, text: str) -> tuple[str, str]:
    host, slash, prefix = text.partition("/")
    if valid_registry(host) and (not slash or _is_path(host, prefix)):
        return host, prefix
    raise InvalidInput(
        f"{typed(text, 100)!r} cannot be a mirror of {typed(registry, 100)}",
        hint="write it like docker.io=127.0.0.1:5000 or docker.io=host/prefix, no scheme",
    )


def _is_path(host: str, prefix: str) -> bool:
    try:
        return Reference(f"{host}/{prefix}").repository == prefix
    except InvalidInput:  # of the reference, or of a digest in it
        return False
