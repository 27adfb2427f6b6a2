"""A relay on loopback that counts the bytes between a client and a registry, both ways."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Relay", "relay"]

_PIECE = 1 << 18


@dataclass
class Relay:
    """Where it listens, and how many bytes went to the registry and came from it."""

    host: str
    sent: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def moved(self) -> int:
        """All bytes, headers included."""
        return self.sent + self.received

    def reset(self) -> None:
        """Begin again."""
        with self._lock:
            self.sent = self.received = 0

    def count(self, size: int, *, up: bool) -> None:
        """Add what one connection moved."""
        with self._lock:
            if up:
                self.sent += size
            else:
                self.received += size


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    """Listen as long as the block runs, and pass everything on to `target`."""
    host, _, port = target.rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    running = Relay(f"127.0.0.1:{listener.getsockname()[1]}")

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((host, int(port)))
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=_pass, args=(running, source, sink, up), daemon=True
                ).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield running
    finally:
        # closing alone does not wake who waits in accept()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _pass(running: Relay, source: socket.socket, sink: socket.socket, up: bool) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            running.count(len(data), up=up)
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
