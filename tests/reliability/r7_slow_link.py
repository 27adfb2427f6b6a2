"""A bad line costs time, not the same bytes twice; a peer that stalls is left in half a minute."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from tests.build.image import descriptor
from tests.reliability.program import Home, run
from tests.reliability.scoreboard import Figure, Row, Run
from tests.reliability.slow_link import Line, SlowRegistry, image_of

from layersmith.errors import LayersmithError
from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, Descriptor
from layersmith.oci.reference import Reference
from layersmith.stores.registry import Registries

ROW: Final = Row("R7", "slow-link", "at most 1.02 times the bytes; a stall noticed in 30 s")

MOST, SOON = 1.02, 30.0
KIB, MIB = 1024, 1024 * 1024
SLOW: Final = 64_000 / 8  # bytes a second


@dataclass(frozen=True)
class Transfer:
    """An image of these layers over such a line, at most so many times its bytes."""

    name: str
    layers: tuple[int, ...]
    line: Line


QUICK: Final = (
    Transfer("50 MiB, 300 ms, cut every MiB by FIN", (50 * MIB,), Line(0, 0.3, MIB)),
    Transfer("50 MiB, 300 ms, cut every MiB by RST", (50 * MIB,), Line(0, 0.3, MIB, reset=True)),
    Transfer("160 KiB at 64 kbit/s, cut every 64 KiB", (160 * KIB,), Line(SLOW, 0.3, 64 * KIB)),
)
FULL: Final = (
    Transfer("2 MiB at 64 kbit/s, cut every 256 KiB", (2 * MIB,), Line(SLOW, 0.3, 256 * KIB)),
    Transfer("8 layers share 64 kbit/s", (128 * KIB,) * 8, Line(SLOW, 0.3)),
    Transfer("50 MiB, cut every 100 kB", (50 * MIB,), Line(0, 0.05, 100_000)),
    Transfer("50 MiB at 2 Mbit/s, cut every MiB", (50 * MIB,), Line(250_000, 0.3, MIB)),
)


def transferred(transfer: Transfer, home: Home) -> tuple[float, str]:
    """Copy the image with the real program; return bytes moved to its size, and what is wrong."""
    rng = random.Random(1)
    image = image_of(*(rng.randbytes(size) for size in transfer.layers))
    with SlowRegistry(image, transfer.line) as slow:
        out = home.path / "out" / "layout"
        done = run(home, "copy", f"{slow.host}/a/b:1", f"oci:{out}", "--quiet", patience=1500)
        time.sleep(0.2)  # for the last connection's account
        ratio = slow.moved / image.size
    if done.code:
        return ratio, f"{transfer.name}: status {done.code}: {done.err[-300:]}"
    for digest, data in image.blobs.items():
        if (out / "blobs" / "sha256" / digest.partition(":")[2]).read_bytes() != data:
            return ratio, f"{transfer.name}: other bytes than were sent"
    if ratio < 1:
        return ratio, f"{transfer.name}: only {ratio:.4f} of the bytes were counted"
    return ratio, f"{transfer.name}: {ratio:.4f} of the bytes" if ratio > MOST else ""


# peers that stall

Behave = Callable[[socket.socket, "Watch"], None]


class Watch:
    """When something last came of a connection, and when the client left it."""

    def __init__(self) -> None:
        self.progress = time.monotonic()
        self.left: float | None = None

    def hang(self, connection: socket.socket, drip: bytes = b"", every: float = 1.0) -> None:
        """Send nothing, or `drip` now and then, until the client has gone."""
        connection.settimeout(every)
        while True:
            try:
                if drip:
                    connection.sendall(drip)
                if not connection.recv(65536):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.left = time.monotonic()


def _asked(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536) or b"\r\n\r\n"
    return request


_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
DATA: Final = bytes(MIB)


def _silent(connection: socket.socket, watch: Watch) -> None:
    _asked(connection)
    watch.progress = time.monotonic()
    watch.hang(connection)


def _half_a_body(connection: socket.socket, watch: Watch) -> None:
    _asked(connection)
    connection.sendall(_HEAD + f"Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA[: MIB // 2])
    watch.progress = time.monotonic()
    watch.hang(connection)


def _dripped_body(connection: socket.socket, watch: Watch) -> None:
    _asked(connection)
    connection.sendall(_HEAD + f"Content-Length: {len(DATA)}\r\n\r\n".encode())
    watch.progress = time.monotonic()
    watch.hang(connection, b"\0")


def _dripped_head(connection: socket.socket, watch: Watch) -> None:
    _asked(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Y: ")
    watch.progress = time.monotonic()
    watch.hang(connection, b"z")


def _dripped_chunks(connection: socket.socket, watch: Watch) -> None:
    _asked(connection)
    connection.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    watch.progress = time.monotonic()
    watch.hang(connection, b"1\r\n\0\r\n")


def _dripped_refusal(connection: socket.socket, watch: Watch) -> None:
    _asked(connection)
    connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4000\r\n\r\n")
    watch.progress = time.monotonic()
    watch.hang(connection, b" ")


def _upload_unread(connection: socket.socket, watch: Watch) -> None:
    """Opens an upload session, then reads nothing of what is sent."""
    request = _asked(connection)
    while not request.startswith(b"PUT"):
        status = b"202 Accepted" if request.startswith(b"POST") else b"404 Not Found"
        connection.sendall(
            b"HTTP/1.1 " + status + b"\r\nLocation: /up/1\r\nContent-Length: 0\r\n\r\n"
        )
        request = _asked(connection)
    watch.progress = time.monotonic()
    # What fills the line hides the client's end of it: that it comes again shows that it left.
    time.sleep(2 * SOON)


STALLS: Final[dict[str, Behave]] = {
    "no answer": _silent,
    "half a body": _half_a_body,
    "1 B/s of a body": _dripped_body,
    "1 B/s of headers": _dripped_head,
    "1 B/s in chunks": _dripped_chunks,
    "1 B/s of a refusal": _dripped_refusal,
    "an upload that is not read": _upload_unread,
}


@contextmanager
def staller(behave: Behave) -> Iterator[tuple[str, list[Watch]]]:
    """Serve every connection so; yield the host and the watches."""
    watches: list[Watch] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    if watches and watches[-1].left is None:
                        watches[-1].left = time.monotonic()
                    watches.append(Watch())
                    threading.Thread(
                        target=one, args=(connection, watches[-1]), daemon=True
                    ).start()

        def one(connection: socket.socket, watch: Watch) -> None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            with connection, suppress(OSError, ssl.SSLError):
                behave(connection, watch)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", watches
        listener.shutdown(socket.SHUT_RDWR)


def noticed(name: str, behave: Behave) -> tuple[float, str]:
    """Return after how many seconds the client leaves, with the limits that users have."""
    with staller(behave) as (host, watches), Registries() as registries:
        repository = registries.repository(Reference.parse(f"{host}/a/b:1"))

        def work() -> None:
            with suppress(LayersmithError):
                if name.startswith("an upload"):
                    repository.put(descriptor(DATA), held(DATA))
                else:
                    with repository.open(descriptor(DATA)) as stream:
                        while stream.read(65536):
                            pass

        threading.Thread(target=work, daemon=True).start()  # it tries again: not waited for
        deadline = time.monotonic() + 2 * SOON
        while time.monotonic() < deadline:
            if watches and watches[0].left is not None:
                seconds = watches[0].left - watches[0].progress
                return seconds, f"{name}: {seconds:.1f} s" if seconds > SOON else ""
            time.sleep(0.1)
    return 2 * SOON, f"{name}: not noticed in {2 * SOON:.0f} s"


# bodies without an end


def endless(name: str, run_: Run) -> tuple[float, str]:
    """Return how many times too much was taken of an answer that does not end."""
    size = {"blob": MIB, "manifest": 1000}[name]
    sent = [0]

    def behave(connection: socket.socket, watch: Watch) -> None:
        _asked(connection)
        connection.sendall(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):
            while sent[0] < 64 * MIB:
                connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
                sent[0] += 65536
        watch.left = time.monotonic()

    media_type = "application/octet-stream" if name == "blob" else OCI_INDEX
    wanted = Descriptor(media_type=media_type, digest=Digest.of(b"other"), size=size)
    began = time.monotonic()
    with staller(behave) as (host, watches), Registries() as registries:
        repository = registries.repository(Reference.parse(f"{host}/a/b:1"))
        with suppress(LayersmithError), repository.open(wanted) as stream:
            while stream.read(65536):
                pass
        tries = max(1, len(watches))
    seconds = time.monotonic() - began
    most = max(size, 4 * MIB) * tries + 8 * MIB * tries  # and what the kernels hold
    if sent[0] > most or seconds > SOON:
        return sent[0] / size, f"endless {name}: {sent[0]} bytes in {seconds:.0f} s, {tries} tries"
    return sent[0] / size, ""


def measure(run_: Run) -> Figure:
    transfers = QUICK + (FULL if run_.full else ())
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(32))
        moving = [
            pool.submit(transferred, one, Home(run_.scratch / f"user-{number}"))
            for number, one in enumerate(transfers)
        ]
        stalls = [pool.submit(noticed, name, behave) for name, behave in STALLS.items()]
        ends = [pool.submit(endless, name, run_) for name in ("blob", "manifest")]
        results = [[future.result() for future in group] for group in (moving, stalls, ends)]
    ratios, waits, _ = ([value for value, _ in group] for group in results)
    misses = [miss for group in results for _, miss in group if miss]
    for transfer, ratio in zip(transfers, ratios, strict=True):
        run_.say(f"{transfer.name}: {ratio:.4f}")
    for name, wait in zip(STALLS, waits, strict=True):
        run_.say(f"{name}: {wait:.1f} s")
    text = f"{max(ratios):.4f} times the bytes at most ({len(ratios)} transfers)"
    text += f"; stalls noticed in {max(waits):.1f} s at most ({len(waits)} kinds); 2 endless bodies left"
    return Figure(text, tuple(misses))
