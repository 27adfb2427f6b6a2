"""A distribution registry in this process: real sockets, scripted faults.

It obeys distribution-spec as far as a client can tell, and keeps everything in
dictionaries that a test may look into or change. :meth:`FakeRegistry.once` scripts a
fault: a rule that deletes itself after one use, so what follows is the honest answer.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from tests.fakes.shelves import Shelves, digest_of
from tests.fakes.wire import Breach, Drop, Reply, Request, Rude, Server

if TYPE_CHECKING:
    import ssl

__all__ = [
    "Action",
    "Drop",
    "FakeRegistry",
    "Instead",
    "Reply",
    "Request",
    "Rude",
    "digest_of",
    "error",
]


@dataclass(frozen=True)
class Instead:
    """Answers a request without the registry."""

    answer: Callable[[Request], Reply]


Action = Reply | Drop | Rude | Instead | Callable[[Reply], Reply]


@dataclass(frozen=True, eq=False)
class _Rule:
    """Befalls one request; equal rules are still two."""

    method: str
    path: re.Pattern[str]
    action: Action

    def fits(self, request: Request) -> bool:
        return self.method == request.method and self.path.search(request.target) is not None


def error(status: int, code: str, message: str = "", **headers: str) -> Reply:
    """Return an error as distribution-spec writes it."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Reply(status, {"Content-Type": "application/json", **headers}, body)


class FakeRegistry(Shelves):
    """One registry on one loopback port.

    `basic` are a user and a password that every request needs; `tokens` makes it ask
    for scoped tokens of its own ``/token``, anonymous for pulling unless `basic` is
    given too. `realm` overrides where the challenge sends the client.
    """

    def __init__(
        self,
        *,
        basic: tuple[str, str] | None = None,
        tokens: bool = False,
        realm: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self.uploads: dict[str, str] = {}
        self.chunks: dict[str, bytes] = {}
        self.least_chunk = self.largest_body = 0
        self.granted: dict[str, set[tuple[str, str]]] = {}
        self.basic, self.tokens, self.realm = basic, tokens, realm
        self.mounts = True
        self.refresh = ""
        self.strict = False
        self.ranges = True
        self.redirect_blobs = ""
        self.location: Callable[[str], str] = str
        self.weather: Callable[[Request], Action | None] = lambda _: None
        self.log: list[Request] = []
        self.sessions_opened = 0
        self._rules: list[_Rule] = []
        self._pauses: list[tuple[re.Pattern[str], float]] = []
        self._lock = threading.Lock()
        self.sightings: list[str] | None = None
        self._server = Server(self.answer, tls)
        self.greetings = self._server.greetings
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self._thread = threading.Thread(target=self._server.serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()

    # What tests ask for; what they put in is on the shelves

    def once(
        self,
        method: str,
        path: str,
        action: Action,
        times: int = 1,
    ) -> None:
        """Let `action` befall the next `times` requests whose method and path match.

        A function changes the honest answer; `Instead` answers and nothing happens here.
        """
        self._rules += [_Rule(method, re.compile(path), action) for _ in range(times)]

    def always(self, method: str, path: str, action: Action) -> None:
        """Let `action` befall every such request from now on."""
        self.once(method, path, action, times=1000)

    def forgive(self) -> None:
        """Drop what has been scripted."""
        self._rules.clear()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def connections_made(self) -> int:
        return self._server.connections_made

    def close_idle(self) -> None:
        """Close every open connection, as a server does after its keep-alive time."""
        self._server.hang_up()

    def pause(self, path: str, seconds: float) -> None:
        """Let every request whose path matches wait before it is answered."""
        self._pauses.append((re.compile(path), seconds))

    def revoke(self) -> None:
        """Forget every token, as when they expire."""
        self.granted.clear()

    def counts(self) -> Counter[str]:
        """Count requests by method and kind of path: ``GET manifests``."""
        return Counter(f"{r.method} {_kind(r.path)}" for r in self.log)

    # The registry

    def answer(self, request: Request) -> tuple[Reply, Breach | None]:
        """Return what goes out, and how it breaks if it does."""
        if pause := sum(s for path, s in self._pauses if path.search(request.target)):
            time.sleep(pause)
        with self._lock:
            self.log.append(request)
            action = self.weather(request)
            if rule := next((r for r in self._rules if r.fits(request)), None):
                self._rules.remove(rule)
                action = rule.action
            answer = self._acted(action, request)
            if self.sightings is not None and request.method not in ("GET", "HEAD"):
                self.sightings += self.torn_tags()
            return answer

    def trusting(self, request: Request) -> Reply:
        """Answer as if the request were authorized: what a registry's other host does."""
        with self._lock:
            return self.honest(request, trusted=True)

    def _acted(self, action: Action | None, request: Request) -> tuple[Reply, Breach | None]:
        if isinstance(action, Reply):
            return action, None
        if isinstance(action, Rude):
            return self.honest(request) if action.acted else Reply(), action
        if isinstance(action, Drop):
            acts = action.acted or action.after is not None
            return self.honest(request) if acts else Reply(), action
        if isinstance(action, Instead):
            return action.answer(request), None
        reply = self.honest(request)
        return (action(reply) if action else reply), None

    def honest(self, request: Request, *, trusted: bool = False) -> Reply:
        """Do what is asked, with no fault; `trusted`: whoever asks may."""
        if request.path == "/token":
            return self._token(request)
        if request.path.startswith("/storage/"):
            return self._stored(request.path.removeprefix("/storage/"))
        match = _ROUTE.fullmatch(request.path)
        if match is None:
            there = Reply(200) if request.path == "/v2/" else error(404, "NAME_UNKNOWN")
            return self._refusal(request, set()) or there
        repository, kind, name = match["repository"], match["kind"], match["name"]
        wanted = {(repository, "pull")}
        if request.method not in ("GET", "HEAD"):
            wanted.add((repository, "push"))
        if source := request.query.get("from", [""])[0]:
            wanted.add((source, "pull"))
        if not trusted and (refusal := self._refusal(request, wanted)):
            return refusal
        handle = getattr(self, f"_{kind}_{request.method.lower()}", None)
        return handle(request, repository, name) if handle else error(405, "UNSUPPORTED")

    def _refusal(self, request: Request, wanted: set[tuple[str, str]]) -> Reply | None:
        if self.tokens:
            scheme, _, token = request.authorization.partition(" ")
            if scheme == "Bearer" and wanted <= self.granted.get(token, set()):
                return None
            scopes = " ".join(f"repository:{name}:{action}" for name, action in sorted(wanted))
            realm = self.realm or f"{self.url}/token"
            challenge = f'Bearer realm="{realm}",service="fake",scope="{scopes}"'
        elif self.basic:
            if request.authorization == _basic(self.basic):
                return None
            challenge = 'Basic realm="fake, with a comma"'
        else:
            return None
        return error(401, "UNAUTHORIZED", "log in", **{"WWW-Authenticate": challenge})

    def _token(self, request: Request) -> Reply:
        form = parse_qs(request.body.decode()) if request.method == "POST" else {}
        if form:
            if form["refresh_token"] != [self.refresh] or form["grant_type"] != ["refresh_token"]:
                return error(401, "UNAUTHORIZED", "unknown token")
            return self._granted(form.get("scope", []), everything=True)
        known = request.authorization == (_basic(self.basic) if self.basic else "")
        if self.basic and not known:
            return error(401, "UNAUTHORIZED", "wrong password")
        return self._granted(request.query.get("scope", []), everything=bool(self.basic))

    def _granted(self, scopes: list[str], *, everything: bool) -> Reply:
        pairs: set[tuple[str, str]] = set()
        for scope in " ".join(scopes).split():
            name, actions = scope.removeprefix("repository:").rsplit(":", 1)
            pairs |= {(name, a) for a in actions.split(",") if a == "pull" or everything}
        token = f"token-{len(self.granted)}-{digest_of(repr(sorted(pairs)).encode())[7:19]}"
        self.granted[token] = pairs
        body = json.dumps({"token": token, "expires_in": 300}).encode()
        return Reply(200, {"Content-Type": "application/json"}, body)

    def _stored(self, digest: str) -> Reply:
        for blobs in self.blobs.values():
            if digest in blobs:
                return Reply(200, {}, blobs[digest])
        return Reply(403, {"Content-Type": "application/xml"}, b"<Error/>")

    def _manifests_get(self, _request: Request, repository: str, name: str) -> Reply:
        digest = self.tags.get(repository, {}).get(name, name)
        found = self.manifests.get(repository, {}).get(digest)
        if found is None:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        media_type, raw = found
        return Reply(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, raw)

    _manifests_head = _manifests_get

    def _manifests_put(self, request: Request, repository: str, name: str) -> Reply:
        digest = digest_of(request.body)
        if ":" in name and name != digest:
            return error(400, "DIGEST_INVALID")
        if self.strict and (missing := self.missing(repository, request.body)):
            return error(400, "MANIFEST_BLOB_UNKNOWN", f"{missing} unknown")
        tags = () if ":" in name else (name,)
        self.add_manifest(repository, request.body, request.headers["content-type"], *tags)
        return Reply(201, {"Docker-Content-Digest": digest, "Location": "/"})

    def _blobs_get(self, request: Request, repository: str, name: str) -> Reply:
        data = self.blobs.get(repository, {}).get(name)
        if data is None:
            return error(404, "BLOB_UNKNOWN", "blob unknown")
        if self.redirect_blobs:
            return Reply(307, {"Location": f"{self.redirect_blobs}/storage/{name}?sig=s3cr3t"})
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": name}
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        if wanted is None or not self.ranges:
            return Reply(200, headers, data)
        start = int(wanted[1])
        if start >= len(data):
            return Reply(416, {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return Reply(206, headers, data[start:])

    _blobs_head = _blobs_get

    def _uploads_post(self, request: Request, repository: str, _name: str) -> Reply:
        mount, source = (request.query.get(key, [""])[0] for key in ("mount", "from"))
        data = self.blobs.get(source, {}).get(mount)
        if mount and self.mounts and data is not None:
            self.add_blob(repository, data)
            return Reply(201, {"Docker-Content-Digest": mount, "Location": "/"})
        session = f"session-{self.sessions_opened}"
        self.sessions_opened += 1
        self.uploads[session] = repository
        self.chunks[session] = b""
        return self._at(202, repository, session)

    def _at(self, status: int, repository: str, session: str) -> Reply:
        """Say where a session is, and how much it has."""
        path = f"/v2/{repository}/blobs/uploads/{session}?_state=a%2Bb&empty=&_state=c"
        headers = {"Location": self.location(path)}
        if got := len(self.chunks[session]):
            headers["Range"] = f"0-{got - 1}"
        if self.least_chunk:
            headers["OCI-Chunk-Min-Length"] = str(self.least_chunk)
        return Reply(status, headers)

    def _uploads_get(self, _request: Request, repository: str, name: str) -> Reply:
        if self.uploads.get(name) != repository:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        return self._at(204, repository, name)

    def _uploads_patch(self, request: Request, repository: str, name: str) -> Reply:
        if self.uploads.get(name) != repository:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        if 0 < self.largest_body < len(request.body):
            return Reply(413, {}, b"<html>")
        got = len(self.chunks[name])
        if request.headers["content-range"] != f"{got}-{got + len(request.body) - 1}":
            return self._at(416, repository, name)
        self.chunks[name] += request.body
        return self._at(202, repository, name)

    def _uploads_delete(self, _request: Request, _repository: str, name: str) -> Reply:
        found = self.uploads.pop(name, None)
        return Reply(204) if found else error(404, "BLOB_UPLOAD_UNKNOWN")

    def _uploads_put(self, request: Request, repository: str, name: str) -> Reply:
        if 0 < self.largest_body < len(request.body):
            return Reply(413, {}, b"<html>")
        if self.uploads.pop(name, None) != repository:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        if not urlsplit(request.target).query.startswith("_state=a%2Bb&empty=&_state=c&"):
            return error(400, "BLOB_UPLOAD_INVALID", "the state was not returned verbatim")
        digest = request.query["digest"][0]
        data = self.chunks.pop(name, b"") + request.body
        if digest_of(data) != digest:
            return error(400, "DIGEST_INVALID", "the digest is not the content's")
        self.add_blob(repository, data)
        return Reply(201, {"Docker-Content-Digest": digest, "Location": "/"})


_ROUTE = re.compile(
    r"/v2/(?P<repository>.+?)/(?:blobs/)?(?P<kind>manifests|blobs|uploads)/(?P<name>[^/]*)"
)


def _kind(path: str) -> str:
    match = _ROUTE.fullmatch(path)
    return match["kind"] if match else path


def _basic(pair: tuple[str, str]) -> str:
    return f"Basic {base64.b64encode(':'.join(pair).encode()).decode()}"
