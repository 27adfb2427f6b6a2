"""Scenarios of what is said: references and options with secrets in them, echoes, logs, bugs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from tests.fakes.registry import Instead, error
from tests.reliability.canary import Scenario, Stage, having
from tests.reliability.canary_places import variables

__all__ = ["SCENARIOS"]

REG: Final = "https://reg.test"
INPUTS: Final = ("3.13-debian13", "--base=reg.test/b:1", "--builder=reg.test/c:1")


def _proof(stage: Stage) -> None:
    """The stored secrets work, and only they are sent."""
    stage.log_in("reg.test")
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull()


def _typed(stage: Stage, *words: str, code: int | None = 2) -> None:
    """A secret that was typed where none belongs: refused, and not repeated."""
    _proof(stage)
    secret = stage.canaries.plain("other")
    stage.run(*(word.replace("{}", secret) for word in words), code=code)


def _variable(stage: Stage, name: str, value: str, *, code: int | None = 2) -> None:
    _proof(stage)
    stage.pull(code=code, env={name: value.replace("{}", stage.canaries.plain("other"))})


def _recipe(stage: Stage, text: str) -> None:
    """A recipe is the user's file; what is wrong in it is said without its secrets."""
    _proof(stage)
    path = stage.plant("layersmith.toml", text.replace("{}", stage.canaries.plain("other")))
    stage.run("assemble", "--file", str(path), code=2)


def _conf(stage: Stage, text: str) -> None:
    _proof(stage)
    stage.plant("home/registries.conf", text.replace("{}", stage.canaries.plain("other")))
    stage.pull(code=2)


def _broken_config(stage: Stage, text: str) -> None:
    """Docker's file cannot be read: the user's to mend (2), and not quoted."""
    _proof(stage)
    path = stage.plant(
        "home/.docker/config.json", text.replace("{}", stage.canaries.plain("other"))
    )
    done = stage.pull(code=2)
    stage.expect(str(path) in done.err, "the error does not name the file")


ECHOES: Final[dict[str, Callable[[str, str], str]]] = {
    "as it is": lambda user, password: f"no {user}:{password}",
    "in base64": lambda u, p: "no " + base64.b64encode(f"{u}:{p}".encode()).decode(),
    "of the password alone": lambda _, p: "no " + base64.b64encode(p.encode()).decode(),
    "quoted for a URL": lambda u, p: f"https://x.test/?u={quote(u, '')}&p={quote(p, '')} {quote(p, '')}",
    "quoted for JSON": lambda u, p: json.dumps(json.dumps([u, p])),
    "in a URL": lambda u, p: f"see https://{u}:{p}@reg.test/{p}",
    "in the code": lambda u, p: f"{u} {p}",
}  # fmt: skip


def _echoed(stage: Stage, how: str) -> None:
    """A registry that gives our secrets back does not bring them to the screen."""
    stage.log_in("reg.test")
    fake = stage.registry(REG, "team/app", "bad/app")
    said = ECHOES[how](stage.canaries["user"], stage.canaries["password"])
    answer = error(403, said if how == "in the code" else "DENIED", said)
    for method in ("GET", "HEAD"):
        fake.always(method, "/bad/", Instead(
            lambda r: answer if r.authorization else fake._refusal(r, set()) or answer))  # fmt: skip
    stage.right(REG, "user", "password")
    stage.shown |= {"user"}
    stage.pull("reg.test/bad/app", code=4)


def _token_echoed(stage: Stage) -> None:
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True)
    fake.always("GET", "blobs", Instead(lambda r: error(403, "DENIED", f"no {r.authorization}")))
    stage.right(REG, "user", "password", "token")
    stage.pull(code=4)


def _token_server_echoes(stage: Stage) -> None:
    stage.log_in("reg.test")
    stage.registry(tokens=True, realm="https://auth.test/token")
    stage.net.hosts["https://auth.test"] = lambda r: error(401, "DENIED", f"no {r.authorization}")
    stage.right("https://auth.test", "user", "password")
    stage.pull(code=4)


def _logged(stage: Stage) -> None:
    """Part of a program that logs everything."""
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True)
    fake.redirect_blobs = "https://cdn.test"
    stage.net.hosts["https://cdn.test"] = fake.answer
    stage.right(REG, "user", "password", "token")
    stage.pull(logged=True)
    stage.push(logged=True)


def _bug(stage: Stage, debug: str) -> None:
    """A bug of ours: what it says, and its traceback when that is wanted, has no secrets."""
    stage.log_in("reg.test")
    stage.registry(tokens=True)
    stage.right(REG, "user", "password", "token")
    stage.pull()
    env = {"LAYERSMITH_DEBUG": debug, "PLANTED_BUG": "layersmith.stores.transport:Transport._send"}
    done = stage.pull(code=None, env=env, logged=bool(debug))
    stage.expect(done.code == (1 if debug else 70), f"status {done.code}: {done.err[-200:]}")
    stage.expect(("Traceback" in done.err) == bool(debug), "a traceback, or none")


def _verbose(stage: Stage) -> None:
    """Variables that make others talk: Python's, OpenSSL's key log is not ours to stop."""
    stage.log_in("reg.test")
    stage.registry(tokens=True)
    stage.right(REG, "user", "password", "token")
    env = {"PYTHONVERBOSE": "1", "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "always", "DEBUG": "1",
           "REQUESTS_DEBUG": "1", "LAYERSMITH_DEBUG": "1"}  # fmt: skip
    stage.pull(env=env)


def _progress(stage: Stage) -> None:
    stage.log_in("reg.test")
    stage.registry(tokens=True)
    stage.right(REG, "user", "password", "token")
    stage.run(
        "copy", "reg.test/team/app:1", f"oci:{stage.path}/out/p", env=variables(stage, "reg.test")
    )


OUT: Final = "oci:out"
TYPED: Final = {
    "copy from u:p@host": ("copy", "u:{}@reg.test/team/app:1", OUT),
    "copy from a URL": ("copy", "https://u:{}@reg.test/team/app:1", OUT),
    "copy from docker://": ("copy", "docker://u:{}@reg.test/team/app:1", OUT),
    "copy to u:p@host": ("copy", "reg.test/team/app:1", "u:{}@reg.test/team/app"),
    "inspect u:p@host": ("inspect", "u:{}@reg.test/team/app:1"),
    "digest u:p@host": ("digest", "u:{}@reg.test/team/app:1"),
    "tags of u:p@host": ("tags", "u:{}@reg.test/team/app"),
    "base u:p@host": ("assemble", "3.13-debian13", "--base=u:{}@reg.test/b:1"),
    "builder of a URL": ("assemble", "3.13-debian13", "--builder=https://u:{}@reg.test/b"),
    "push to u:p@host": ("assemble", "3.13-debian13", "--push=u:{}@reg.test/b"),
    "mirror u:p@host": ("digest", "docker.io/a/b:1", "--mirror=docker.io=u:{}@reg.test"),
    "mirror of a URL": ("digest", "docker.io/a/b:1", "--mirror=docker.io=https://u:{}@reg.test"),
    "mirror for u:p@host": ("digest", "reg.test/a/b:1", "--mirror=u:{}@reg.test=two.test"),
    "mirror that is unused": ("digest", "reg.test/team/app:1", "--mirror=quay.io=u:{}@two.test"),
    "mirror without =": ("digest", "reg.test/a/b:1", "--mirror=u:{}@reg.test"),
    "mirror of several": ("digest", "quay.io/a/b:1", "--mirror=quay.io=two.test,u:{}@reg.test"),
    "plain HTTP for u:p@host": ("digest", "reg.test/a/b:1", "--plain-http=u:{}@reg.test"),
    "unverified u:p@host": ("digest", "reg.test/a/b:1", "--insecure-skip-tls-verify=u:{}@reg.test"),
    "target with a secret": ("assemble", "u:{}@3.13-debian13"),
    "an argument too many": ("digest", "reg.test/a/b:1", "u:{}@reg.test/c"),
    "logout of u:p@host": ("logout", "https://u:{}@reg.test"),
}  # fmt: skip
RECIPES: Final = {
    "base": 'target = "3.13-debian13"\nbase = "u:{}@reg.test/b:1"\n',
    "push": 'target = "3.13-debian13"\npush = ["u:{}@reg.test/b"]\n',
    "mirrors": 'target = "3.13-debian13"\n[mirrors]\n"docker.io" = "https://u:{}@reg.test"\n',
    "an unknown key": 'target = "3.13-debian13"\npasswd = "{}"\n',
    "an unknown table": 'target = "3.13-debian13"\n[auth]\npassword = "{}"\n',
    "no TOML": 'target = "3.13-debian13"\npassword = "{}\n',
    "a wrong type": 'target = "3.13-debian13"\nplatforms = "u:{}@x"\n',
}  # fmt: skip
CONFS: Final = {
    "location": '[[registry]]\nprefix = "reg.test"\nlocation = "u:{}@two.test"\n',
    "mirror": '[[registry]]\nlocation = "reg.test"\n[[registry.mirror]]\nlocation = "https://u:{}@two.test"\n',
    "no TOML": '[[registry]]\nlocation = "u:{}@two.test\n',
}  # fmt: skip
CONFIGS: Final = {
    "half a file": '{"auths": {"reg.test": {"auth": "{}',
    "a key twice": '{"auths": {}, "auths": {"reg.test": {"auth": "{}"}}}',
    "a list": '["{}"]',
    "no base64": '{"auths": {"reg.test": {"auth": "!{}"}}}',
    "no colon": '{"auths": {"reg.test": {"auth": "{}"}}}',
    "a line break": '{"auths": {"reg.test": {"username": "u", "password": "{}\\n"}}}',
}  # fmt: skip
SCENARIOS: Final = (
    *(Scenario(f"typed: {name}", having(_typed, *words)) for name, words in TYPED.items()),
    Scenario("variable: mirror u:p@host", having(
        _variable, "LAYERSMITH_MIRRORS", "reg.test=https://u:{}@two.test")),
    Scenario("variable: mirror without =", having(
        _variable, "LAYERSMITH_MIRRORS", "https://u:{}@two.test")),
    *(Scenario(f"recipe: {name}", having(_recipe, text)) for name, text in RECIPES.items()),
    *(Scenario(f"registries.conf: {name}", having(_conf, text)) for name, text in CONFS.items()),
    *(Scenario(f"config.json: {name}", having(_broken_config, text)) for name, text in CONFIGS.items()),
    *(Scenario(f"echo {how}", having(_echoed, how)) for how in ECHOES),
    Scenario("echo of a token", _token_echoed),
    Scenario("echo of a token server", _token_server_echoes),
    Scenario("everything logged", _logged),
    Scenario("a bug, with a traceback", having(_bug, "1")),
    Scenario("a bug, in one line", having(_bug, "")),
    Scenario("everything verbose", _verbose),
    Scenario("progress", _progress),
)  # fmt: skip
