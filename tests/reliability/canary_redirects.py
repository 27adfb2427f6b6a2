"""Scenarios of where a registry sends us: redirects, upload locations, next pages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from tests.fakes.registry import Instead, Reply, Request, error
from tests.reliability.canary import Scenario, Stage, having
from tests.reliability.canary_network import EVIL, REG, asking

__all__ = ["SCENARIOS"]

# redirects of what is read

BAD_TARGETS: Final = (
    "https://evil.test/storage/{}", "https://reg.test:8443/storage/{}", "//evil.test/storage/{}",
    "https://reg.test.evil.test/storage/{}",
    "https://93.184.216.34/storage/{}", "https://REG.test:444/storage/{}",
)  # fmt: skip
FORBIDDEN: Final = (
    "http://reg.test/storage/{}", "http://evil.test/x", "https://127.0.0.1:8443/x",
    "https://169.254.169.254/x", "https://u:p@reg.test/x", "https://reg.test@evil.test/x",
    "file:///etc/passwd", "", "https://reg.test./storage/{}",
)  # fmt: skip


def _redirected(stage: Stage, target: str, code: int, kind: str = "blobs") -> None:
    """A redirect: followed without what is ours, or not at all."""
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True)
    stage.net.others = stage.registry("https://twin.test", guarded=False).answer

    def home(request: Request) -> Reply:
        reply, _ = fake.answer(request)
        digest = request.path.rpartition("/")[2]
        moved = reply.status == 200 and f"/{kind}/" in request.path
        return Reply(307, {"Location": target.format(digest)}) if moved else reply

    stage.net.hosts[REG] = home
    stage.right(REG, "user", "password", "token")
    stage.pull(code=code)


def _challenged(stage: Stage, challenge: str, status: int = 401) -> None:
    """The storage that a blob is redirected to asks who we are: it is not told."""
    stage.log_in("reg.test", "evil.test")
    stage.config({"auths": {"reg.test": stage.entry(), "cdn.test": stage.entry("other", "other")}})
    fake = stage.registry(tokens=True)
    fake.redirect_blobs = "https://cdn.test"
    header = {"WWW-Authenticate": challenge, "Proxy-Authenticate": challenge}
    stage.net.hosts["https://cdn.test"] = lambda _: error(status, "DENIED", "who?", **header)
    stage.right(REG, "user", "password", "token")
    stage.pull(code=None)


def _there_and_back(stage: Stage) -> None:
    """To another host and home again: at home, and only there, we are ourselves."""
    stage.log_in("reg.test")
    fake = stage.registry()
    fake.redirect_blobs = EVIL
    stage.net.hosts[EVIL] = lambda r: Reply(302, {"Location": f"{REG}{r.target}"})
    stage.right(REG, "user", "password")
    stage.pull()
    stage.expect(bool(stage.net.at(EVIL)), "the other host was not asked")


def _same_origin(stage: Stage) -> None:
    """The same host in capitals and with its usual port is the same origin."""
    stage.log_in("reg.test")
    fake = stage.registry()
    fake.redirect_blobs = "https://REG.test:443"
    stage.right(REG, "user", "password")
    stage.net.hosts["https://REG.test"] = fake.answer
    stage.rightful["https://REG.test"] = set()
    stage.pull()


def _cookies(stage: Stage) -> None:
    stage.log_in("reg.test")
    fake = stage.registry()
    fake.redirect_blobs = EVIL
    cookie = {"Set-Cookie": f"s={stage.canaries['other']}; Domain=test; Path=/"}
    real = fake.answer

    def baking(request: Request) -> Reply:
        reply, _ = real(request)
        return replace(reply, headers={**reply.headers, **cookie})

    stage.net.hosts[REG] = baking
    stage.net.hosts[EVIL] = lambda r: real(replace(r, headers={}))
    stage.right(REG, "user", "password")
    stage.pull()


def _put_redirected(stage: Stage, status: int) -> None:
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True)
    for method in ("PUT", "POST"):
        moved = Instead(
            lambda _: Reply(status, {"Location": f"{EVIL}/v2/team/new/blobs/uploads/x"})
        )
        fake.always(method, "uploads", moved)
    stage.right(REG, "user", "password", "token")
    stage.push(code=None)


# upload locations

LOCATIONS: Final = (
    "https://evil.test{}", "https://reg.test:8443{}", "//evil.test{}", "https://reg.test.evil.test{}",
    "http://reg.test{}", "http://evil.test{}", "https://reg.test:p@evil.test{}", "@evil.test{}",
    ".evil.test{}", "https://127.0.0.1:8443{}", "https://169.254.169.254{}",
)  # fmt: skip


def _located(stage: Stage, location: str, *, asks: bool = False) -> None:
    """An upload that is sent elsewhere takes along what is uploaded, and nothing else."""
    stage.log_in("reg.test")
    stage.config({"auths": {"reg.test": stage.entry(), "evil.test": stage.entry("other", "other")}})
    fake = stage.registry(tokens=True)
    fake.location = location.format
    other = asking(f"{EVIL}/token") if asks else lambda _: Reply(500, {}, b"")
    stage.net.others = other
    stage.net.hosts[EVIL] = other if asks else lambda _: Reply(400, {}, b"")
    stage.net.others = stage.net.hosts[EVIL]
    stage.right(REG, "user", "password", "token")
    stage.push(code=None)


def _chunk_moves(stage: Stage) -> None:
    """Between two chunks the registry names another host."""
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True)
    fake.least_chunk = 64
    fake.always("PATCH", "uploads", lambda reply: reply.header("Location", f"{EVIL}/up"))
    stage.net.hosts[EVIL] = lambda _: Reply(400, {}, b"")
    stage.right(REG, "user", "password", "token")
    stage.push(code=None)
    stage.expect(bool(stage.net.at(EVIL)), "no chunk went to the other host")


# lists in pages

LINKS: Final = (
    "https://evil.test/v2/team/app/tags/list?last=a", "https://reg.test:8443/v2/team/app/tags/list",
    "http://reg.test/v2/team/app/tags/list", "//evil.test/x", "https://u:p@reg.test/x",
)  # fmt: skip


def _linked(stage: Stage, link: str, kind: str) -> None:
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True)
    value: dict[str, object] = {"name": "team/app", "tags": ["1"]}
    if kind == "referrers":
        value = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                 "manifests": []}  # fmt: skip
    page = Reply(200, {"Content-Type": "application/vnd.oci.image.index.v1+json",
                       "Link": f'<{link}>; rel="next"'}, json.dumps(value).encode())  # fmt: skip

    def home(request: Request) -> Reply:
        listed = "/tags/list" in request.path or "/referrers/" in request.path
        return (
            page
            if listed and request.authorization
            else _page_asks(request, fake.realm, listed) or fake.answer(request)[0]
        )

    stage.net.hosts[REG] = home
    stage.right(REG, "token")
    stage.right(REG, "user", "password")
    if kind == "referrers":
        stage.run(
            "copy", "reg.test/team/app:1", f"oci:{stage.path}/out/r", "--referrers", code=None
        )
    else:
        stage.run("tags", "reg.test/team/app", code=None)


def _page_asks(request: Request, realm: str, listed: bool) -> Reply | None:
    scope = ',scope="repository:team/app:pull"'
    return asking(realm, more=scope)(request) if listed else None


SCENARIOS: Final = (
    *(Scenario(f"redirect to {to}", having(_redirected, to, 0)) for to in BAD_TARGETS),
    *(Scenario(f"redirect to {to or '(empty)'}", having(_redirected, to, 5)) for to in FORBIDDEN),
    Scenario("manifest redirected", having(_redirected, EVIL + "/v2/team/app/manifests/{}", 0, "manifests")),
    Scenario("storage asks, Basic", having(_challenged, 'Basic realm="cdn"')),
    Scenario("storage asks, Bearer", having(_challenged, f'Bearer realm="{EVIL}/token",service="s"')),
    Scenario("storage asks, Bearer of ours", having(_challenged, f'Bearer realm="{REG}/token",service="fake"')),
    Scenario("storage asks as a proxy", having(_challenged, 'Basic realm="cdn"', 407)),
    Scenario("there and back", _there_and_back),
    Scenario("capitals and the usual port", _same_origin),
    Scenario("cookies", _cookies),
    *(Scenario(f"upload redirected, {status}", having(_put_redirected, status)) for status in (302, 303, 307, 308)),
    *(Scenario(f"upload location {to}", having(_located, to)) for to in LOCATIONS),
    Scenario("upload location that asks", having(_located, "https://evil.test{}", asks=True)),
    Scenario("chunks that move", _chunk_moves),
    *(Scenario(f"next page {to}", having(_linked, to, "tags")) for to in LINKS),
    Scenario("referrers' next page", having(_linked, f"{EVIL}/v2/team/app/referrers/x", "referrers")),
)  # fmt: skip
