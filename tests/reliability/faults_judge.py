"""Rule P: how a run that met a fault must have ended, and what it must have left.

Either with the very index of the run without faults, or with an error: a line that says
what was done, where, and why it failed, and no tag written or moved. Nothing half
written, nothing secret said, and the next run without the fault does it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.reliability.faults_kinds import ALWAYS, KINDS, Event, Kind
from tests.reliability.faults_requests import Asked, Roles, name_of
from tests.reliability.faults_site import CANARIES, HOST, OTHER, SLOW, TAG, Scene, Site, Stuck

from layersmith.stores.cache import Cache
from layersmith.stores.upkeep import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.registry import Action
    from tests.fakes.wire import Request
    from tests.reliability.faults_site import Ended, Workplace

__all__ = ["SCENES", "Cell", "Matrix", "Verdict", "judged", "left_behind"]

# Inputs are fetched into an empty cache, what is pushed comes out of a full one.
SCENES: Final = (
    Scene("pull"),
    Scene("push", warm=True),
    Scene("pull, TLS", tls=True),
    Scene("push, TLS", tls=True, warm=True),
    Scene("push, chunks", chunks=True, warm=True),
)

_TIMES: Final = (1, 2, ALWAYS)
_STATUSES: Final = frozenset({3, 4, 5, 6, 7})
_WAIT: Final = 600.0  # of the clock that is turned, in the worst case
_SECONDS: Final = 120.0  # of a machine that may have much else to do
_FAST: Final = 2.0
_STEP: Final = re.compile(
    r"(reading|resolving|fetching|uploading|mounting|looking for|writing|asking) "
)
_ERROR: Final = re.compile(r"layersmith: error: [^\n]+\n(  hint: [^\n]+\n)?")
_TOKEN: Final = re.compile(r"token-\d+-[0-9a-f]{12}")


@dataclass(frozen=True)
class Cell:
    """One kind of fault befalls one request of the run, so many times."""

    scene: Scene
    kind: Kind
    asked: Asked
    times: float

    def __str__(self) -> str:
        times = "always" if self.times == ALWAYS else f"{self.times:.0f}x"
        return f"{self.kind.name} at {self.asked.name} ({self.scene.name}, {times})"


@dataclass(frozen=True)
class Verdict:
    """What was wrong with a cell (nothing: rule P holds), and whether the fault struck."""

    cell: Cell
    faults: tuple[str, ...]
    struck: bool
    passed: bool
    sightings: tuple[str, ...] = ()


class _Rule:
    """Lets the fault befall the request that is meant: a registry's ``weather``."""

    def __init__(self, site: Site, cell: Cell) -> None:
        self._site = site
        self._cell = cell
        name, _, number = cell.asked.name.rpartition(" ")
        is_post = name == "POST upload"
        self._name = name if is_post else cell.asked.name
        self._before = int(number) if is_post else 0  # sessions to let open first
        self.hits = 0

    def __call__(self, request: Request) -> Action | None:
        if self.hits >= self._cell.times or name_of(request) != self._name:
            return None
        if self._before:
            self._before -= 1
            return None
        nth, self.hits = self.hits, self.hits + 1
        return self._cell.kind.act(Event(self._site, request, nth, self._cell.times))


@dataclass(frozen=True)
class Matrix:
    """Every cell, and the index that each run must give."""

    digest: str
    cells: tuple[Cell, ...]

    @property
    def requests(self) -> frozenset[str]:
        return frozenset(cell.asked.name for cell in self.cells)

    @classmethod
    def of(cls, place: Workplace) -> Matrix:
        """Run without faults in every scene, to learn which requests there are."""
        cells: list[Cell] = []
        digests = {place.fill()}
        for scene in SCENES:
            asked: set[Asked] = set()
            for _ in range(2):  # threads may meet in another order
                with Site(place, scene) as site:
                    ended = site.assemble()
                    assert ended.status == 0, ended.err
                    digests.add(ended.digest)
                    asked |= set(Roles.of(site.registry).asked(site.registry.log))
            for kind in KINDS:
                cells += (
                    Cell(scene, kind, each, times)
                    for each in sorted(asked)
                    if _is_of(scene, kind, each)
                    for times in _TIMES
                )
        (digest,) = digests
        return cls(digest, tuple(cells))


def _is_of(scene: Scene, kind: Kind, asked: Asked) -> bool:
    """Tell whether the scene is where this kind meets this request."""
    if scene.chunks and asked.shape != "PATCH upload":
        return False
    return (kind.tls, asked.is_push) == (scene.tls, scene.warm) and kind.befalls(asked)


def judged(place: Workplace, cell: Cell, expected: str) -> Verdict:
    """Run a cell, and the run after it; say what breaks rule P."""
    with Site(place, cell.scene, SLOW if cell.kind.slow else None) as site:
        before = site.registry.tags["out"][TAG]
        rule = site.registry.weather = _Rule(site, cell)
        try:
            ended = site.assemble()
        except Stuck:
            return Verdict(cell, ("the run does not end",), bool(rule.hits), passed=False)
        faults = [*_ending(cell, ended), *_tag(site, ended, before, expected)]
        faults += [*left_behind(site), *_said(site, ended)]
        struck = rule.hits > 0
        if struck and ended.status == 0 and cell.kind.must_fail(cell.asked, cell.times):
            faults.append("it passes, and cannot have")
        if ended.status and cell.kind.must_pass(cell.asked, cell.times):
            faults.append("it fails, and need not have")
        site.heal()
        again = site.assemble()
        if (again.status, again.digest) != (0, expected):
            faults.append(f"the next run ends with {again.status}: {again.err.strip()}")
        elif site.registry.tags["out"] != {TAG: expected}:
            faults.append("the next run writes another tag")
        sightings = tuple(site.registry.sightings or ())
        faults += [f"a torn tag: {each}" for each in sightings]
        faults += [f"the next run: {each}" for each in left_behind(site)]
        shown = [f"{each} [{ended.status}: {ended.err.strip()}]" for each in faults]
        return Verdict(cell, tuple(shown), struck, ended.status == 0, sightings)


def _ending(cell: Cell, ended: Ended) -> Iterator[str]:
    """Rule P for status, words and time."""
    if ended.waited > _WAIT or ended.seconds > _SECONDS:
        yield f"it takes {ended.seconds:.0f} s and waits {ended.waited:.0f} s"
    if ended.status == 0:
        if ended.err:
            yield "it passes with words on stderr"
        return
    if ended.status not in _STATUSES:
        yield f"the exit status is {ended.status}"
    if _ERROR.fullmatch(ended.err) is None:
        yield "the error is not one line and a hint"
    line = ended.err.partition("\n")[0]
    if HOST not in line and OTHER not in line:
        yield "the error names no host"
    if _STEP.search(line) is None:
        yield "the error names no step"
    if ended.out:
        yield "it fails with words on stdout"
    if cell.kind.fast_no and ended.waited > _FAST:
        yield f"a plain no takes {ended.waited:.1f} s"


def _tag(site: Site, ended: Ended, before: str, expected: str) -> Iterator[str]:
    tags = site.registry.tags["out"]
    if ended.status == 0:
        if ended.digest != expected:
            yield f"another index: {ended.digest}"
        if tags != {TAG: expected}:
            yield "it passes, and the tag is not there"
        elif torn := site.registry.torn_tags():
            yield f"it passes, and the image is not whole: {torn}"
    elif tags not in ({TAG: before}, {TAG: site.other_index("out")}):
        yield "it fails, and a tag was written"


def left_behind(site: Site) -> Iterator[str]:
    """Yield what is half written or damaged."""
    for path in site.home.rglob("*"):
        name = path.name
        odd = name.startswith(".new") or name.endswith((".part", ".tmp"))
        if odd or path.parent.name == "tmp":
            yield f"{path.relative_to(site.home)} is left behind"
    for item, fault in verify(Cache(site.cache)):
        if fault:
            yield f"the cache's {item.kind} {item.name}: {fault}"


def _said(site: Site, ended: Ended) -> Iterator[str]:
    words = ended.err + ended.out
    if any(canary in words for canary in CANARIES) or _TOKEN.search(words):
        yield "a secret is said"
    if any(request.authorization for request in site.other.log):
        yield "credentials are sent to another host"
