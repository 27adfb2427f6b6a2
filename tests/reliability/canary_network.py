"""Scenarios of the network: tokens and their servers, several registries, foreign layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from tests.fakes.registry import Reply, Request, error
from tests.reliability.canary import Scenario, Stage, having

__all__ = ["EVIL", "REG", "SCENARIOS", "asking"]

REG: Final = "https://reg.test"
EVIL: Final = "https://evil.test"


def asking(realm: str, scheme: str = "Bearer", more: str = "") -> Callable[[Request], Reply]:
    challenge = f'{scheme} realm="{realm}",service="s"{more}'
    return lambda _: error(401, "UNAUTHORIZED", "who?", **{"WWW-Authenticate": challenge})


# how the secrets go where they should


def _basic(stage: Stage) -> None:
    stage.log_in("reg.test")
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull()
    stage.push()


def _own_token(stage: Stage) -> None:
    stage.log_in("reg.test")
    stage.registry(tokens=True)
    stage.right(REG, "user", "password", "token")
    stage.pull()
    stage.push()


def _other_realm(stage: Stage) -> None:
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True, realm="https://auth.test/token")
    stage.net.hosts["https://auth.test"] = fake.answer
    stage.right(REG, "token")
    stage.right("https://auth.test", "user", "password")
    stage.pull()
    stage.push()


def _realm_port(stage: Stage) -> None:
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True, realm="https://reg.test:8443/token?account=x#f")
    stage.net.hosts["https://reg.test:8443"] = fake.answer
    stage.right(REG, "token")
    stage.right("https://reg.test:8443", "user", "password")
    stage.pull()


def _identity(stage: Stage) -> None:
    stage.config({"auths": {"reg.test": {"identitytoken": stage.canaries["identity"]}}})
    fake = stage.registry(tokens=True, realm="https://auth.test/token")
    fake.refresh = stage.canaries["identity"]
    stage.net.hosts["https://auth.test"] = fake.answer
    stage.right("https://auth.test", "identity")
    stage.right(REG, "token")
    stage.pull()


def _identity_refused(stage: Stage) -> None:
    """A token server without POST: the identity token is not put in a URL instead."""
    stage.config({"auths": {"reg.test": {"identitytoken": stage.canaries["identity"]}}})
    stage.registry(tokens=True, realm="https://auth.test/token")
    stage.net.hosts["https://auth.test"] = lambda r: (
        error(404, "X") if r.method == "POST" else Reply(200, {}, b'{"token":"t"}')
    )
    stage.right("https://auth.test", "identity")
    stage.pull(code=None)


def _registry_token(stage: Stage) -> None:
    stage.config({"auths": {"reg.test": {"registrytoken": stage.canaries["registry"]}}})
    fake = stage.registry(tokens=True, realm="https://auth.test/token")
    fake.granted[stage.canaries["registry"]] = {("team/app", "pull")}
    stage.right(REG, "registry")
    stage.pull()


def _token_server_basic(stage: Stage) -> None:
    """A token server that itself challenges gets nothing more, and sends nobody elsewhere."""
    stage.log_in("reg.test")
    stage.registry(tokens=True, realm="https://auth.test/token")
    stage.net.hosts["https://auth.test"] = asking(f"{EVIL}/token")
    stage.right("https://auth.test", "user", "password")
    stage.pull(code=4)


def _token_server_redirects(stage: Stage) -> None:
    stage.log_in("reg.test")
    stage.registry(tokens=True, realm="https://auth.test/token")
    stage.net.hosts["https://auth.test"] = lambda _: Reply(307, {"Location": f"{EVIL}/token"})
    stage.right("https://auth.test", "user", "password")
    stage.pull(code=5)


def _shared_server(stage: Stage) -> None:
    """Two registries, one token server: each is asked about with its own credentials."""
    entries = {"reg.test": stage.entry(), "two.test": stage.entry("other", "other")}
    stage.config({"auths": entries})
    one = stage.registry(tokens=True, realm="https://auth.test/token")
    stage.registry("https://two.test", guarded=False)
    stage.net.hosts["https://auth.test"] = one.answer
    stage.right("https://auth.test", "user", "password")
    stage.right(REG, "token")
    stage.run("copy", "reg.test/team/app:1", "two.test/team/copy:1", "--quiet")
    asked = [r for r in stage.net.at("https://auth.test") if r.authorization]
    stage.expect(bool(asked), "the token server was not asked")


# realms that must not be asked

BAD_REALMS: Final = (
    "http://auth.test/token", "http://reg.test/token", "https://10.0.0.1/token",
    "https://192.168.7.7/token", "https://169.254.169.254/latest/meta-data", "https://127.0.0.1/token",
    "https://localhost/token", "https://x.localhost/token", "https://[::1]/token",
    "https://[::ffff:10.0.0.1]/token", "https://[fe80::1]/token", "https://2130706433/token",
    "https://0x7f000001/token", "https://0.0.0.0/token", "https://reg.test@evil.test/token",
    "https://u:p@reg.test/token", "ftp://reg.test/token", "file:///etc/passwd", "//evil.test/token",
    "https://evil.test\\@reg.test/token", "https://reg.test:evil.test/token", "", "token",
)  # fmt: skip


def _bad_realm(stage: Stage, realm: str) -> None:
    stage.log_in("reg.test")
    fake = stage.registry(REG, "team/app", "bad/app", tokens=True)
    stage.net.hosts[REG] = lambda r: (
        asking(realm)(r) if r.path.startswith("/v2/bad/") else fake.answer(r)
    )
    stage.right(REG, "user", "password", "token")
    stage.pull()
    stage.pull("reg.test/bad/app", code=5)


# whom else a registry leads to


def _foreign(stage: Stage) -> None:
    """A layer that may be fetched elsewhere is not; nobody there learns that we exist."""
    from tests.build.image import HELLO, Made

    from layersmith.stores.layout import Layout

    stage.log_in("reg.test")
    layout = Layout(stage.path / "foreign")
    made = Made((HELLO,), layer={
        "urls": [f"{EVIL}/layer"],
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"})  # fmt: skip
    described = made.put(layout)
    layout.tag("t", described)
    fake = stage.registry(REG, "team/app")
    raw = (
        stage.path / "foreign" / "blobs" / "sha256" / described.digest.partition(":")[2]
    ).read_bytes()
    config = json.loads(raw)["config"]["digest"]
    fake.add_blob("team/far", (stage.path / "foreign/blobs/sha256" / config[7:]).read_bytes())
    fake.add_manifest("team/far", raw, described.media_type, "1")
    stage.right(REG, "user", "password")
    stage.pull("reg.test/team/far", code=None)
    stage.expect(not stage.net.at(EVIL), "the foreign layer's URL was asked")


def _two_registries(stage: Stage) -> None:
    """From one registry to another, each with its own secrets."""
    stage.config({"auths": {"reg.test": stage.entry(), "two.test": stage.entry("user", "other")}})
    stage.registry()
    stage.registry("https://two.test", password="other")
    stage.right(REG, "user", "password")
    stage.right("https://two.test", "user", "other")
    stage.run("copy", "reg.test/team/app:1", "two.test/team/copy:1", "--quiet")


def _loopback(stage: Stage) -> None:
    """On our own machine another port is another origin."""
    one, two = (stage.registry("direct", tokens=True) for _ in range(2))
    one.realm = f"{one.url}/token"
    one.redirect_blobs = two.url
    stage.log_in(one.host)
    stage.right(one.url, "user", "password", "token")
    stage.pull(f"{one.host}/team/app")
    stage.expect(bool(two.log), "the other port was not asked")


SCENARIOS: Final = (
    Scenario("basic, pull and push", _basic),
    Scenario("token of the registry's own server", _own_token),
    Scenario("token server on another host", _other_realm),
    Scenario("token server on another port", _realm_port),
    Scenario("identity token in a body", _identity),
    Scenario("identity token, server without POST", _identity_refused),
    Scenario("registry token", _registry_token),
    Scenario("token server that challenges", _token_server_basic),
    Scenario("token server that redirects", _token_server_redirects),
    Scenario("one token server, two registries", _shared_server),
    *(Scenario(f"realm {realm or '(empty)'}", having(_bad_realm, realm)) for realm in BAD_REALMS),
    Scenario("foreign layer", _foreign),
    Scenario("two registries", _two_registries),
    Scenario("another port of our machine", _loopback),
)  # fmt: skip
