"""A token server (the registry token protocol) whose signature a real registry checks."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from tests.build.certificates import Certificate, self_signed

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

ISSUER, SERVICE = "tokens", "test registry"
LIFE = 300
LEEWAY = 60  # seconds that docker-registry lets a token live on


@dataclass
class TokenServer:
    """Grants pulling to everybody, and pushing to the one user, as signed JWTs.

    `asked` has who asked (nobody, or the user) and for which scopes. The tokens with the
    numbers of `over` are over already when they are given out, whatever is said with them.
    """

    user: str
    password: str
    certificate: Certificate = field(default_factory=self_signed)
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    over: frozenset[int] = frozenset()

    def __enter__(self) -> Self:
        server = self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.block_on_close = False
        server.daemon_threads = True
        vars(server)["tokens"] = self
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def section(self, directory: Path) -> dict[str, Any]:
        """Return the ``auth`` section of a registry that trusts this server."""
        bundle, _ = self.certificate.write(directory, "tokens")
        token = {
            "realm": f"http://127.0.0.1:{self._server.server_address[1]}/token",
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": str(bundle),
        }
        return {"token": token}

    def answer(self, target: str, authorization: str) -> tuple[int, Any]:
        expected = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if authorization and authorization != f"Basic {expected}":
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}
        query = parse_qs(urlsplit(target).query)
        # Go's clients put several scopes into one parameter, Docker's into several.
        scopes = [s for text in query.get("scope", []) for s in text.split()]
        self.asked.append((self.user if authorization else "", scopes))
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            granted = [a for a in actions.split(",") if a == "pull" or authorization]
            access.append({"type": kind, "name": name, "actions": granted})
        return 200, {"token": self._signed(access), "expires_in": LIFE}

    def _signed(self, access: list[dict[str, Any]]) -> str:
        now = int(time.time())
        is_over = len(self.asked) in self.over
        ends = now - LEEWAY - 1 if is_over else now + LIFE
        claims = {
            "iss": ISSUER, "sub": "x", "aud": SERVICE, "jti": "1",
            "nbf": now - LIFE, "iat": now - LIFE, "exp": ends, "access": access,
        }  # fmt: skip
        chain = base64.b64encode(self.certificate.der).decode()
        header = {"typ": "JWT", "alg": "ES256", "x5c": [chain]}
        text = ".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
        signature = self.certificate.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(signature)
        return f"{text}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        tokens: TokenServer = vars(self.server)["tokens"]
        status, value = tokens.answer(self.path, self.headers.get("Authorization", ""))
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Refuse: a server that knows no OAuth2, as clients that try it first must bear."""
        self.send_error(405)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
