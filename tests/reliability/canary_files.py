"""Scenarios of files and programs: helpers, logging in and out, what is written, what runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.reliability.canary import Scenario, Stage, having

__all__ = ["SCENARIOS"]

REG: Final = "https://reg.test"

# A helper that notes what it is told and by which words; {answer} is Python.
HELPER: Final = """#!/usr/bin/env python3
import glob, json, os, sys, time
given = sys.stdin.read()
with open({record!r}, "a") as file:
    file.write(json.dumps([sys.argv, given]) + "\\n")
lines = []
for name in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        lines.append(open(name, "rb").read())
    except OSError:
        pass
open({record!r} + ".argv", "ab").write(b"\\n".join(lines))
user, secret = {user!r}, {secret!r}
{answer}
"""
GOOD: Final = "print(json.dumps({'ServerURL': given, 'Username': user, 'Secret': secret}))"


def helper(stage: Stage, answer: str, name: str = "kept", user: str = "", secret: str = "") -> None:
    """Put a helper on the PATH."""
    record = str(stage.path / f"record-{name}")
    text = HELPER.format(
        record=record, answer=answer, user=user or stage.canaries["user"],
        secret=secret or stage.canaries["password"],
    )  # fmt: skip
    stage.plant(f"bin/docker-credential-{name}", text, 0o755)


def argv_is_clean(stage: Stage, name: str = "kept") -> None:
    """No process's arguments gave a secret away while the helper ran."""
    seen = (stage.path / f"record-{name}.argv").read_bytes()
    stage.expect(b"layersmith" in seen or b"forkserver" in seen, "no process was looked at")
    leaked = stage.canaries.found(seen)
    stage.expect(not leaked, f"the {', '.join(leaked)} is among a process's arguments")


def _helped(stage: Stage, key: str) -> None:
    helper(stage, GOOD)
    value = (
        {"credHelpers": {"reg.test": "kept"}} if key == "credHelpers" else {"credsStore": "kept"}
    )
    stage.config(value)
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull()
    argv_is_clean(stage)


def _helper_token(stage: Stage) -> None:
    helper(stage, GOOD, user="<token>", secret=stage.canaries["identity"])
    stage.config({"credsStore": "kept"})
    fake = stage.registry(tokens=True)
    fake.refresh = stage.canaries["identity"]
    stage.right(REG, "identity", "token")
    stage.pull()


def _helper_of_another(stage: Stage) -> None:
    """A helper for one host is not asked about another."""
    helper(stage, GOOD)
    stage.config({"credHelpers": {"reg.test": "kept"}})
    stage.registry()
    stage.registry("https://two.test")
    stage.right(REG, "user", "password")
    stage.pull()
    stage.pull("two.test/team/app", code=4)
    asked = (stage.path / "record-kept").read_text()
    stage.expect("two.test" not in asked, "the helper was asked about another host")


def _helper_fails(stage: Stage, answer: str, *, code: int = 5) -> None:
    """A helper that fails is an error: nothing else is tried, and nothing it said is shown."""
    helper(stage, GOOD, "good")
    helper(stage, answer)
    stage.registry()
    stage.config({"credHelpers": {"reg.test": "good"}})
    stage.right(REG, "user", "password")
    stage.pull()
    before = len(stage.net.seen)
    stage.config({
        "credHelpers": {"reg.test": "kept"}, "credsStore": "good",
        "auths": {"reg.test": stage.entry("other", "other"), "x.test": stage.entry("other", "other")},
    })  # fmt: skip
    stage.pull(code=code)
    later = [one.text for one in stage.net.seen[before:]]
    stage.expect(not stage.canaries.found(b"".join(later)), "something was sent all the same")


def _helper_named(stage: Stage, name: str) -> None:
    """A name that is no helper's is not made a program of."""
    stage.plant("bin/evil", "#!/bin/sh\ntouch ran\n", 0o755)
    stage.plant("bin/docker-credential-x", "#!/bin/sh\ntouch ran\n", 0o755)
    stage.registry()
    stage.log_in("reg.test")
    stage.right(REG, "user", "password")
    stage.pull()
    stage.config({"credsStore": name, "auths": {"two.test": stage.entry("other", "other")}})
    stage.pull(code=None)
    stage.expect(not list(stage.path.rglob("ran")), "the program was run")


# logging in and out


def _login(stage: Stage) -> None:
    stage.shown |= {"user"}
    stage.registry()
    stage.right(REG, "user", "password")
    path = stage.path / "home" / ".docker" / "config.json"
    stage.may_keep[path] = {"user", "password"}
    stage.run("login", "reg.test", "-u", stage.canaries["user"], "--password-stdin",
              stdin=stage.canaries["password"] + "\n")  # fmt: skip
    stage.expect(path.stat().st_mode & 0o777 == 0o600, "others may read the file")
    stage.expect(path.parent.stat().st_mode & 0o777 == 0o700, "others may look into the directory")
    stage.expect(
        [p.name for p in path.parent.iterdir()] == ["config.json"], "something is left beside"
    )
    stage.pull()


def _login_over_open_file(stage: Stage) -> None:
    """A file that others could read is one that they cannot read afterwards."""
    stage.shown |= {"user"}
    stage.plant("home/.docker/config.json", json.dumps({"auths": {}, "more": [1]}), 0o644)
    stage.registry()
    stage.right(REG, "user", "password")
    path = stage.path / "home" / ".docker" / "config.json"
    stage.may_keep[path] = {"user", "password"}
    stage.run("login", "reg.test", "-u", stage.canaries["user"], "--password-stdin",
              stdin=stage.canaries["password"])  # fmt: skip
    stage.expect(path.stat().st_mode & 0o777 == 0o600, "others may read the file")
    stage.expect(json.loads(path.read_text())["more"] == [1], "the rest of the file is gone")


def _login_refused(stage: Stage) -> None:
    stage.registry(password="other")
    stage.right(REG, "user", "password")
    stage.run("login", "reg.test", "-u", stage.canaries["user"], "--password-stdin",
              stdin=stage.canaries["password"], code=4)  # fmt: skip


def _login_helper(stage: Stage) -> None:
    stage.shown |= {"user"}
    helper(stage, "pass")
    stage.config({"credsStore": "kept"})
    stage.registry()
    stage.right(REG, "user", "password")
    stage.may_keep[stage.path / "record-kept"] = {"user", "password"}
    stage.run("login", "reg.test", "-u", stage.canaries["user"], "--password-stdin",
              stdin=stage.canaries["password"])  # fmt: skip
    argv_is_clean(stage)


def _login_sent_away(stage: Stage) -> None:
    """A registry whose /v2/ leads to another host, or asks for one, does not pass secrets on."""
    from tests.fakes.registry import Reply

    stage.net.hosts["https://two.test"] = lambda _: Reply(
        307, {"Location": "https://evil.test/v2/"}
    )
    stage.net.others = lambda _: Reply(401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")
    stage.registry()
    stage.right(REG, "user", "password")
    user = ("-u", stage.canaries["user"], "--password-stdin")
    stage.shown |= {"user"}
    stage.may_keep[stage.path / "home/.docker/config.json"] = {"user", "password"}
    stage.run("login", "reg.test", *user, stdin=stage.canaries["password"])
    stage.run("login", "two.test", *user, stdin=stage.canaries["password"], code=4)


def _login_wrongly(stage: Stage, *words: str) -> None:
    """A password where none belongs is not repeated."""
    stage.log_in("reg.test")
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull()
    secret = stage.canaries.plain("other")
    stage.run(
        "login", *(word.format(secret) for word in words), stdin=f"{secret}\n{secret}\n", code=2
    )


def _logout(stage: Stage) -> None:
    entries = {"reg.test": stage.entry(), "https://reg.test/v1/": stage.entry()}
    stage.config({"auths": entries, "more": 1})
    stage.registry()
    stage.right(REG, "user", "password")
    stage.pull()
    stage.run("logout", "reg.test")
    left = (stage.path / "home/.docker/config.json").read_bytes()
    stage.expect(not stage.canaries.found(left), "the file still has them")


# what is written


def _written(stage: Stage, how: str) -> None:
    """Archives, layouts, documents and the cache have nothing of who fetched them."""
    stage.log_in("reg.test", "two.test")
    stage.registry(tokens=True)
    stage.right(REG, "user", "password", "token")
    out, name = stage.path / "out", "reg.test/team/app:1"
    if how == "archives":
        stage.run("copy", name, f"oci-archive:{out}/a.tar", "--referrers")
        stage.run("copy", name, f"docker-archive:{out}/b.tar", "--platform=linux/amd64", "--json")
    else:
        stage.run("inspect", name, "--json")
        stage.run("inspect", name, "--raw")
        stage.run("tags", "reg.test/team/app", code=None)
        stage.run("digest", name)


def _assembled(stage: Stage) -> None:
    """Inputs and output behind passwords: layout, cache, summary and plan have nothing of them."""
    stage.log_in("reg.test")
    fake = stage.registry(tokens=True)
    for place, repository in zip(stage.shared.world, ("base", "builder"), strict=True):
        from tests.reliability.canary import fill

        fill(fake, Path(place.removeprefix("oci:").rpartition(":")[0]), f"team/{repository}")
    stage.right(REG, "user", "password", "token")
    ours = ("3.13-debian13", "--platform=linux/amd64", "--base=reg.test/team/base:1",
            "--builder=reg.test/team/builder:1")  # fmt: skip
    stage.run("plan", *ours, "--json", code=None)
    stage.run(
        "assemble",
        *ours,
        "--json",
        f"--output=oci:{stage.path}/out/made",
        "--push=reg.test/team/made",
    )
    cached = list((stage.path / "cache").rglob("*"))
    stage.expect(len(cached) > 3, "nothing is in the cache")


FAILURES: Final = {
    "exits 1": "print(secret); print(secret, file=sys.stderr); sys.exit(1)",
    "prints no JSON": "print(secret)",
    "prints half JSON": "print(json.dumps({'Username': user, 'Secret': secret})[:-4])",
    "prints a list": "print(json.dumps([user, secret]))",
    "prints a number as secret": "print(json.dumps({'Username': secret, 'Secret': 7}))",
    "says a key twice": 'print(\'{"Username": "a", "Username": "b", "Secret": "%s"}\' % secret[-6:])',
    "is killed": "os.kill(os.getpid(), 9)",
}
SCENARIOS: Final = (
    Scenario("helper of one host", having(_helped, "credHelpers")),
    Scenario("helper of all hosts", having(_helped, "credsStore")),
    Scenario("helper with an identity token", _helper_token),
    Scenario("helper of another host", _helper_of_another),
    *(Scenario(f"helper {how}", having(_helper_fails, answer)) for how, answer in FAILURES.items()),
    Scenario("helper with a line break", having(
        _helper_fails,
        "print(json.dumps({'Username': user, 'Secret': secret + chr(10) + 'X: y'}))", code=2)),
    Scenario("helper with a colon", having(
        _helper_fails, "print(json.dumps({'Username': 'a:' + secret, 'Secret': secret}))", code=2)),
    Scenario("helper that hangs", having(_helper_fails, "time.sleep(45)")),
    *(Scenario(f"helper named {name!r}", having(_helper_named, name)) for name in (
        "../evil", "x; touch ran", "x\n", "/bin/sh", "absent")),
    Scenario("login", _login),
    Scenario("login over an open file", _login_over_open_file),
    Scenario("login refused", _login_refused),
    Scenario("login by a helper", _login_helper),
    Scenario("login sent away", _login_sent_away),
    Scenario("login to u:p@host", having(_login_wrongly, "u:{}@reg.test", "-u", "x", "--password-stdin")),
    Scenario("login to a URL", having(
        _login_wrongly, "https://u:{}@reg.test", "-u", "x", "--password-stdin")),
    Scenario("login with a password as argument", having(_login_wrongly, "reg.test", "{}")),
    Scenario("login with an option for it", having(_login_wrongly, "reg.test", "--password={}")),
    Scenario("login with two lines", having(
        _login_wrongly, "reg.test", "-u", "x", "--password-stdin")),
    Scenario("logout", _logout),
    Scenario("archives", having(_written, "archives")),
    Scenario("documents", having(_written, "documents")),
    Scenario("assemble, plan, cache and push", _assembled),
)  # fmt: skip
