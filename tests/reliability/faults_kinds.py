"""The 59 ways in which a registry, or the way to it, can fail.

Each kind says what becomes of a request, and what may be expected of whom it befalls.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from enum import Enum
from typing import TYPE_CHECKING, Final

from tests.fakes.registry import Drop, Instead, Reply, Rude, digest_of, error
from tests.fakes.wire import RESET, head
from tests.reliability.faults_requests import READS, SHARED, WRITES, Asked

if TYPE_CHECKING:
    from tests.fakes.registry import Action, FakeRegistry
    from tests.fakes.wire import Line, Request
    from tests.reliability.faults_site import Site

__all__ = ["ALWAYS", "KINDS", "Event", "Heals", "Kind"]

ALWAYS: Final = math.inf
ESSENTIAL: Final = READS | WRITES | {"GET token"}
CONTENT: Final = READS | SHARED
TOKENS: Final = frozenset({"GET token", "GET mount token"})
BODIES: Final = CONTENT | TOKENS
_TICK: Final = 0.01  # a second, as the scaled limits of a slow cell have it
_FLOOD: Final = 64 << 20
_OTHER: Final = "cdn.example"


class Heals(Enum):
    """What becomes of a run that meets a fault."""

    HARMLESS = "does no harm, however often"
    PASSES = "is outlived once and twice"
    SECOND_LOOK = "is outlived once"
    STAYS = "may end the run"


@dataclass(frozen=True)
class Event:
    """A fault befalls a request, the `nth` time (from 0) of so many `times`."""

    site: Site
    request: Request
    nth: int
    times: float

    @property
    def registry(self) -> FakeRegistry:
        return self.site.registry


Act = Callable[[Event], "Action | None"]


@dataclass(frozen=True)
class Kind:
    """A kind of fault: which requests it can befall, and for which it is `fatal` always."""

    name: str
    heals: Heals
    act: Act = field(repr=False)
    shapes: frozenset[str] | None = None  # none: every request
    fatal: frozenset[str] = ESSENTIAL
    hurts: frozenset[str] = frozenset()  # shapes that it may end, though others outlive it
    tls: bool = False
    slow: bool = False
    fast_no: bool = False
    admitted: bool = False  # only where the client has shown who it is: others get no answer

    def befalls(self, asked: Asked) -> bool:
        if self.admitted and asked.shape.startswith("bare "):
            return False
        return self.shapes is None or asked.shape.removeprefix("bare ") in self.shapes

    def must_pass(self, asked: Asked, times: float) -> bool:
        if asked.shape.removeprefix("bare ") in self.hurts:
            return False
        most = {Heals.HARMLESS: ALWAYS, Heals.PASSES: 2, Heals.SECOND_LOOK: 1, Heals.STAYS: 0}
        return times <= most[self.heals]

    def must_fail(self, asked: Asked, times: float) -> bool:
        staying = self.heals in (Heals.STAYS, Heals.SECOND_LOOK)
        if asked.shape == "GET token" and asked.is_push:
            # A thread that mounts may get a wider one, and the others then use that.
            return False
        return times == ALWAYS and asked.shape in self.fatal and staying


# Statuses


def status(code: int, **headers: str) -> Act:
    """Answer with a status, and echo what must not be shown."""

    def act(event: Event) -> Action:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return error(code, "UNKNOWN", f"no: {event.request.authorization}", **said)

    return act


def too_many_until(event: Event) -> Action:
    date = formatdate(event.site.clock.today() + 7, usegmt=True)
    return error(429, "TOOMANYREQUESTS", **{"Retry-After": date})


def challenged(event: Event, scope: str) -> Action:
    realm = event.registry.realm
    challenge = f'Bearer realm="{realm}",service="fake",scope="{scope}",error="invalid_token"'
    return error(401, "UNAUTHORIZED", **{"WWW-Authenticate": challenge})


def expired(event: Event) -> Action:
    """Forget every token: all of them have expired."""
    event.registry.revoke()
    return challenged(event, "repository:in/base:pull repository:out:pull,push")


def wider(event: Event) -> Action:
    return challenged(event, "repository:out:pull,push repository:in/other:pull")


# The wire


def unreachable(how: str) -> Act:
    """Break this connection, and the next ones before they are made."""

    def act(event: Event) -> Action | None:
        if event.nth:
            return None
        event.site.names.fail(how, event.times)
        return Drop()

    return act


def greeted(how: str) -> Act:
    """Break this connection, and begin the next ones in another way."""

    def act(event: Event) -> Action | None:
        if event.nth:
            return None
        greeting = event.site.impostor if how == "impostor" else RESET
        event.registry.greetings.extend([greeting] * int(min(event.times, 500)))
        return Drop()

    return act


def always(action: Action) -> Act:
    return lambda _: action


def speaking(speak: Callable[[Line, Reply], None]) -> Act:
    return always(Rude(speak))


def half_headers(line: Line, reply: Reply) -> None:
    line.send(head(reply)[:40])
    line.reset()


def mid_body(*, reset: bool) -> Act:
    def cut(reply: Reply) -> Rude:
        def speak(line: Line, _: Reply) -> None:
            line.send(head(reply) + reply.body[: len(reply.body) // 2])
            if reset:
                line.reset()

        return Rude(speak, acted=False)

    return lambda event: cut(event.registry.honest(event.request))


def no_length(reply: Reply) -> Reply:
    return replace(reply, body=reply.body[: len(reply.body) // 2], length=-1)


def cut_chunk(line: Line, reply: Reply) -> None:
    half = reply.body[: len(reply.body) // 2]
    framed = replace(reply.header("Transfer-Encoding", "chunked"), length=-1)
    line.send(head(framed) + b"%x\r\n%b\r\n" % (len(half), half))


def stall(line: Line, _: Reply) -> None:
    line.stall()


def stall_mid_body(line: Line, reply: Reply) -> None:
    line.send(head(reply) + reply.body[: len(reply.body) // 2])
    line.stall()


def drip(line: Line, reply: Reply) -> None:
    for byte in head(reply) + reply.body:
        if line.left(_TICK):
            return
        line.send(bytes([byte]))


def garbage(line: Line, _: Reply) -> None:
    line.send(b"\x15\x03\x01\x00\x02\x02\x28 what is this\r\n\r\n")


def large_headers(line: Line, reply: Reply) -> None:
    line.send(head(reply)[:-2] + b"X-Much: " + b"x" * (1 << 20) + b"\r\n\r\n")


def goodbye(event: Event) -> Action:
    """Answer, and close the connection without a word."""
    is_head = event.request.method == "HEAD"
    return Rude(lambda line, reply: line.send(head(reply) + (b"" if is_head else reply.body)))


# Content


def other_bytes(reply: Reply) -> Reply:
    middle = len(reply.body) // 2
    flipped = bytes([reply.body[middle] ^ 1]) if reply.body else b""
    return replace(reply, body=reply.body[:middle] + flipped + reply.body[middle + 1 :])


def other_type(event: Event) -> Action:
    def changed(reply: Reply) -> Reply:
        kinds = ("image.manifest.v1", "image.index.v1")
        said = reply.headers.get("Content-Type", "")
        for one, other in (kinds, kinds[::-1]):
            if one in said:
                return reply.header("Content-Type", said.replace(one, other))
        return reply.header("Content-Type", "text/html")

    return changed


def squeezed(reply: Reply) -> Reply:
    body = gzip.compress(reply.body)
    return replace(reply.header("Content-Encoding", "gzip"), body=body)


def flood(event: Event) -> Action:
    def speak(line: Line, reply: Reply) -> None:
        line.send(head(replace(reply, length=_FLOOD)))
        block = b" " * 65536
        for _ in range(0 if event.request.method == "HEAD" else _FLOOD // len(block)):
            line.send(block)

    return Rude(speak)


def twice_a_key(reply: Reply) -> Reply:
    body = b'{"schemaVersion": 2, "token": "x", "os": "linux",' + reply.body.lstrip()[1:]
    return replace(reply.header("Docker-Content-Digest", None), body=body)


HTML: Final = Reply(200, {"Content-Type": "text/html"}, b"<!doctype html><h1>Sign in</h1>\n" * 9)


# The protocol


def redirect(host: str, scheme: str = "") -> Act:
    """Send it elsewhere; an empty host is this one."""

    def act(event: Event) -> Action:
        base = event.site.url if not host else f"{scheme or event.site.scheme}://{host}"
        return Reply(307, {"Location": f"{base}{event.request.target}"})

    return act


def located(change: Callable[[str], str | None]) -> Act:
    def act(event: Event) -> Action:
        return lambda reply: reply.header("Location", change(reply.headers["Location"]))

    return act


def unmounted(_: Event) -> Action:
    return Instead(lambda _: Reply(500))


def mount_refused(event: Event) -> Action:
    plain = replace(event.request, target=event.request.path)
    return Instead(lambda _: event.registry.honest(plain))


def session_lost(event: Event) -> Action | None:
    event.registry.uploads.pop(event.request.path.rpartition("/")[2], None)
    return None


def blob_unknown(event: Event) -> Action:
    """Lose something that the manifest names, and say so."""
    lost = event.registry.lose_below("out", event.request.body)
    return error(404, "MANIFEST_BLOB_UNKNOWN", f"{lost} unknown")


def then_range(answer: Callable[[Event], Action]) -> Act:
    """Cut the body, and treat the request for its rest in another way."""
    first = mid_body(reset=False)

    def act(event: Event) -> Action | None:
        again = event.nth and "range" in event.request.headers
        cut_again = event.times == 2 and event.nth == 1
        if not again or cut_again:
            return first(event) if event.nth == 0 or cut_again else None
        return answer(event)

    return act


def range_ignored(event: Event) -> Action:
    headers = {name: value for name, value in event.request.headers.items() if name != "range"}
    return Instead(lambda _: event.registry.honest(replace(event.request, headers=headers)))


def other_range(_: Event) -> Action:
    return lambda reply: reply.header("Content-Range", "bytes 1-9/10")


def tag_moved(event: Event) -> Action:
    """Answer, and let the tag stand for something else from then on."""

    def answer(request: Request) -> Reply:
        reply = event.registry.honest(request)
        repository, _, tag = request.path.removeprefix("/v2/").partition("/manifests/")
        event.registry.tags.setdefault(repository, {})[tag] = event.site.other_index(repository)
        return reply

    return Instead(answer)


def _of(heals: Heals, *kinds: tuple[str, Act]) -> tuple[Kind, ...]:
    return tuple(Kind(name, heals, act) for name, act in kinds)


_HEADS: Final = frozenset({"HEAD tag", "HEAD blob", "HEAD manifest", "HEAD index"})
_UPLOADS: Final = frozenset({"PUT blob", "PATCH upload"})
_DOCUMENTS: Final = frozenset({"GET index", "GET manifest"})

KINDS: Final[tuple[Kind, ...]] = (
    *(Kind(f"status {n}", Heals.STAYS, status(n)) for n in (400, 410, 416, 501)),
    *(
        Kind(name, Heals.STAYS, status(n), fast_no=True)
        for name, n in (("401 without a challenge", 401), ("status 403", 403), ("status 404", 404))
    ),
    Kind("401 expired", Heals.PASSES, expired, hurts=TOKENS),
    Kind("401 wider scope", Heals.PASSES, wider, hurts=TOKENS),
    Kind("405 on HEAD", Heals.HARMLESS, status(405), _HEADS),
    *(
        Kind(f"status {n}", Heals.PASSES, status(n))
        for n in (408, 499, 500, 502, 503, 504, 522)
    ),
    Kind("429 and seconds", Heals.PASSES, status(429, Retry_After="7")),
    Kind("429 and a date", Heals.PASSES, too_many_until),
    Kind("429 bare", Heals.PASSES, status(429)),
    Kind("connection refused", Heals.PASSES, unreachable("refused")),
    Kind("DNS fails", Heals.PASSES, unreachable("unknown")),
    Kind("reset before headers", Heals.PASSES, always(Drop(reset=True))),
    Kind("reset in headers", Heals.PASSES, speaking(half_headers)),
    Kind("reset mid body", Heals.PASSES, mid_body(reset=True), BODIES),
    Kind("FIN early, with length", Heals.PASSES, mid_body(reset=False), BODIES),
    Kind("FIN early, without", Heals.PASSES, always(no_length), BODIES),
    Kind("chunked, cut", Heals.PASSES, speaking(cut_chunk), BODIES),
    Kind("stall before headers", Heals.PASSES, speaking(stall), slow=True),
    Kind("stall mid body", Heals.PASSES, speaking(stall_mid_body), BODIES, slow=True),
    Kind("one byte a second", Heals.PASSES, speaking(drip), slow=True),
    Kind("garbage for a status", Heals.PASSES, speaking(garbage)),
    Kind("1 MiB of headers", Heals.PASSES, speaking(large_headers)),
    Kind("TLS: unknown CA", Heals.STAYS, greeted("impostor"), tls=True),
    Kind("TLS: reset", Heals.PASSES, greeted("reset"), tls=True),
    Kind("keep-alive closed", Heals.HARMLESS, goodbye),
    Kind("other bytes, same length", Heals.SECOND_LOOK, always(other_bytes), BODIES, READS,
         hurts=TOKENS),
    Kind("too long", Heals.SECOND_LOOK,
         always(lambda reply: replace(reply, body=reply.body + b" " * 9)), CONTENT),
    Kind("too short", Heals.SECOND_LOOK,
         always(lambda reply: replace(reply, body=reply.body[:-9])), BODIES),
    Kind("wrong digest header", Heals.SECOND_LOOK,
         always(lambda reply: reply.header("Docker-Content-Digest", digest_of(b"x"))),
         fatal=frozenset()),
    Kind("no digest header", Heals.HARMLESS,
         always(lambda reply: reply.header("Docker-Content-Digest", None))),
    Kind("wrong Content-Type", Heals.STAYS, other_type, fatal=_DOCUMENTS),
    Kind("HTML with 200", Heals.SECOND_LOOK, always(HTML),
         hurts=frozenset({"POST upload", "PATCH upload"})),
    Kind("Content-Encoding gzip", Heals.STAYS, always(squeezed), BODIES),
    Kind("64 MiB of it", Heals.SECOND_LOOK, flood, fatal=READS | {"GET token"}),
    Kind("a key twice", Heals.SECOND_LOOK, always(twice_a_key),
         _DOCUMENTS | TOKENS | {"GET config"}),
    Kind("redirect loop", Heals.STAYS, redirect("")),
    Kind("redirect https to http", Heals.STAYS, redirect(_OTHER, "http"), tls=True),
    Kind("redirect to another host", Heals.HARMLESS, redirect(_OTHER),
         hurts=TOKENS),
    Kind("Location relative", Heals.HARMLESS,
         located(lambda path: path.rpartition("/")[2]),
         frozenset({"POST upload", "PATCH upload"})),
    Kind("Location absent", Heals.STAYS, located(lambda _: None),
         frozenset({"POST upload"}), frozenset({"POST upload"})),
    Kind("Location at another host", Heals.HARMLESS,
         located(lambda path: f"http://{_OTHER}{path}"),
         frozenset({"POST upload", "PATCH upload"})),
    Kind("mount answered 202", Heals.HARMLESS, mount_refused, frozenset({"POST mount"})),
    Kind("201 lost", Heals.PASSES, always(Drop(reset=True, acted=True)), WRITES | {"POST mount"}),
    Kind("session lost", Heals.PASSES, session_lost, _UPLOADS),
    Kind("MANIFEST_BLOB_UNKNOWN", Heals.PASSES, blob_unknown,
         frozenset({"PUT manifest", "PUT index", "PUT tag"})),
    Kind("Range ignored", Heals.HARMLESS, then_range(range_ignored), CONTENT),
    Kind("wrong Content-Range", Heals.HARMLESS, then_range(other_range), CONTENT),
    Kind("tag moved", Heals.HARMLESS, tag_moved, frozenset({"HEAD tag"}), admitted=True),
)  # fmt: skip
