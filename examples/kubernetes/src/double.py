"""As much of the API as the watcher asks for: to try it without a cluster.

``python -m double`` starts it on loopback, and the watcher against it.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes import client
from watcher import follow

EVENTS = (("ADDED", "Pending"), ("MODIFIED", "Running"), ("DELETED", "Succeeded"))


def pod(name: str, phase: str, version: int) -> dict[str, Any]:
    """A pod, as the API writes it."""
    metadata = {"name": name, "namespace": "default", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": phase}}


class Api(BaseHTTPRequestHandler):
    """Lists one pod; a watch gets an event at a time, as chunks of one answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        where = urlsplit(self.path)
        if where.path != "/api/v1/namespaces/default/pods":
            self.send_error(404)
            return
        asked = parse_qs(where.query)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if asked.get("watch", [""])[0].lower() == "true" and asked.get("resourceVersion") == ["7"]:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._stream()
        else:
            listed = {"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "7"}}
            body = json.dumps({**listed, "items": [pod("old", "Running", 6)]}).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _stream(self) -> None:
        for number, (kind, phase) in enumerate(EVENTS, 8):
            line = json.dumps({"type": kind, "object": pod("new", phase, number)}) + "\n"
            half = len(line) // 2  # an event may come in pieces
            for part in (line[:half], line[half:]):
                self.wfile.write(f"{len(part):x}\r\n{part}\r\n".encode())
                self.wfile.flush()
                time.sleep(0.05)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Run both."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    follow(client.CoreV1Api(client.ApiClient(client.Configuration(host=address))), "default")


if __name__ == "__main__":
    main()
