"""Start a server, ask it over HTTP, stop it: one JSON document of what it answered, and how it ended.

Run by the image's Python beside the server, in the server's network namespace: that has a
loopback interface and nothing else, and nobody outside can reach it.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

LARGEST = 1 << 20
PATIENCE = 5.0  # for what children of the server have yet to say


def keep(stream: io.BufferedReader, kept: bytearray) -> None:
    """Read a stream to its end, and keep its beginning."""
    while True:
        piece = stream.read1(1 << 16)
        if not piece:
            return
        if len(kept) <= LARGEST:
            kept += piece


def ask(port: int, path: str, seconds: float) -> tuple[int, bytes]:
    """Return the status and body of an answer, whichever loopback address it comes from."""
    error: Exception = OSError()
    for host in ("::1", "127.0.0.1"):
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
        try:
            connection.request("GET", path, headers={"Host": "localhost:%d" % port})
            answer = connection.getresponse()
            return answer.status, answer.read(LARGEST)
        except (OSError, http.client.HTTPException) as caught:
            error = caught
        finally:
            connection.close()
    raise error


def stop(server: subprocess.Popen[bytes], number: int, seconds: float) -> int:
    """Tell the server to end, and then all that it started; return its exit code, -1 if it stayed.

    As runtimes do it, the server alone is told: that its children end is its own business.
    """
    server.send_signal(number)
    try:
        status = server.wait(seconds)
    except subprocess.TimeoutExpired:
        ended = -1
    else:
        ended = 128 - status if status < 0 else status
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    server.wait()
    return ended


def main() -> None:
    """Do what stdin says."""
    asked = json.load(sys.stdin)
    started = time.monotonic()
    until = started + asked["seconds"]
    server = subprocess.Popen(
        asked["argv"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    kept = [bytearray(), bytearray()]
    readers = [
        threading.Thread(target=keep, args=pair, daemon=True)
        for pair in zip((server.stdout, server.stderr), kept)
    ]
    for reader in readers:
        reader.start()
    answer = {"status": 0, "body": "", "why": "it did not answer in time"}
    took = 0.0
    while time.monotonic() < until:
        ended = server.poll()
        if ended is not None:
            answer["why"] = "it ended with %d before it answered" % ended
            break
        try:
            status, body = ask(asked["port"], asked["path"], max(0.1, until - time.monotonic()))
        except (OSError, http.client.HTTPException) as error:
            answer["why"] = "%s: %s" % (type(error).__name__, error)
            time.sleep(0.05)
            continue
        took = time.monotonic() - started
        answer = {"status": status, "body": base64.b64encode(body).decode(), "why": ""}
        break
    answer["end"] = stop(server, asked["signal"], asked["patience"])
    answer["took"] = took
    for reader in readers:
        reader.join(PATIENCE)
    answer["stdout"], answer["stderr"] = (base64.b64encode(b).decode() for b in kept)
    print(json.dumps(answer))


main()
