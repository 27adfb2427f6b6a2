"""A registry at the end of a bad line: slow, far away, and cut again and again.

The line counts what really crossed it: bytes that the client's kernel has acknowledged
(``TCP_INFO``), whether its program read them or not.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Final, Self

from tests.build.image import descriptor

from layersmith.oci.documents import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST

__all__ = ["Line", "SlowRegistry", "image_of"]

_ACKED: Final = 120  # tcpi_bytes_acked in struct tcp_info
_PIECE: Final = 4096
_REQUEST: Final = re.compile(rb"(?P<method>[A-Z]+) (?P<path>\S+) HTTP/1\.1\r\n")
_RANGE: Final = re.compile(rb"\r\nrange: bytes=(\d+)-", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """How bad it is. Speeds in bytes a second (0: as fast as it goes), times in seconds."""

    speed: float = 0.0
    latency: float = 0.0
    cut: int = 0  # a connection ends after so many bytes of a body; 0: never
    reset: bool = False  # by RST, else by FIN


@dataclass(frozen=True)
class Image:
    """A manifest and its blobs, by path."""

    manifest: bytes
    blobs: dict[str, bytes]

    @property
    def size(self) -> int:
        return len(self.manifest) + sum(map(len, self.blobs.values()))


def image_of(*layers: bytes) -> Image:
    """Return an image of blobs that nobody has to unpack."""
    config = json.dumps({"architecture": "amd64", "os": "linux",
                         "rootfs": {"type": "layers", "diff_ids": []}}).encode()  # fmt: skip
    described = [descriptor(layer, OCI_LAYER) for layer in layers]
    shown = [{"mediaType": d.media_type, "digest": d.digest, "size": d.size} for d in described]
    head = descriptor(config, OCI_CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": head.media_type, "digest": head.digest, "size": head.size},
        "layers": shown,
    }
    blobs = {str(d.digest): layer for d, layer in zip(described, layers, strict=True)}
    return Image(json.dumps(manifest).encode(), {**blobs, head.digest: config})


@dataclass
class SlowRegistry:
    """Serves one image, at any name and tag, over a bad line; any number of connections."""

    image: Image
    line: Line
    moved: int = 0
    connections: int = 0
    _sending: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # a small buffer: what is not acknowledged yet is not sent yet
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while self._answered(connection):
                pass
        self.moved += _acknowledged(connection)
        connection.close()

    def _answered(self, connection: socket.socket) -> bool:
        """Answer a request; tell whether the connection may serve another."""
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65536)
            if not data:
                return False
            request += data
        time.sleep(self.line.latency)
        match = _REQUEST.match(request)
        if match is None:
            return False
        name = match["path"].decode().rpartition("/")[2]
        document = b"/manifests/" in match["path"]
        body = self.image.manifest if document else self.image.blobs.get(name, b"")
        start = int(found[1]) if (found := _RANGE.search(request)) else 0
        connection.sendall(
            _head(body, start, OCI_MANIFEST if document else "application/octet-stream")
        )
        return match["method"] == b"HEAD" or self._send(connection, memoryview(body)[start:])

    def _send(self, connection: socket.socket, body: memoryview) -> bool:
        """Send a body as the line allows; false if it was cut."""
        most = self.line.cut or len(body)
        for at in range(0, min(most, len(body)), _PIECE):
            piece = body[at : min(at + _PIECE, most)]
            if self.line.speed:
                with self._sending:  # all share the line
                    time.sleep(len(piece) / self.line.speed)
            connection.sendall(piece)
        if len(body) <= most:
            return True
        if self.line.reset:
            _drained(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


def _head(body: bytes, start: int, media_type: str) -> bytes:
    status = "206 Partial Content" if start else "200 OK"
    part = f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}\r\n" if start else ""
    digest = descriptor(body).digest if media_type == OCI_MANIFEST else ""
    named = f"Docker-Content-Digest: {digest}\r\n" if digest else ""
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\n{part}{named}"
        f"Content-Length: {len(body) - start}\r\n\r\n"
    ).encode()


def _acknowledged(connection: socket.socket) -> int:
    """Return how much of what was sent has reached the other side's kernel."""
    _drained(connection)
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    acked: int = struct.unpack_from("Q", info, _ACKED)[0]
    return acked


def _drained(connection: socket.socket) -> None:
    """Wait until the other side has acknowledged everything, for as long as that is likely."""
    for _ in range(200):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        if info[0] != 1 or not struct.unpack_from("I", info, 24)[0]:  # tcpi_unacked
            return
        time.sleep(0.005)
