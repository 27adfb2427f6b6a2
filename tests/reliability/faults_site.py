"""One registry, one machine, and the program: where a fault befalls one run.

The program is the real one, from its entry on, over real sockets. Replaced are the
names of hosts (they lead here), the clock that waits between tries, and where a cell is
about a peer that stalls, the limits: a hundredth of the product's, times as well as rates.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import ssl
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from unittest.mock import patch

import typer.main
from tests.build.certificates import self_signed
from tests.build.image import Made, for_platform, put_index
from tests.build.tar import archive, file
from tests.build.world import ARM, X86, put_base, put_builder
from tests.fakes.clock import ThreadClock
from tests.fakes.names import Names
from tests.fakes.registry import FakeRegistry, Instead
from tests.fakes.shelves import Shelves
from tests.reliability.entered import entered

from layersmith.cli import app
from layersmith.oci.content import is_manifest
from layersmith.stores.registry import Registries
from layersmith.stores.registry_options import Limits, RegistryOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from layersmith.oci.content import Opener, Progress
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.retries import Clock

__all__ = ["CANARIES", "HOST", "OTHER", "TAG", "Ended", "Scene", "Site", "Stuck"]

HOST: Final = "registry.example"
OTHER: Final = "cdn.example"
TAG: Final = "t"
CANARIES: Final = ("canary-user", "canary-password", "Y2FuYXJ5")  # and of the base64 of both
SLOW: Final = Limits(connect=2.0, read=0.25, floor=6400)
_DEADLINE: Final = 300.0  # of a machine that may have much else to do
_MOST_CHUNK: Final = 700


class Stuck(BaseException):
    """A run has not ended in time; nothing of the program's may catch it."""


@dataclass(frozen=True)
class Scene:
    """What a run finds: a registry over TLS or not, that wants chunks or not, a full cache."""

    name: str
    tls: bool = False
    chunks: bool = False
    warm: bool = False


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, what it said, and how long it took and waited."""

    status: int
    out: str
    err: str
    seconds: float
    waited: float

    @property
    def digest(self) -> str:
        return str(json.loads(self.out)["digest"]) if self.out.startswith("{") else ""


class _Shelf:
    """A sink: puts content on the shelves of one repository."""

    def __init__(self, registry: Shelves, repository: str) -> None:
        self._registry = registry
        self._repository = repository

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        with opener() as stream:
            raw = stream.read()
        if is_manifest(descriptor):
            self._registry.add_manifest(self._repository, raw, descriptor.media_type)
        else:
            self._registry.add_blob(self._repository, raw)


class World:
    """What the registry holds before each run: the inputs, and an image under the tag."""

    def __init__(self) -> None:
        self.plain = Shelves()
        self.others: dict[str, str] = {}
        tops = {"in/base": put_base, "in/py": put_builder}
        for repository, put in tops.items():
            shelf: Any = _Shelf(self.plain, repository)
            self._tag(repository, put(shelf, X86, ARM).digest)
            self.others[repository] = self._old(shelf, b"moved")
        shelf = _Shelf(self.plain, "out")
        self._tag("out", self._old(shelf, b"old"))
        self.others["out"] = self._old(shelf, b"moved")

    def _tag(self, repository: str, digest: str) -> None:
        self.plain.tags.setdefault(repository, {})[TAG] = digest

    def _old(self, sink: Any, content: bytes) -> str:
        images = [Made((archive(file("old", content)),), abi.platform) for abi in (X86, ARM)]
        listed = [for_platform(image.put(sink), image.platform) for image in images]
        return str(put_index(sink, listed).digest)

    def fill(self, registry: FakeRegistry) -> None:
        """Put everything into a registry."""
        old = self.plain
        registry.blobs = {name: dict(blobs) for name, blobs in old.blobs.items()}
        registry.manifests = {name: dict(found) for name, found in old.manifests.items()}
        self.mend(registry)

    def mend(self, registry: FakeRegistry) -> None:
        """Let the inputs' tags stand where they stood; what was pushed stays."""
        tags = {name: dict(tags) for name, tags in self.plain.tags.items()}
        registry.tags = {**tags, "out": registry.tags.get("out", tags["out"])}


class Workplace:
    """What all sites of one process share: certificates, the world, the entry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World()
        folder.mkdir(exist_ok=True)
        self.tls, self.ca_file = _server(folder, "ca")
        self.impostor, _ = _server(folder, "impostor")
        self._stack = ExitStack()
        self._clock: Clock = ThreadClock([0.0])
        self.limits = Limits()
        self.warm = folder / "warm"

    def __enter__(self) -> Self:
        # The command line is parsed as always, but built once and not for every run.
        command = typer.main.get_command(app.app)
        self._stack.enter_context(patch.object(app, "app", command))
        opened = Registries.__init__
        place = self

        def replaced(
            self: Registries,
            options: RegistryOptions | None = None,
            progress: Progress | None = None,
            _clock: Clock | None = None,
        ) -> None:
            options = replace(options or RegistryOptions(), limits=place.limits)
            opened(self, options, progress, place.clock)

        self._stack.enter_context(patch.object(Registries, "__init__", replaced))
        handler = signal.signal(signal.SIGALRM, _stuck)
        self._stack.callback(signal.signal, signal.SIGALRM, handler)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fill(self) -> str:
        """Keep the cache of a run without faults, for warm scenes; return the index."""
        with Site(self, Scene("cold")) as site:
            ended = site.assemble()
            assert ended.status == 0, ended.err
            site.cache.rename(self.warm)
        return ended.digest

    @property
    def clock(self) -> Clock:
        return self._clock

    def wind(self) -> ThreadClock:
        """Begin a run with a clock of its own."""
        clock = self._clock = ThreadClock([0.0])
        return clock


def _server(folder: Path, name: str) -> tuple[ssl.SSLContext, Path]:
    """Return what a TLS server of both names needs, and the CA file for its clients."""
    public, private = self_signed(HOST, OTHER).write(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public


def _stuck(_signal: int, _frame: FrameType | None) -> None:
    raise Stuck


class Site:
    """A registry filled anew, an empty home and cache: what one cell needs."""

    def __init__(self, place: Workplace, scene: Scene, limits: Limits | None = None) -> None:
        self.place = place
        self.scene = scene
        self.scheme = "https" if scene.tls else "http"
        self.url = f"{self.scheme}://{HOST}"
        self.impostor = place.impostor
        self.limits = limits or Limits()
        self.home = Path(tempfile.mkdtemp(prefix="cell-", dir=place.folder))
        self.clock = ThreadClock([0.0])
        self._stack = ExitStack()
        tls = place.tls if scene.tls else None
        self.registry = FakeRegistry(
            basic=CANARIES[:2], tokens=True, realm=f"{self.url}/token", tls=tls
        )
        self.other = FakeRegistry(tls=tls)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.home, ignore_errors=True)
            stack.enter_context(self.registry)
            stack.enter_context(self.other)
            self.names = stack.enter_context(
                Names(**{HOST.replace(".", "_"): self.registry.port,
                         OTHER.replace(".", "_"): self.other.port})
            )  # fmt: skip
            self._stack = stack.pop_all()
        self.place.world.fill(self.registry)
        self.registry.sightings = []
        self.registry.least_chunk = _MOST_CHUNK if self.scene.chunks else 0
        self.other.weather = lambda _: Instead(self.registry.trusting)
        for name in ("home", "tmp", "docker"):
            (self.home / name).mkdir()
        login = {"auths": {HOST: dict(zip(("username", "password"), CANARIES, strict=False))}}
        (self.home / "docker" / "config.json").write_text(json.dumps(login))
        if self.scene.warm:  # files of a cache are never changed, so links to them will do
            shutil.copytree(self.place.warm, self.cache, copy_function=os.link)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    def other_index(self, repository: str) -> str:
        """Return the index of a whole image that nobody asked for."""
        return self.place.world.others[repository]

    def heal(self) -> None:
        """End every fault."""
        self.registry.weather = lambda _: None
        self.registry.greetings.clear()
        self.names.fail("", 0)
        self.place.world.mend(self.registry)

    def assemble(self) -> Ended:
        """Run the main job."""
        return self.run(
            "assemble", "3.13-debian13", "--json", "--quiet",
            "--base", f"{HOST}/in/base:{TAG}", "--builder", f"{HOST}/in/py:{TAG}",
            "--push", f"{HOST}/out:{TAG}", "--cache-dir", str(self.cache),
        )  # fmt: skip

    def run(self, *arguments: str) -> Ended:
        """Run the program, in this process and from its entry."""
        network = ["--ca-file", str(self.place.ca_file)] if self.scene.tls else []
        network += [] if self.scene.tls else ["--plain-http", HOST, "--plain-http", OTHER]
        self.clock = self.place.wind()
        self.place.limits = self.limits
        out, err = io.StringIO(), io.StringIO()
        began = time.monotonic()
        with (
            patch.dict(os.environ, self._environment(), clear=True),
            patch.object(tempfile, "tempdir", None),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            _in_time(),
        ):
            terminated = signal.getsignal(signal.SIGTERM)
            try:
                status = entered(*arguments, *network)
            finally:
                signal.signal(signal.SIGTERM, terminated)  # a command has one of its own
        return Ended(
            status, out.getvalue(), err.getvalue(), time.monotonic() - began, self.clock.passed
        )

    def _environment(self) -> Mapping[str, str]:
        places = {"HOME": "home", "XDG_CONFIG_HOME": "home", "XDG_RUNTIME_DIR": "home",
                  "TMPDIR": "tmp", "DOCKER_CONFIG": "docker"}  # fmt: skip
        return {"PATH": os.defpath} | {
            name: str(self.home / folder) for name, folder in places.items()
        }


@contextmanager
def _in_time() -> Iterator[None]:
    signal.setitimer(signal.ITIMER_REAL, _DEADLINE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
