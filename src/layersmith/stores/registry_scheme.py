"""Plain HTTP or TLS, where nobody says which.

A registry on this machine is spoken to over plain HTTP, as everybody's clients do: until
its first answer is the 400 that servers with TLS give to that, and a handshake works. A
host that registries.conf calls insecure is tried the other way round, as containers' tools
do: TLS without a look at the certificate, else plain HTTP. What an option names is not
guessed (:func:`layersmith.stores.registry_options.endpoint_for`).
"""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING, Final

from layersmith.stores.names import look_up
from layersmith.stores.registry_urls import Origin

if TYPE_CHECKING:
    from layersmith.stores.registry_options import Endpoint, Limits

__all__ = ["Scheme"]

_BAD_REQUEST: Final = 400
_NEARBY: Final = 2.0  # seconds for a handshake with our own machine


class Scheme:
    """How one endpoint is spoken to; for any number of threads."""

    def __init__(self, endpoint: Endpoint, limits: Limits) -> None:
        self._origins = {s: Origin.of(f"{s}://{endpoint.host}") for s in ("http", "https")}
        self._limits = limits
        self._open = endpoint.guess
        self._insecure = endpoint.insecure
        self._lock = threading.Lock()
        self.name = "http" if endpoint.plain_http else "https"
        self.is_named = endpoint.plain_http and not endpoint.guess  # by --plain-http

    @property
    def origin(self) -> Origin:
        """The registry's own origin, by what is known now."""
        return self._origins[self.name]

    def of(self, url: str) -> str:
        """Return `url` as the registry is spoken to now; those of other places stay."""
        try:
            is_ours = Origin.of(url) in self._origins.values()
        except ValueError:
            return url
        return f"{self.name}://{url.partition('://')[2]}" if is_ours else url

    def settle(self) -> None:
        """Try TLS before anything is sent to a host that is insecure."""
        if self._open and self._insecure:
            with self._lock:
                if self._open:
                    self._choose(self._limits.connect)

    def was_wrong(self, url: str, status: int) -> bool:
        """Tell whether the answer to `url` says that it is to be asked with the other scheme.

        The first answer of all decides: later ones with 400 mean what they say.
        """
        if not self._open and self.name == "http":
            return False
        with self._lock:
            if self._open and status == _BAD_REQUEST:
                self._choose(_NEARBY)
            self._open = False
        return status == _BAD_REQUEST and self.of(url) != url

    def _choose(self, seconds: float) -> None:
        self.name = "https" if _speaks_tls(self._origins["https"], seconds) else "http"
        self._open = False


def _speaks_tls(origin: Origin, seconds: float) -> bool:
    """Tell whether TLS is spoken there; with whom does not matter yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        look_up(origin.host, seconds)
        with (
            socket.create_connection((origin.host, origin.port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=origin.host),
        ):
            return True
    except (OSError, ValueError):
        return False
