"""Debian's docker-registry in every way that people run it, with an image in it.

::

    with opened("proxy", directory, push) as served:
        subprocess.run([..., f"{served.host}/team/one:1"], env=served.environment)
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fixtures import registry
from tests.build.certificates import self_signed
from tests.interop.token_server import TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS: Final = ("plain", "TLS", "htpasswd", "token", "proxy", "read-only")
WRITABLE: Final = ("TLS", "htpasswd", "token")  # beside the plain one that all tests share

USER, PASSWORD = "canary-user", "canary-s3cret"
_BCRYPT = "$2b$05$abcdefghijklmnopqrstuugkUvwbKFxld9r27/VoIxI9WNyqIxj06"  # of PASSWORD
READ_ONLY: Final = {"maintenance": {"readonly": {"enabled": True}}}


def ca_settings(path: str, only: str = "") -> dict[str, str]:
    """The usual variables for a CA file, one of them or all; those of this machine are gone."""
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    return {name: path if only in ("", name) else "" for name in names}


@dataclass(frozen=True)
class Served:
    """A registry that is running, and what its clients need: `directory` has config.json."""

    kind: str
    registry: registry.Registry
    directory: Path
    ca: Path | None = None
    tokens: TokenServer | None = None

    @property
    def host(self) -> str:
        return self.registry.host

    @property
    def guarded(self) -> bool:
        """Tell whether it wants to know who writes."""
        return self.kind in ("htpasswd", "token")

    @property
    def settings(self) -> dict[str, str]:
        """The variables that make clients find credentials and the CA."""
        found = {
            "DOCKER_CONFIG": str(self.directory),
            "REGISTRY_AUTH_FILE": str(self.directory / "config.json"),
            "NO_PROXY": "*",
        }
        return found | ca_settings(str(self.ca or ""))

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment for a client."""
        return {**os.environ, **self.settings}

    def log_in(self, password: str = PASSWORD) -> None:
        """Keep credentials as `docker login` does."""
        encoded = base64.b64encode(f"{USER}:{password}".encode()).decode()
        self._keep({"auths": {self.host: {"auth": encoded}}})

    def log_out(self) -> None:
        """Forget them."""
        self._keep({})

    def _keep(self, value: dict[str, Any]) -> None:
        (self.directory / "config.json").write_text(json.dumps(value))


@contextmanager
def opened(
    kind: str, directory: Path, fill: Callable[[Served], None] = lambda _: None
) -> Iterator[Served]:
    """Run a registry; `fill` puts something in, where and while that is possible."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if kind == "proxy":
            upstream = stack.enter_context(_run("plain", directory / "upstream"))
            fill(upstream)
            yield stack.enter_context(
                _run(kind, directory, proxy={"remoteurl": upstream.registry.url})
            )
        elif kind == "read-only":
            with _run("plain", directory) as writable:
                fill(writable)
            yield stack.enter_context(_run(kind, directory, storage=READ_ONLY))
        else:
            served = stack.enter_context(_run(kind, directory))
            fill(served)
            yield served


@contextmanager
def _run(kind: str, directory: Path, **sections: Any) -> Iterator[Served]:
    directory.mkdir(exist_ok=True)
    name, ca, tokens = "127.0.0.1", None, None
    with ExitStack() as stack:
        if kind == "TLS":
            # Loopback addresses are spoken to without TLS: this machine by its own name.
            name = socket.gethostname()
            ca, key = self_signed(name).write(directory)
            sections["http"] = {"tls": {"certificate": str(ca), "key": str(key)}}
        elif kind == "htpasswd":
            (directory / "htpasswd").write_text(f"{USER}:{_BCRYPT}\n")
            path = str(directory / "htpasswd")
            sections["auth"] = {"htpasswd": {"realm": "r", "path": path}}
        elif kind == "token":
            tokens = stack.enter_context(TokenServer(USER, PASSWORD))
            sections["auth"] = tokens.section(directory)
        running = stack.enter_context(registry.serve(name=name, directory=directory, **sections))
        served = Served(kind, running, directory, ca, tokens)
        served.log_in() if served.guarded else served.log_out()
        yield served


_LINE = re.compile(
    r"http\.request\.method=(\w+) .*http\.request\.uri=\"?([^\" ]+)\"? .*status=(\d+)"
)


def answered(log: str) -> list[tuple[str, str, int]]:
    """Return method, path and status of every request, in the order of the answers."""
    found = (_LINE.search(line) for line in log.splitlines())
    return [(m[1], m[2], int(m[3])) for m in found if m]
