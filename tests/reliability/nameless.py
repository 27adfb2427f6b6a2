"""``python -m tests.reliability.nameless MODE COMMAND…``: a network with a useless name server.

To be run by ``unshare --map-root-user --net --mount``: this machine's name servers are not
asked, and nothing can leave. MODE is what the name server does: ``silent``, ``nxdomain`` or
``servfail``; with ``none`` there is none.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from typing import Final

_RCODES: Final = {"nxdomain": 3, "servfail": 2}
_SIOCSIFFLAGS: Final = 0x8914
_UP: Final = 1


def main(mode: str, command: list[str]) -> int:
    """Run `command` with such a name server; return its status."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write("nameserver 127.0.0.1\n")
        conf.flush()
        subprocess.run(["mount", "--bind", conf.name, "/etc/resolv.conf"], check=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            fcntl.ioctl(server, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _UP))
            if mode != "none":
                server.bind(("127.0.0.1", 53))
                threading.Thread(target=_serve, args=(server, mode), daemon=True).start()
            return subprocess.run(command, check=False).returncode


def _serve(server: socket.socket, mode: str) -> None:
    while True:
        query, sender = server.recvfrom(512)
        if rcode := _RCODES.get(mode):
            flags = struct.pack(">H", 0x8180 | rcode)  # a recursive answer with this code
            server.sendto(query[:2] + flags + query[4:6] + bytes(6) + query[12:], sender)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
