"""What an example's image has to do: the ``[[test]]`` tables of its ``tests.toml``.

A test runs a command in the image, by default what the image starts, and looks at how it
ends; or it starts a server there and asks it. The image is read-only, its user is 1000, and
it has no network but its own loopback.
"""

import json
import re
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

# Runs inside the image: starts a server, asks it, ends it. An emulator of one program does not
# emulate those that it starts: it is named before them.
_PROBE = r"""
import json, signal, subprocess, sys, time, urllib.error, urllib.request
asked = json.loads(sys.argv[1])
started = time.monotonic()
server = subprocess.Popen(asked["command"], stdout=subprocess.DEVNULL)
url = f"http://127.0.0.1:{asked['port']}{asked['path']}"
while True:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            status, body = answer.status, answer.read()
        break
    except urllib.error.HTTPError as answer:
        status, body = answer.code, answer.read()
        break
    except OSError as error:
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        time.sleep(0.02)
seconds = time.monotonic() - started
server.send_signal(signal.SIGTERM)
try:
    code = server.wait(60)
except subprocess.TimeoutExpired:
    server.kill()
    code = "killed"
print(json.dumps({"status": status, "body": body.decode(), "end": code, "seconds": seconds}))
"""
_PYTHON = "/app/.venv/bin/python"
# How servers end that were told to: in order, or by the signal itself.
_ORDERLY = (0, 143, -15)


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of a server, and what it has to answer."""

    port: int
    path: str = "/"
    status: int = 200
    contains: str = ""


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One test; a command takes the place of the image's own, args that of its arguments."""

    name: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    http: Http | None = None
    exit: int = 0
    stdout: str | None = None
    stdout_contains: str = ""
    stdout_matches: str = ""
    stderr_contains: str = ""
    timeout: float = 120

    def words(self, config: dict[str, Any], emulator: str | None) -> list[str]:
        """Return what is to be run in an image of this configuration."""
        start = [*(config.get("Entrypoint") or [])]
        words = [*(self.command or [*start, *(self.args or config.get("Cmd") or [])])]
        if self.http is None:
            return words
        own = ["/tmp/qemu"] if emulator else []
        asked = {"command": [*own, *words], "port": self.http.port, "path": self.http.path}
        return [_PYTHON, "-c", _PROBE, json.dumps(asked)]

    def faults(self, done: subprocess.CompletedProcess[str]) -> list[str]:
        """Return every way in which it was not as it has to be."""
        if self.http is not None and done.returncode == 0:
            return self._faults_of_answer(self.http, json.loads(done.stdout))
        found = []
        if done.returncode != self.exit:
            found.append(f"it ended with {done.returncode}, not {self.exit}")
        if self.stdout is not None and done.stdout != self.stdout:
            found.append(f"it is to print {self.stdout!r}")
        if self.stdout_contains not in done.stdout:
            found.append(f"it is to print {self.stdout_contains!r}")
        if not re.search(self.stdout_matches, done.stdout):
            found.append(f"it is to print what matches {self.stdout_matches!r}")
        if self.stderr_contains not in done.stderr:
            found.append(f"it is to complain of {self.stderr_contains!r}")
        if found:
            found.append(
                f"it printed {done.stdout[-2000:]!r}, and complained {done.stderr[-2000:]!r}"
            )
        return found

    def _faults_of_answer(self, http: Http, answer: dict[str, Any]) -> list[str]:
        found = []
        if answer["status"] != http.status:
            found.append(f"the answer is {answer['status']}, not {http.status}")
        if http.contains not in answer["body"]:
            found.append(f"{http.contains!r} is not in {answer['body'][:2000]!r}")
        if answer["end"] not in _ORDERLY:
            found.append(f"told to end, it ended with {answer['end']}")
        return found


Run = Callable[[list[str], float], subprocess.CompletedProcess[str]]


def trials_of(folder: Path) -> tuple[Trial, ...]:
    """Return the tests of an example; at least one."""
    tables = tomllib.loads((folder / "tests.toml").read_text())["test"]
    return msgspec.convert(tables, tuple[Trial, ...])


def try_all(
    folder: Path, config: dict[str, Any], run: Run, emulator: str | None = None
) -> tuple[list[str], float]:
    """Run an example's tests in its image; gives what is wrong, and the seconds they took."""
    started, found = time.monotonic(), []
    for trial in trials_of(folder):
        words, timeout = trial.words(config, emulator), trial.timeout * (5 if emulator else 1)
        try:
            faults = trial.faults(run(words, timeout))
        except subprocess.TimeoutExpired:
            faults = [f"it took longer than {timeout:.0f} s"]
        found += [f"{trial.name}: {fault}" for fault in faults]
    return found, time.monotonic() - started
