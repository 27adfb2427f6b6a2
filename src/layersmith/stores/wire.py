"""Connections that notice a peer which stalls, drips, or does not take what is sent.

A socket's timeout bounds one system call: a byte now and then keeps it quiet for
ever. Here every read of an answer passes :class:`_Floor`, which adds up the time
spent waiting and what came of it, and the headers have a deadline of their own. What
is sent leaves in small blocks, each within a timeout (Python bounds a whole
``sendall``).
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from contextlib import contextmanager, suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from layersmith.stores.names import look_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from layersmith.stores.registry_options import Limits

__all__ = ["Lines", "watched_pools"]


class Lines:
    """The open connections of a transport, which another thread can cut.

    That ends every call that waits for a peer, at once; a socket's timeout would end it late.
    """

    def __init__(self) -> None:
        self.are_cut = False
        self._open: WeakSet[socket.socket] = WeakSet()
        self._lock = Lock()

    def add(self, sock: socket.socket, *, knew: bool) -> None:
        """Note a connection; raises if all were cut while it was made, and nobody `knew`."""
        with self._lock:
            if self.are_cut and not knew:
                raise ConnectionAbortedError("stopped")
            self._open.add(sock)

    def cut(self) -> None:
        """Cut every connection; those that are made later are none of these."""
        with self._lock:
            self.are_cut = True
            found = list(self._open)
        for sock in found:
            with suppress(OSError):
                # Not TLS' own shutdown, which is not for a second thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Floor(io.RawIOBase):
    """The reading end of a socket; raises :class:`TimeoutError` below the floor.

    Only time spent waiting for the peer counts: a reader may take as long as it likes.
    """

    def __init__(self, inner: socket.SocketIO, limits: Limits) -> None:
        super().__init__()
        self._inner = inner
        self._floor = limits.floor
        self._window = limits.read
        self._waited = 0.0
        self._got = 0
        self.deadline = time.monotonic() + limits.read

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        """Read as the socket does, and keep account."""
        began = time.monotonic()
        got = self._inner.readinto(buffer)
        ended = time.monotonic()
        self._waited += ended - began
        self._got += got or 0
        if got and ended > self.deadline:
            raise TimeoutError("the headers take too long")
        if got and self._waited >= self._window:
            if self._got < self._floor * self._waited:
                raise TimeoutError("too slow to be of use")
            self._waited, self._got = 0.0, 0
        return got

    def close(self) -> None:
        """Close the socket's file."""
        self._inner.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer that is read through a :class:`_Floor`."""

    def __init__(self, limits: Limits, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()  # the plain file that the base has just made
        self._floor = _Floor(sock.makefile("rb", buffering=0), limits)
        self.fp = io.BufferedReader(self._floor, limits.receive_block)

    def begin(self) -> None:
        """Read the headers, within their deadline."""
        super().begin()
        self._floor.deadline = float("inf")


def watched_pools(limits: Limits, lines: Lines) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's connection pools by scheme, with these limits; `lines` learns of all."""

    @contextmanager
    def watched(connection: HTTPConnection) -> Iterator[None]:
        knew = lines.are_cut
        look_up(connection.host, limits.lookup)
        yield
        connection.sock.settimeout(limits.read)  # it was the one for connecting
        lines.add(connection.sock, knew=knew)

    class Plain(HTTPConnection):
        response_class = staticmethod(partial(_Answer, limits))  # type: ignore[assignment]

        def connect(self) -> None:
            with watched(self):
                super().connect()

    class Secure(HTTPSConnection):
        response_class = staticmethod(partial(_Answer, limits))  # type: ignore[assignment]

        def connect(self) -> None:
            with watched(self):
                super().connect()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
