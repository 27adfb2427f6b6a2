"""R15: what was there is gone a moment later, sessions and answers are lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.fakes.registry import Drop, Instead
from tests.reliability.faults_site import Workplace
from tests.reliability.faults_trials import opened
from tests.reliability.scoreboard import Figure, Row, Run

if TYPE_CHECKING:
    from tests.fakes.registry import Action, FakeRegistry, Reply, Request
    from tests.reliability.faults_trials import Trials

ROW: Final = Row("R15", "gc-race", "100 % recovered without the user")


def measure(run: Run) -> Figure:
    """Let each race be lost so many times, in another place each time."""
    rounds = run.pick(100, 1000)
    texts, misses = [], []
    with Workplace(run.scratch) as place, opened(place) as trials:
        for name in RACES:
            rng = random.Random(run.seed)
            found = [raced(trials, name, rng) for _ in range(rounds)]
            texts.append(f"{name}: {found.count('')} of {rounds}")
            misses += [f"{name}: {wrong}" for wrong in found if wrong]
            run.say(f"R15: {texts[-1]}")
        misses += [f"a torn tag: {each}" for each in trials.site.registry.sightings or ()]
    return Figure("; ".join(texts), tuple(misses))


def raced(trials: Trials, name: str, rng: random.Random) -> str:
    """Push while the race is lost somewhere; return what was wrong (nothing: recovered)."""
    registry = trials.site.registry
    registry.strict = True
    race = registry.weather = RACES[name](trials, rng)
    wrong = trials.push()[1]
    trials.tidy()
    return wrong or ("" if race.lost else "no race took place")


class _Race:
    """Befalls one or two of the requests that it can; `lost` counts them."""

    def __init__(self, trials: Trials, rng: random.Random) -> None:
        self._registry: FakeRegistry = trials.site.registry
        self._wait = rng.randrange(2)  # of three blobs
        self._times = rng.choice((1, 2))
        self.lost = 0
        self.prepare(trials)

    def prepare(self, trials: Trials) -> None:
        """Make the repository what it has to be."""

    def __call__(self, request: Request) -> Action | None:
        if self.lost >= self._times or not self.can(request):
            return None
        if self._wait:
            self._wait -= 1
            return None
        self.lost += 1
        return self.act(request)

    def can(self, request: Request) -> bool:
        return request.method == "PUT" and "/uploads/" in request.path

    def act(self, request: Request) -> Action | None:
        raise NotImplementedError


class _AfterHead(_Race):
    def prepare(self, trials: Trials) -> None:
        """Put every blob there; nothing refers to them yet."""
        self._registry.blobs[f"out/{trials.number + 1}"] = dict(self._blobs(trials))

    @staticmethod
    def _blobs(trials: Trials) -> dict[str, bytes]:
        folder = trials.layout_path / "blobs" / "sha256"
        return {f"sha256:{path.name}": path.read_bytes() for path in folder.iterdir()}

    def can(self, request: Request) -> bool:
        return request.method == "HEAD" and "/blobs/" in request.path

    def act(self, request: Request) -> Action | None:
        return Instead(lambda request: _then_gone(self._registry, request))


class _AfterPut(_Race):
    def can(self, request: Request) -> bool:
        return request.method == "PUT" and not request.path.endswith("/manifests/t")

    def act(self, request: Request) -> Action | None:
        return Instead(lambda request: _then_gone(self._registry, request))


class _SessionLost(_Race):
    def act(self, request: Request) -> Action | None:
        self._registry.uploads.pop(request.path.rpartition("/")[2], None)
        return None


class _AnswerLost(_Race):
    def act(self, request: Request) -> Action | None:
        return Drop(reset=True, acted=True)


def _then_gone(registry: FakeRegistry, request: Request) -> Reply:
    """Answer, and lose what the answer is about."""
    reply = registry.honest(request)
    path = request.path.removeprefix("/v2/")
    repository = path.partition("/blobs/")[0].partition("/manifests/")[0]
    digest = request.query["digest"][0] if "digest" in request.query else path.rpartition("/")[2]
    for shelves in (registry.blobs, registry.manifests):
        shelves.get(repository, {}).pop(digest, None)
    return reply


RACES: Final[dict[str, Callable[[Trials, random.Random], _Race]]] = {
    "gone after HEAD 200": _AfterHead,
    "gone after PUT 201": _AfterPut,
    "session lost": _SessionLost,
    "201 lost": _AnswerLost,
}
