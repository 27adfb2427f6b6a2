"""What cannot succeed is said at once: the whole command, start to end, as a user waits for it."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fixtures import registry
from fixtures.upload import Uploader
from tests.build.world import write_world
from tests.fakes.registry import FakeRegistry, Instead, Reply, error
from tests.reliability.certificates import Authority
from tests.reliability.internet import Internet
from tests.reliability.program import Done, Home, run
from tests.reliability.scoreboard import Figure, Row, Run

from layersmith.oci.digest import Digest

ROW: Final = Row("R8", "fast-no", "a clear error in 2 s, of a name that is not found in 10 s")

USER, PASSWORD = "canary-user", "canary-s3cret"
BCRYPT = "$2b$05$abcdefghijklmnopqrstuugkUvwbKFxld9r27/VoIxI9WNyqIxj06"
SOON, NAMES = 2.0, 10.0
NAMELESS = ("unshare", "--map-root-user", "--net", "--mount", sys.executable, "-m",
            "tests.reliability.nameless")  # fmt: skip
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Case:
    """A command, and how it must end: exit code, and words of its one line and its hint."""

    name: str
    arguments: tuple[str, ...]
    code: int
    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    most: float = SOON


@dataclass
class Lab:
    """The peers that refuse, and where they are."""

    home: Home
    stack: ExitStack
    layout: str = ""

    def registry(self, **settings: Any) -> registry.Registry:
        return self.stack.enter_context(registry.serve(**settings))

    def login(self, host: str, password: str) -> dict[str, str]:
        """Store credentials in a file of their own; return the variable that names it."""
        path = self.home.path / f"auth-{host.replace(':', '-')}-{password}.json"
        encoded = base64.b64encode(f"{USER}:{password}".encode()).decode()
        path.write_text(json.dumps({"auths": {host: {"auth": encoded}}}))
        return {"REGISTRY_AUTH_FILE": str(path)}


def absences(lab: Lab) -> Iterator[Case]:
    """What a real registry does not have."""
    host = lab.registry().host
    Uploader(f"http://{host}", "team/app").push(Path(lab.layout))
    absent = Digest.of(b"absent")
    yield Case("repository", ("digest", f"{host}/no/such:1"), 3, ("404", "no/such"))
    yield Case("tag", ("digest", f"{host}/team/app:nope"), 3, ("404", "nope", "tag"))
    yield Case("digest", ("inspect", f"{host}/team/app@{absent}"), 3, ("404", absent))
    yield Case("tags of no repository", ("tags", f"{host}/no/such"), 3, ("404",))
    out = f"oci:{lab.home.path}/out/x"
    yield Case("copy of nothing", ("copy", f"{host}/no/such:1", out), 3, ("404",))
    mirrors = (f"--mirror=docker.io={host}", f"--mirror=gcr.io={host}")
    yield Case("assemble of nothing", ("assemble", "3.13-debian13", *mirrors), 3, ("404",))
    yield Case("malformed digest", ("digest", f"{host}/team/app@sha256:12"), 2, ("sha256:12",))
    yield Case("platform", ("copy", f"{host}/team/app:t", out, "--platform=linux/riscv64"), 3,
               ("riscv64",))  # fmt: skip


def damage(lab: Lab) -> Iterator[Case]:
    """Content that is gone from a real registry's disk, or is not what its digest says."""
    running = lab.registry()
    host = running.host
    Uploader(f"http://{host}", "team/app").push(Path(lab.layout))
    out = f"oci:{lab.home.path}/out/y"
    blobs = sorted(running.storage.glob("**/blobs/sha256/*/*/data"), key=lambda p: p.stat().st_size)
    largest = blobs[-1]
    digest = f"sha256:{largest.parent.name}"
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    yield Case("other bytes", ("copy", f"{host}/team/app:t", out), 6, (digest[:40],))
    with FakeRegistry() as fake:
        raw = b'{"schemaVersion":2,"manifests":[]}'
        other = Digest.of(b"other")
        fake.manifests["team/app"] = {other: ("application/vnd.oci.image.index.v1+json", raw)}
        yield Case("other manifest", ("inspect", f"{fake.host}/team/app@{other}"), 6, (other,))
        fake.add_manifest("team/app", raw, "application/vnd.oci.image.index.v1+json", "1")
        for status, code, exit_code in ((403, "DENIED", 4), (401, "UNAUTHORIZED", 4),
                                        (404, "NAME_UNKNOWN", 3), (400, "UNSUPPORTED", 5),
                                        (405, "UNSUPPORTED", 5), (410, "GONE", 5),
                                        (501, "UNSUPPORTED", 5)):  # fmt: skip
            answer = error(status, code, "no")
            for method in ("GET", "HEAD"):
                fake.always(method, f"refuse{status}/", _giving(answer))
            yield Case(f"{status} by any method", ("inspect", f"{fake.host}/refuse{status}/app:1"),
                       exit_code, (str(status),))  # fmt: skip


def guarded(lab: Lab) -> Iterator[Case]:
    """A real registry that wants a password."""
    htpasswd = lab.home.path / "htpasswd"
    htpasswd.write_text(f"{USER}:{BCRYPT}\n")
    host = lab.registry(auth={"htpasswd": {"realm": "r", "path": str(htpasswd)}}).host
    login = ("layersmith login", host)
    wrong = lab.login(host, "wr0ng")
    known = lab.login(host, PASSWORD)
    out = f"oci:{lab.home.path}/out/z"
    push = ("copy", f"oci:{lab.layout}:t", f"{host}/team/app")
    yield Case("401, nobody", ("digest", f"{host}/team/app:1"), 4, login)
    yield Case("401, nobody pulls", ("copy", f"{host}/team/app:1", out), 4, login)
    yield Case("401, nobody pushes", push, 4, login)
    yield Case("401, wrong password", ("digest", f"{host}/team/app:1"), 4, ("auth-",), wrong)
    yield Case("401, wrong password pushes", push, 4, ("auth-",), wrong)
    yield Case("404, right password", ("digest", f"{host}/team/app:1"), 3, ("404",), known)
    with FakeRegistry(basic=(USER, PASSWORD), tokens=True) as fake:
        name = f"{fake.host}/team/app"
        bad = lab.login(fake.host, "wr0ng")
        yield Case("token refused", ("digest", f"{name}:1"), 4, ("auth-", "token"), bad)
        yield Case("no token for nobody", ("tags", name), 4, ("layersmith login",))


def certificates(lab: Lab) -> Iterator[Case]:
    """Real registries over TLS, behind a proxy that gives them names."""
    ours, other = (Authority(lab.home.path, name) for name in ("ours", "other"))
    served = {
        "good.test": ours.serve("good.test"),
        "wrong.test": ours.serve("else.test"),
        "old.test": ours.serve("old.test", days=-1),
    }
    net = lab.stack.enter_context(Internet())
    plain = lab.registry().host
    for name, certificate in served.items():
        tls = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
        net.forwards[f"{name}:443"] = lab.registry(http={"tls": tls}).host
    net.forwards["plain.test:443"] = plain
    trusting, env = f"--ca-file={ours.path}", net.proxied()

    def case(name: str, host: str, option: str, code: int, *words: str) -> Case:
        return Case(name, ("digest", f"{host}/team/app:1", option), code, words, env)

    yield case("good certificate", "good.test", trusting, 3, "404")
    no_trust = ("TLS fails", "--ca-file")
    yield case("unknown CA", "good.test", f"--ca-file={other.path}", 5, *no_trust)
    yield case("wrong host", "wrong.test", trusting, 5, *no_trust, "wrong.test")
    yield case("expired", "old.test", trusting, 5, *no_trust, "expired")
    yield case("no TLS there", "plain.test", trusting, 5, "TLS fails", "--plain-http")
    yield case("no CA file", "good.test", "--ca-file=/nowhere.pem", 2, "/nowhere.pem")
    yield case("nobody behind the proxy", "none.test", trusting, 5, "none.test", "HTTPS_PROXY")
    for place in ("http://:80", "http://127.0.0.1:99999", "gopher://127.0.0.1:1", "http://a..b:80"):
        env_of = dict.fromkeys(env, place)
        yield Case(f"proxy {place}", ("digest", "good.test/a/b:1"), 5, ("HTTPS_PROXY",), env_of)
    down = dict.fromkeys(env, f"http://127.0.0.1:{closed_port()}")
    yield Case("no proxy", ("digest", "good.test/a/b:1"), 5, ("HTTPS_PROXY",), down)


def distances(lab: Lab) -> Iterator[Case]:
    """Where nobody listens, no road leads, or no name is known."""
    port = closed_port()
    yield Case(
        "refused", ("digest", f"127.0.0.1:{port}/team/app:1"), 5, ("refused", "check the host")
    )
    push = ("copy", f"oci:{lab.layout}:t", f"127.0.0.1:{port}/team/app")
    yield Case("refused, pushing", push, 5, ("refused", "check the host"))
    alone = ("unshare", "--map-root-user", "--net")
    if not works(*alone, "true"):
        return
    yield Case("no route", ("digest", "192.0.2.1/team/app:1"), 5, ("192.0.2.1", "check the host"),
               prefix=alone)  # fmt: skip
    if not works(*NAMELESS, "none", "true"):
        return
    for mode in ("none", "nxdomain", "servfail", "silent"):
        yield Case(f"name server: {mode}", ("digest", "registry.example/team/app:1"), 5,
                   ("registry.example", "name servers"), {"PYTHONPATH": str(REPOSITORY)},
                   (*NAMELESS, mode), NAMES if mode == "silent" else SOON)  # fmt: skip


SCENES: Final[tuple[Callable[[Lab], Iterator[Case]], ...]] = (
    absences, damage, guarded, certificates, distances,
)  # fmt: skip


def _giving(answer: Reply) -> Instead:
    return Instead(lambda _: answer)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def works(*command: str) -> bool:
    return (
        shutil.which(command[0]) is not None
        and subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True).returncode
        == 0
    )


def judged(case: Case, done: Done) -> str:
    """Return how the run misses what was promised, or nothing."""
    said = f"{done.complaint}\n  hint: {done.hint}" if done.hint else done.complaint
    if not done.complaint:
        return f"{case.name}: not one clear line: {done.err[:300]!r}"
    if done.code != case.code:
        return f"{case.name}: exit code {done.code}, not {case.code}: {done.complaint}"
    if missing := [word for word in case.words if word not in said]:
        return f"{case.name}: does not say {missing}: {said!r}"
    if done.own > case.most:
        return f"{case.name}: {done.own:.1f} s, at most {case.most:.0f}: {done.complaint}"
    return ""


@contextmanager
def laboratory(scratch: Path) -> Iterator[Lab]:
    write_world(scratch / "world")
    with ExitStack() as stack:
        yield Lab(Home(scratch / "user"), stack, str(scratch / "world" / "builder"))


def measure(run_: Run) -> Figure:
    times: dict[str, float] = {}
    misses: list[str] = []
    with laboratory(run_.scratch) as lab:
        for scene in SCENES:
            for case in scene(lab):
                # others share this machine: a run that took too long may try again
                for _ in range(3):
                    done = run(lab.home, *case.arguments, env=case.env, prefix=case.prefix)
                    run_.say(f"{case.name} {done.seconds:.2f} {done.own:.2f} {done.code}")
                    miss = judged(case, done)
                    slower = times.get(case.name, done.own)
                    times[case.name] = min(slower, done.own)
                    if done.own <= case.most:
                        break
                misses += [miss] if miss else []
    names = {name: seconds for name, seconds in times.items() if name.startswith("name server")}
    usual = {name: seconds for name, seconds in times.items() if name not in names}
    slowest = max(usual, key=lambda name: usual[name])
    text = f"{len(times)} refusals, {len(times) - len(misses)} clear and in time"
    text += f"; slowest {usual[slowest]:.1f} s ({slowest})"
    with suppress(ValueError):
        text += f"; names at most {max(names.values()):.1f} s"
    return Figure(
        text if names else f"{text}; names not measured (no namespaces here)", tuple(misses)
    )
