"""All the hosts there are, behind one proxy on loopback.

The program is told of it by ``HTTP_PROXY`` and ``HTTPS_PROXY``; so it speaks to
``https://cdn.test:8443`` or to an address of a cloud's metadata as it would in the world,
without a name server, without privileges, and nothing leaves this machine. Every request is
kept with the origin it was for, whoever answers it.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.fakes.wire import Drop, Reply, Request, Rude, Server, _Handler

if TYPE_CHECKING:
    from tests.reliability.certificates import Served

__all__ = ["Answer", "Internet", "Seen"]

Answer = Callable[[Request], Reply | tuple[Reply, Drop | Rude | None]]
_NOBODY = Reply(502, {}, b"nobody lives here")


@dataclass(frozen=True)
class Seen:
    """A request, and the origin that it reached; the proxy's own is ``proxy``."""

    origin: str
    request: Request

    @property
    def text(self) -> bytes:
        """Everything that came, but the target."""
        lines = [f"{name}: {value}" for name, value in self.request.headers.items()]
        return "\n".join(lines).encode() + b"\n\n" + self.request.body


class _Proxy(_Handler):
    """Serves requests to any origin; after CONNECT with a certificate for it."""

    server: Internet
    origin = ""

    def do_CONNECT(self) -> None:  # noqa: N802
        """Be the host that is asked for, over TLS."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        host, _, port = self.path.rpartition(":")
        self.origin = f"https://{host}" + (f":{port}" if port != "443" else "")
        forward = self.server.forwards.get(self.path)
        refusal = self.server.met("proxy", Request("CONNECT", self.path, headers, b""))
        if not forward and not self.server.lives(self.origin):
            refusal = _NOBODY
        self.send_response_only(refusal.status if refusal else 200)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        if refusal:
            return
        if forward:
            self._tunnel(forward)
            return
        with suppress(OSError):
            self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb", -1)
            self.wfile = self.connection.makefile("wb", -1)
            self.close_connection = False

    def _tunnel(self, place: str) -> None:
        """Pass the bytes on to a real server."""
        host, _, port = place.rpartition(":")
        with socket.create_connection((host, int(port))) as inner:
            back = threading.Thread(target=_pump, args=(inner, self.connection), daemon=True)
            back.start()
            _pump(self.connection, inner)
            back.join()

    def _serve(self) -> None:
        if not self.origin and "://" in self.path:
            parts = urlsplit(self.path)
            self.server.now.origin = f"{parts.scheme}://{parts.netloc}"
            self.path = parts._replace(scheme="", netloc="").geturl() or "/"
        else:
            self.server.now.origin = self.origin or self.server.url
        super()._serve()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Internet(Server):
    """Hosts by origin: ``net.hosts["https://reg.test"] = fake.answer``."""

    def __init__(self, certificate: Served | None = None) -> None:
        super().__init__(self._answered)
        self.RequestHandlerClass = _Proxy
        self.hosts: dict[str, Answer] = {}
        self.forwards: dict[str, str] = {}  # CONNECT host:port -> a real server's host:port
        self.others: Answer | None = None  # who lives at every other origin
        self.gate: Callable[[Request], Reply | None] = lambda _: None
        self.seen: list[Seen] = []
        self.now = threading.local()
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{self.host}"
        if certificate:
            self.context: ssl.SSLContext = certificate.context()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.hang_up()

    def proxied(self, userinfo: str = "") -> dict[str, str]:
        """Return the variables that lead the program here."""
        place = f"http://{userinfo}{self.host}"
        return {"HTTP_PROXY": place, "HTTPS_PROXY": place, "http_proxy": place}

    def met(self, origin: str, request: Request) -> Reply | None:
        """Note a request; the gate of the proxy may refuse it."""
        self.seen.append(Seen(origin, request))
        return self.gate(request)

    def lives(self, origin: str) -> bool:
        """Tell whether somebody answers there."""
        return origin in self.hosts or self.others is not None

    def at(self, origin: str) -> list[Request]:
        """Return what reached an origin."""
        return [one.request for one in self.seen if one.origin == origin]

    def _answered(self, request: Request) -> tuple[Reply, Drop | Rude | None]:
        origin = self.now.origin
        if refusal := self.met(origin, request):
            return refusal, None
        host = self.hosts.get(origin) or self.others or (lambda _: _NOBODY)
        answer = host(request)
        return answer if isinstance(answer, tuple) else (answer, None)
