"""Scenarios of who is meant: mirrors, proxies, keys of configuration files, variables, netrc."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from tests.fakes.registry import Reply
from tests.reliability.canary import Scenario, Stage, TokenRegistry, having

__all__ = ["SCENARIOS"]

REG: Final = "https://reg.test"
MIRROR: Final = "https://mirror.test"
HUB: Final = "https://registry-1.docker.io"


# mirrors: their own secrets, never those of the registry that they stand for


def _mirrored(stage: Stage, how: Callable[[Stage], tuple[str, dict[str, str]]]) -> None:
    stage.config({"auths": {"https://index.docker.io/v1/": stage.entry("other", "other"),
                            "mirror.test": stage.entry()}})  # fmt: skip
    stage.registry(MIRROR, "team/app", tokens=True)
    stage.right(MIRROR, "user", "password", "token")
    option, env = how(stage)
    more = (option,) if option else ()
    stage.run("copy", "docker.io/team/app:1", f"oci:{stage.path}/out/m", "--quiet", *more, env=env)


def _by_option(_: Stage) -> tuple[str, dict[str, str]]:
    return "--mirror=docker.io=mirror.test", {}


def _by_alias(_: Stage) -> tuple[str, dict[str, str]]:
    return "--mirror=index.docker.io=mirror.test", {}


def _by_variable(_: Stage) -> tuple[str, dict[str, str]]:
    return "", {"LAYERSMITH_MIRRORS": "quay.io=none.test docker.io=mirror.test"}


def _by_conf(stage: Stage) -> tuple[str, dict[str, str]]:
    stage.plant("home/registries.conf", '[[registry]]\nprefix = "docker.io"\n'
                'location = "docker.io"\n[[registry.mirror]]\nlocation = "mirror.test"\n')  # fmt: skip
    return "", {}


def _mirror_asks(stage: Stage) -> None:
    """A mirror that wants credentials gets none of the registry's; the registry itself does."""
    stage.log_in("reg.test")
    stage.registry()
    stage.registry(MIRROR, password="other", tokens=True)
    stage.plant("home/registries.conf", '[[registry]]\nlocation = "reg.test"\n'
                '[[registry.mirror]]\nlocation = "mirror.test"\n')  # fmt: skip
    stage.right(REG, "user", "password")
    stage.pull()
    stage.expect(bool(stage.net.at(MIRROR)), "the mirror was not asked")


def _mirror_variables(stage: Stage) -> None:
    """Variables for Docker Hub are not for its mirror."""
    env = variables(stage, "docker.io")
    stage.registry(MIRROR, "team/app", password="other")
    stage.registry(HUB, "team/app")
    stage.right(HUB, "user", "password")
    stage.run("copy", "docker.io/team/app:1", f"oci:{stage.path}/out/a", "--quiet", env=env)
    stage.run("copy", "docker.io/team/app:1", f"oci:{stage.path}/out/b", "--quiet",
              "--mirror=docker.io=mirror.test", env=env, code=4)  # fmt: skip


# proxies


def _proxy(stage: Stage, scheme: str) -> None:
    """A proxy's password is for the proxy; the registry's is not."""
    secret = stage.canaries.plain("proxy")
    stage.log_in("reg.test")
    stage.registry(f"{scheme}://reg.test")
    stage.right(f"{scheme}://reg.test", "user", "password")
    # over plain HTTP every request is one to the proxy, and says so to it
    stage.right("proxy" if scheme == "https" else "http://reg.test", "proxy")
    plain = ("--plain-http=reg.test",) if scheme == "http" else ()
    env = stage.net.proxied(f"puser:{secret}@")
    stage.run("copy", "reg.test/team/app:1", f"oci:{stage.path}/out/p", "--quiet", *plain, env=env)


def _proxy_refuses(stage: Stage, status: int) -> None:
    stage.log_in("reg.test")
    stage.right("proxy", "proxy")
    stage.net.gate = lambda _: Reply(status, {"Proxy-Authenticate": 'Basic realm="p"'}, b"")
    env = stage.net.proxied(f"puser:{stage.canaries.plain('proxy')}@")
    stage.pull(code=5, env=env)
    stage.net.gate = lambda _: None
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull(env=env)


def _bad_proxy(stage: Stage, place: str) -> None:
    """A proxy that cannot be used: its password is not in what is said about it."""
    stage.log_in("reg.test")
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull()
    text = place.format(f"puser:{stage.canaries.plain('proxy')}")
    stage.pull(code=5, env=dict.fromkeys(stage.net.proxied(), text))


# which key is meant


def _keys(stage: Stage) -> None:
    """a/b is not a/bc, and neither is the host."""
    entries = {"reg.test/a/b": stage.entry("other", "other"), "reg.test": stage.entry()}
    stage.config({"auths": entries})
    stage.registry(REG, "a/bc", "ab")
    stage.right(REG, "user", "password")
    stage.pull("reg.test/a/bc")
    stage.pull("reg.test/ab")


def _deep_keys(stage: Stage) -> None:
    """The longest key that fits, and below it too."""
    entries = {"reg.test/a/b": stage.entry(), "reg.test/a": stage.entry("other", "other"),
               "reg.test": stage.entry("other", "other")}  # fmt: skip
    stage.config({"auths": entries})
    stage.registry(REG, "a/b", "a/b/c")
    stage.right(REG, "user", "password")
    stage.pull("reg.test/a/b")
    stage.pull("reg.test/a/b/c")


def _similar_hosts(stage: Stage) -> None:
    wrong = ("evilreg.test", "reg.test.evil.test", "test", "eg.test", "reg.test:444", "reg.test.",
             "reg.tes", "https://reg.test.evil.test/v1/", "*.test", "*", "")  # fmt: skip
    entries = dict.fromkeys(wrong, stage.entry("other", "other"))
    stage.config({"auths": {**entries, "reg.test": stage.entry()}})
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull()


def _only_others(stage: Stage) -> None:
    """A host of which nothing is known is told nothing."""
    stage.log_in("reg.test")
    stage.registry()
    stage.registry("https://reg.test.evil.test")
    stage.registry("https://evilreg.test", tokens=True)
    stage.right(REG, "user", "password")
    stage.pull()
    stage.pull("reg.test.evil.test/team/app", code=4)
    stage.pull("evilreg.test/team/app", code=4)


def _hub(stage: Stage, key: str) -> None:
    """Docker Hub's names are one registry; its token server is another host."""
    stage.config({"auths": {key: stage.entry()}})
    fake = stage.registry(HUB, "team/app", tokens=True, realm="https://auth.docker.io/token")
    stage.net.hosts["https://auth.docker.io"] = fake.answer
    stage.registry()
    stage.right("https://auth.docker.io", "user", "password")
    stage.right(HUB, "token")
    stage.pull("docker.io/team/app")
    stage.pull(code=4)


def _plain(stage: Stage) -> None:
    """Without TLS only where that was said, although the port with TLS is closed."""
    stage.log_in("reg.test")
    stage.net.others = None
    stage.registry("http://reg.test")
    stage.pull(code=5)
    stage.expect(not stage.net.at("http://reg.test"), "plain HTTP was spoken unasked")
    stage.right("http://reg.test", "user", "password")
    stage.run("digest", "reg.test/team/app:1", "--plain-http=reg.test")


def _files_in_order(stage: Stage) -> None:
    """Where a file is named, the others are not read."""
    named = stage.plant("named.json", json.dumps({"auths": {"reg.test": stage.entry()}}))
    stage.config({"auths": {"reg.test": stage.entry("other", "other"),
                            "two.test": stage.entry("other", "other")}})  # fmt: skip
    stage.registry()
    stage.registry("https://two.test", password="other")
    stage.right(REG, "user", "password")
    env = {"REGISTRY_AUTH_FILE": str(named)}
    stage.pull(env=env)
    stage.pull("two.test/team/app", code=4, env=env)


# variables


def variables(stage: Stage, registry: str) -> dict[str, str]:
    """Return the three variables."""
    return {
        "LAYERSMITH_USERNAME": stage.canaries["user"],
        "LAYERSMITH_PASSWORD": stage.canaries["password"],
        "LAYERSMITH_REGISTRY": registry,
    }


def _variables(stage: Stage) -> None:
    stage.registry()
    stage.registry("https://two.test", guarded=False)
    stage.registry("https://evilreg.test")
    stage.right(REG, "user", "password")
    env = variables(stage, "reg.test")
    stage.run("copy", "reg.test/team/app:1", "two.test/team/copy:1", "--quiet", env=env)
    stage.pull("evilreg.test/team/app", code=4, env=env)


def _bad_variables(stage: Stage, change: dict[str, str]) -> None:
    """Variables that make no sense are an error that does not repeat them."""
    stage.registry()
    stage.right(REG, "user", "password")
    env = variables(stage, "reg.test")
    stage.pull(env=env)
    secret = stage.canaries["password"]
    stage.pull(code=2, env={**env, **{key: value.format(secret) for key, value in change.items()}})


# netrc


def _netrc(stage: Stage, name: str) -> None:
    line = f"login {stage.canaries.plain('other')} password {stage.canaries.plain('other')}"
    path = stage.plant(name, "".join(f"machine {host} {line}\n" for host in (
        "reg.test", "evil.test", "127.0.0.1")) + f"default {line}\n")  # fmt: skip
    stage.log_in("reg.test")
    fake = stage.registry()
    fake.redirect_blobs = "https://evil.test"
    bare: TokenRegistry = stage.registry("https://two.test", tokens=True, guarded=False)
    stage.net.others = lambda r: bare.answer(r)[0]
    stage.right(REG, "user", "password")
    stage.right("https://two.test", "token")
    env = {"NETRC": str(path)} if name == "netrc" else {}
    stage.pull(env=env)
    stage.pull("two.test/team/app", env=env)


SCENARIOS: Final = (
    Scenario("mirror of an option", having(_mirrored, _by_option)),
    Scenario("mirror of Docker Hub's other name", having(_mirrored, _by_alias)),
    Scenario("mirror of a variable", having(_mirrored, _by_variable)),
    Scenario("mirror of registries.conf", having(_mirrored, _by_conf)),
    Scenario("mirror that asks", _mirror_asks),
    Scenario("mirror and variables", _mirror_variables),
    Scenario("proxy with a password, TLS", having(_proxy, "https")),
    Scenario("proxy with a password, plain HTTP", having(_proxy, "http")),
    Scenario("proxy answers 407", having(_proxy_refuses, 407)),
    Scenario("proxy answers 403", having(_proxy_refuses, 403)),
    Scenario("proxy that nobody runs", having(_bad_proxy, "http://{}@127.0.0.1:1")),
    Scenario("proxy without a host", having(_bad_proxy, "http://{}@:80")),
    Scenario("proxy with a bad port", having(_bad_proxy, "http://{}@127.0.0.1:99999")),
    Scenario("proxy of an unknown scheme", having(_bad_proxy, "gopher://{}@127.0.0.1:1")),
    Scenario("proxy of SOCKS", having(_bad_proxy, "socks5://{}@127.0.0.1:1")),
    Scenario("proxy that is no URL", having(_bad_proxy, "http://{}@[::1")),
    Scenario("keys a/b and a/bc", _keys),
    Scenario("keys of several depths", _deep_keys),
    Scenario("keys of similar hosts", _similar_hosts),
    Scenario("hosts that look similar", _only_others),
    *(Scenario(f"Docker Hub as {key}", having(_hub, key)) for key in (
        "docker.io", "https://index.docker.io/v1/", "registry-1.docker.io")),
    Scenario("plain HTTP only when asked for", _plain),
    Scenario("the file that is named", _files_in_order),
    Scenario("variables", _variables),
    Scenario("variables, no registry", having(_bad_variables, {"LAYERSMITH_REGISTRY": ""})),
    Scenario("variables, registry with a secret",
             having(_bad_variables, {"LAYERSMITH_REGISTRY": "u:{}@reg.test"})),
    Scenario("variables, a URL", having(_bad_variables, {"LAYERSMITH_REGISTRY": "https://reg.test"})),
    Scenario("variables, no name", having(_bad_variables, {"LAYERSMITH_USERNAME": ""})),
    Scenario("variables, a name with a colon",
             having(_bad_variables, {"LAYERSMITH_USERNAME": "a:{}"})),
    Scenario("variables, a line break", having(_bad_variables, {"LAYERSMITH_PASSWORD": "{}\nX: y"})),
    Scenario("netrc in the home", having(_netrc, "home/.netrc")),
    Scenario("netrc of a variable", having(_netrc, "netrc")),
)  # fmt: skip
