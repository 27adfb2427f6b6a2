"""R16: whoever reads a tag while it is pushed, and while pushes fail, finds all of it.

Twice over: the registry itself looks at every tag after every request that changes
something, and a reader on a connection of its own follows the tag every 5 ms.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from contextlib import closing, suppress
from typing import Final, Self

from tests.reliability.faults_judge import Matrix, judged
from tests.reliability.faults_requests import WRITES
from tests.reliability.faults_site import Workplace
from tests.reliability.faults_trials import OBSERVER, opened, weather_of
from tests.reliability.scoreboard import Figure, Row, Run

ROW: Final = Row("R16", "tag-safety", "no tag is ever seen below which something is missing")
_PERIOD: Final = 0.005
_RATE: Final = 0.3


def measure(run: Run) -> Figure:
    """Look at the tags through cells of the fault matrix, then through one long run."""
    with Workplace(run.scratch) as place:
        cells, seen = _through_faults(place, run.pick(30, 1500), run.seed)
        pushes, looks, found = watched(place, run.pick(60, 2000), run.seed)
    text = (
        f"{cells} cells of faults at writes and {pushes} pushes at {_RATE:.0%} faults, "
        f"{looks} looks of a reader: {len(seen) + len(found)} torn tags seen"
    )
    return Figure(text, (*seen, *found, *(["the reader saw nothing"] if not looks else [])))


def _through_faults(place: Workplace, count: int, seed: int) -> tuple[int, list[str]]:
    """Return how many cells were judged, and every torn tag that the registry saw."""
    matrix = Matrix.of(place)
    cells = [cell for cell in matrix.cells if cell.asked.shape in WRITES and not cell.kind.slow]
    chosen = random.Random(seed).sample(cells, min(count, len(cells)))
    seen = [
        f"{cell}: {sighting}"
        for cell in chosen
        for sighting in judged(place, cell, matrix.digest).sightings
    ]
    return len(chosen), seen


def watched(place: Workplace, count: int, seed: int) -> tuple[int, int, list[str]]:
    """Push two images to one tag in turns, in bad weather, under the eyes of a reader."""
    with opened(place) as trials:
        registry = trials.site.registry
        registry.weather = weather_of(_RATE, random.Random(seed))
        token = "token-of-the-reader"
        registry.granted[token] = {("out/long", "pull")}
        with _Reader(registry.host, token) as reader:
            for turn in range(count):
                trials.push_over("out/long", turn % 2)
                trials.collect("out/long")
        return count, reader.looks, [*reader.torn, *(registry.sightings or ())]


class _Reader:
    """Follows one tag, over and over, as a client would that knows only the registry."""

    def __init__(self, host: str, token: str) -> None:
        self._host = host
        self._headers = {"User-Agent": OBSERVER, "Authorization": f"Bearer {token}"}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader")
        self.looks = 0
        self.torn: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(http.client.HTTPConnection(self._host, timeout=10)) as connection:
            while not self._stop.wait(_PERIOD):
                with suppress(http.client.HTTPException, OSError):
                    self._look(connection)

    def _look(self, connection: http.client.HTTPConnection) -> None:
        """Read everything below the tag; note what is missing though the tag still stands."""
        waiting, tag = ["manifests/t"], self._ask(connection, "GET", "manifests/t")
        if tag is None:
            return
        self.looks += 1
        while waiting:
            at = waiting.pop()
            raw = self._ask(connection, "GET" if at.startswith("manifests") else "HEAD", at)
            if raw is None:
                if self._ask(connection, "GET", "manifests/t") == tag:
                    self.torn.append(f"{at} is missing")
            elif at.startswith("manifests"):
                value = json.loads(raw)
                waiting += [f"manifests/{each['digest']}" for each in value.get("manifests", ())]
                blobs = [*value.get("layers", ()), *filter(None, [value.get("config")])]
                waiting += [f"blobs/{each['digest']}" for each in blobs]

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str) -> bytes | None:
        connection.request(method, f"/v2/out/long/{path}", headers=self._headers)
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else None
