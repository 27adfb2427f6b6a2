"""A threaded HTTP server that can also misbehave, for fakes that need real sockets."""

from __future__ import annotations

import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext, SSLSocket
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Drop", "Line", "Reply", "Request", "Rude", "Server"]

_STALL: Final = 20.0  # nobody is kept longer, should a client not go away


@dataclass(frozen=True)
class Request:
    """What came in: enough to assert on."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass(frozen=True)
class Reply:
    """What goes out; `length` overrides Content-Length, -1 leaves it out and closes."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None

    def header(self, name: str, value: str | None) -> Reply:
        """Return the reply with one header set, or left out."""
        rest = {k: v for k, v in self.headers.items() if k != name}
        return replace(self, headers=rest if value is None else {**rest, name: value})


@dataclass(frozen=True)
class Drop:
    """Break the connection: before the answer, or `after` bytes of its body.

    `acted`: what was asked has been done, only the answer is lost.
    """

    after: int | None = None
    reset: bool = False
    acted: bool = False


class Line:
    """A connection, for who answers as no HTTP server would."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, data: bytes) -> None:
        """Send raw bytes; raises :class:`OSError` when the client has gone."""
        self._connection.sendall(data)

    def left(self, seconds: float) -> bool:
        """Wait, and tell whether the client has gone (or said more) meanwhile."""
        return bool(select.select([self._connection], [], [], seconds)[0])

    def stall(self) -> None:
        """Say nothing until the client goes."""
        self.left(_STALL)

    def reset(self) -> None:
        """End the connection with a reset (linger 0), losing what is under way."""
        _reset(self._connection)


@dataclass(frozen=True)
class Rude:
    """Answers as it likes, and hangs up; `acted` is as in :class:`Drop`."""

    speak: Callable[[Line, Reply], None]
    acted: bool = True


Breach = Drop | Rude
RESET: Final = "reset"  # instead of a handshake
_NO_TLS: Final = (
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)


def head(reply: Reply) -> bytes:
    """Return status line and headers as they go over the wire."""
    length = len(reply.body) if reply.length is None else reply.length
    lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    lines += [f"Content-Length: {length}"] * (length >= 0)
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        hello = self.server.greeting()
        if hello == RESET:
            _reset(self.request)
            raise ConnectionResetError
        if isinstance(hello, SSLContext):
            if self.request.recv(1, socket.MSG_PEEK) not in (b"\x16", b""):  # as Go's server does
                self.request.sendall(_NO_TLS)
                raise ConnectionResetError
            self.request = hello.wrap_socket(self.request, server_side=True)
        super().setup()
        self.server.connections.add(self.connection)
        self.server.connections_made += 1

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()
        if isinstance(self.connection, SSLSocket):  # the server knows only the one inside
            self.connection.close()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Say nothing: `FakeRegistry.log` has it."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply, drop = self.server.answer(Request(self.command, self.path, headers, body))
        if isinstance(drop, Rude):
            self.close_connection = True
            return drop.speak(Line(self.connection), reply)
        if drop and drop.after is None:
            return self._break(drop)
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = len(reply.body) if reply.length is None else reply.length
        if length >= 0:
            self.send_header("Content-Length", str(length))
        else:
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: drop.after if drop else None])
        self.wfile.flush()
        if drop:
            self._break(drop)
        elif length > len(reply.body) and self.command != "HEAD":
            self._break(Drop())
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _break(self, drop: Drop) -> None:
        """End the connection: politely, or with a reset (linger 0)."""
        self.close_connection = True
        if drop.reset:
            _reset(self.connection)
        else:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        answer: Callable[[Request], tuple[Reply, Breach | None]],
        tls: SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.tls = tls
        self.greetings: deque[SSLContext | str] = deque()  # for the next connections
        self.connections_made = 0
        self.connections: set[socket.socket] = set()

    def serve(self) -> None:
        """Accept connections until :meth:`stop`."""
        while True:
            try:
                self.process_request(*self.socket.accept())
            except OSError:
                return

    def stop(self) -> None:
        """Accept no more."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits for the next one

    def greeting(self) -> SSLContext | str | None:
        """Return how the next connection begins: a handshake, none, or a reset."""
        with suppress(IndexError):
            return self.greetings.popleft()
        return self.tls

    def hang_up(self) -> None:
        """Close every open connection."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that went away is part of the tests."""
