"""Secrets that are easy to find again, and a stage on which a scenario plays with them.

A canary's core is hexadecimal, so quoting it for a URL, JSON or a shell leaves it as it is; in
base64 it is looked for at all three alignments. A part of it is as bad as the whole.
"""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tests.fakes.registry import FakeRegistry, Reply
from tests.reliability.internet import Internet, Seen
from tests.reliability.program import Done, Forked, Home

if TYPE_CHECKING:
    from tests.reliability.certificates import Authority, Served

__all__ = ["KINDS", "Canaries", "Scenario", "Shared", "Stage", "TokenRegistry", "fill", "having"]

KINDS: Final = ("user", "password", "token", "identity", "registry", "other", "proxy")
_PART: Final = 10


class Canaries:
    """One secret of each kind; :meth:`found` tells which of them some bytes give away."""

    def __init__(self) -> None:
        self._cores = {kind: secrets.token_hex(12) for kind in KINDS}
        self._forms = {kind: tuple(_forms(core)) for kind, core in self._cores.items()}

    def __getitem__(self, kind: str) -> str:
        core = self._cores[kind]
        # what a URL, JSON and a shell would write otherwise, around the core
        return f"c-{core}" if kind in ("user", "token") else f"c/+%{core}&='"

    def plain(self, kind: str) -> str:
        """Return the secret without odd characters, for where they cannot be written."""
        return f"c-{self._cores[kind]}"

    def found(self, data: bytes) -> set[str]:
        """Return the kinds that `data` gives away, in any form."""
        return {kind for kind, forms in self._forms.items() if any(form in data for form in forms)}


def _forms(core: str) -> list[bytes]:
    raw = core.encode()
    parts = [raw[at : at + _PART] for at in range(len(raw) - _PART + 1)]
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)[4:-4]
        parts += [encoded[at : at + 16] for at in range(len(encoded) - 15)]
    return [*parts, raw.hex().encode()]


class TokenRegistry(FakeRegistry):
    """Grants tokens that are canaries."""

    mark = "token"

    def _granted(self, scopes: list[str], *, everything: bool) -> Reply:
        reply = super()._granted(scopes, everything=everything)
        value = json.loads(reply.body)
        plain = value["token"]
        value["token"] = f"{self.mark}.{plain}"
        self.granted[value["token"]] = self.granted.pop(plain)
        return Reply(200, reply.headers, json.dumps(value).encode())


def fill(fake: FakeRegistry, layout: Path, *repositories: str) -> None:
    """Put a layout's image into repositories, tagged ``1``."""
    for repository in repositories:
        for blob in (layout / "blobs" / "sha256").iterdir():
            fake.add_blob(repository, blob.read_bytes())
        top = json.loads((layout / "index.json").read_text())["manifests"][0]
        _document(fake, layout, repository, top, "1")


def _document(
    fake: FakeRegistry, layout: Path, repository: str, described: dict[str, Any], *tags: str
) -> None:
    raw = (layout / "blobs" / "sha256" / described["digest"].partition(":")[2]).read_bytes()
    fake.add_manifest(repository, raw, described["mediaType"], *tags)
    for child in json.loads(raw).get("manifests", ()):
        _document(fake, layout, repository, child)


@dataclass(frozen=True)
class Shared:
    """What all stages use."""

    forked: Forked
    authority: Authority
    certificate: Served
    hello: Path  # a layout with a small image, tagged t
    world: tuple[str, str]  # base and builder, as places


@dataclass
class Stage:
    """One user, one internet, their canaries, and what is known to be right."""

    shared: Shared
    path: Path
    canaries: Canaries = field(default_factory=Canaries)
    rightful: dict[str, set[str]] = field(default_factory=dict)
    may_keep: dict[Path, set[str]] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)
    sightings: int = 0
    shown: set[str] = field(default_factory=set)  # kinds that may be printed

    def __post_init__(self) -> None:
        self.home = Home(self.path)
        self.stack = ExitStack()
        self.net = self.stack.enter_context(Internet(self.shared.certificate))
        self.net.others = lambda _: Reply(404, {}, b"evil")
        self.home.more.update(self.net.proxied())
        self._planted: dict[Path, bytes] = {}
        self._said = b""
        self._direct: list[FakeRegistry] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    # what a scenario sets up

    def right(self, origin: str, *kinds: str) -> None:
        """Say that these kinds must reach the origin, and may."""
        self.rightful.setdefault(origin, set()).update(kinds)

    def plant(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file of the user's own; it may hold secrets."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self._planted[path] = path.read_bytes()
        return path

    def credentials(self, **entries: Mapping[str, str]) -> None:
        """Write Docker's config with these ``auths``; :meth:`entry` makes their values."""
        self.config({"auths": entries})

    def config(self, value: Mapping[str, Any]) -> None:
        self.plant("home/.docker/config.json", json.dumps(value))

    def entry(self, user: str = "user", password: str = "password") -> dict[str, str]:
        """Return a config's entry for a user and a password."""
        pair = f"{self.canaries[user]}:{self.canaries[password]}".encode()
        return {"auth": base64.b64encode(pair).decode()}

    def log_in(self, *hosts: str) -> None:
        self.config({"auths": {host: self.entry() for host in hosts}})

    def registry(
        self,
        origin: str = "https://reg.test",
        *repositories: str,
        tokens: bool = False,
        password: str = "password",
        realm: str = "",
        guarded: bool = True,
    ) -> TokenRegistry:
        """Let a registry with a small image live at `origin`."""
        pair = (self.canaries["user"], self.canaries[password])
        fake = TokenRegistry(
            basic=pair if guarded else None, tokens=tokens, realm=realm or f"{origin}/token"
        )
        fake.mark = self.canaries["token"]
        self.stack.enter_context(fake)
        fill(fake, self.shared.hello, *(repositories or ("team/app",)))
        if origin == "direct":
            self._direct.append(fake)
        else:
            self.net.hosts[origin] = fake.answer
        return fake

    # what it does

    def run(
        self, *arguments: str, code: int | None = 0, env: Mapping[str, str] | None = None,
        trust: bool = True, **more: Any,
    ) -> Done:  # fmt: skip
        """Run the program; any other end than `code` is a miss."""
        asks = arguments[0] in ("digest", "copy", "tags", "inspect", "assemble", "plan", "login")
        ours = (f"--ca-file={self.shared.authority.path}",) if trust and asks else ()
        done = self.shared.forked.run(self.home, *arguments, *ours, env=env, **more)
        self._said += done.out.encode() + done.err.encode()
        wrong = code is not None and done.code != code
        if wrong or (done.code and not done.complaint and not more.get("logged")):
            said = (done.err or done.out)[-300:]
            self.misses.append(f"{arguments[0]}: status {done.code}, not {code}: {said!r}")
        return done

    def pull(self, name: str = "reg.test/team/app", code: int | None = 0, **more: Any) -> Done:
        """Copy an image out of a registry."""
        out = f"oci:{self.path}/out/{secrets.token_hex(4)}"
        return self.run("copy", f"{name}:1", out, "--quiet", code=code, **more)

    def push(self, name: str = "reg.test/team/new", code: int | None = 0, **more: Any) -> Done:
        return self.run(
            "copy", f"oci:{self.shared.hello}:t", f"{name}:1", "--quiet", code=code, **more
        )

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.misses.append(what)

    # what came of it

    def verdict(self) -> list[str]:
        """Return every leak, and every place that a secret should have reached and has not."""
        seen = list(self.net.seen)
        for fake in self._direct:
            seen += [Seen(fake.url, request) for request in fake.log]
        reached: set[tuple[str, str]] = set()
        for one in seen:
            if kinds := self.canaries.found(one.request.target.encode()):
                self._leak(kinds, f"in a URL to {one.origin}")
            kinds = self.canaries.found(one.text)
            self._leak(kinds - self.rightful.get(one.origin, set()), f"at {one.origin}")
            reached |= {(one.origin, kind) for kind in kinds}
        for origin, kinds in self.rightful.items():
            self.misses += [
                f"{kind} has not reached {origin}"
                for kind in kinds
                if (origin, kind) not in reached
            ]
        self.sightings = len(reached)
        self._leak(self.canaries.found(self._said) - self.shown, "in what was printed")
        self._files()
        return self.misses

    def _files(self) -> None:
        held: dict[Path, set[str]] = {}
        for path in filter(Path.is_file, self.path.rglob("*")):
            data = path.read_bytes()
            if self._planted.get(path) == data:
                continue
            with suppress(OSError, EOFError, zlib.error):
                data += gzip.decompress(data)
            held[path] = self.canaries.found(data + str(path).encode())
            self._leak(
                held[path] - self.may_keep.get(path, set()), f"in {path.relative_to(self.path)}"
            )
        for path, kinds in self.may_keep.items():
            self.expect(kinds <= held.get(path, set()), f"{path.name} does not keep {kinds}")

    def _leak(self, kinds: set[str], where: str) -> None:
        self.misses += [f"the {kind} is {where}" for kind in sorted(kinds)]


@dataclass(frozen=True)
class Scenario:
    """A name, and what happens."""

    name: str
    play: Callable[[Stage], None]


def having(play: Callable[..., None], *given: object, **named: object) -> Callable[[Stage], None]:
    """Return what happens with these arguments."""
    return lambda stage: play(stage, *given, **named)
