"""A server of files on loopback: what an archive, or any folder of the web, is to who asks."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class FileServer:
    """What it has, by path without the first slash, and what it was asked.

    With `tag` this is the entity tag of all it has; with `status` every answer is that.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    asked: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    tag: str = ""
    status: int = 0


@contextmanager
def serve_files(files: dict[str, bytes]) -> Iterator[FileServer]:
    """Serve files until the block ends; they may change meanwhile."""
    served = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(self.path.lstrip("/"))
            served.asked.append(path)
            served.users += self.headers.get_all("Authorization", [])
            body = served.files.get(path)
            status = served.status or (404 if body is None else 200)
            if served.tag and self.headers.get("If-None-Match") == served.tag:
                status, body = 304, b""
            self.send_response(status)
            if served.tag:
                self.send_header("ETag", served.tag)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body or b"")
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
