"""Names that lead to this machine: what the system's resolver says, replaced.

A test may speak to ``registry.example`` over real sockets, and let a name be unknown or a
connection be refused for a while.
"""

from __future__ import annotations

import math
import socket
import threading
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

if TYPE_CHECKING:
    from unittest.mock import _patch

__all__ = ["Names"]


class Names:
    """The addresses of names while the context lasts; every other name is unknown."""

    def __init__(self, **ports: int) -> None:
        self.ports = {name.replace("_", "."): port for name, port in ports.items()}
        self._honest = socket.getaddrinfo
        self._lock = threading.Lock()
        self._failing: tuple[str, float] = ("", 0)
        self._patch: _patch[Any] = patch.object(socket, "getaddrinfo", self._look_up)
        # Bound and not listening: whoever connects there is refused.
        self._closed = socket.socket()
        self._closed.bind(("127.0.0.1", 0))

    def __enter__(self) -> Self:
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()
        self._closed.close()

    def fail(self, how: str, times: float = math.inf) -> None:
        """Let the next connections fail: ``unknown`` names, or ``refused``; 0 times heals."""
        with self._lock:
            self._failing = how, times

    def _look_up(self, host: str, *more: Any, **named: Any) -> Any:
        if host == "127.0.0.1":  # no name
            return self._honest(host, *more, **named)
        with self._lock:
            how, left = self._failing
            self._failing = how, max(left - 1, 0)
        port = self.ports.get(host)
        if port is None or (left and how == "unknown"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if left and how == "refused":
            port = self._closed.getsockname()[1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
