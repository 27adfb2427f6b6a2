"""Pushes and pulls of one small image, over and over, at a registry with moods."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.tar import archive, file
from tests.fakes.registry import Drop, Reply, error
from tests.reliability.faults_site import HOST, Scene, Site

from layersmith.oci.graph import walk
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.registry import Action, Request
    from tests.reliability.faults_site import Ended, Workplace

__all__ = ["OBSERVER", "Trials", "opened", "weather_of"]

OBSERVER: Final = "observer"  # whose requests no weather touches
_REFUSED: Final = tuple(error(n, "UNAVAILABLE") for n in (500, 502, 503, 504, 429))
_ASKED_TO_WAIT: Final = tuple(error(n, "BUSY", **{"Retry-After": "1"}) for n in (429, 503))
_BROKEN: Final = (Drop(reset=True), Drop(reset=True, acted=True), Drop())
_FAULTS: Final[tuple[Reply | Drop, ...]] = (*_REFUSED, *_ASKED_TO_WAIT, *_BROKEN)


class Weather:
    """Lets a fault befall so many of all requests, at random."""

    def __init__(self, rate: float, rng: random.Random) -> None:
        self._rate = rate
        self._rng = rng

    def __call__(self, request: Request) -> Action | None:
        if request.headers.get("user-agent") == OBSERVER or self._rng.random() >= self._rate:
            return None
        return self._rng.choice(_FAULTS)


def weather_of(rate: float, rng: random.Random) -> Weather:
    """Return the weather in which `rate` of the answers are 5xx, 429 or a reset."""
    return Weather(rate, rng)


class Trials:
    """Pushes and pulls small images; each push has its own repository."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.layout_path = site.home / "image"
        layout = Layout(self.layout_path)
        tops = [
            put_index(layout, [for_platform(_image(n).put(layout), AMD64)]) for n in (b"0", b"1")
        ]
        for number, top in enumerate(tops):
            layout.tag(f"t{number}", top)
        self.digests = [str(top.digest) for top in tops]
        self.number = 0

    def push(self) -> tuple[Ended, str]:
        """Push to a new repository; return how it ended, and what was wrong (nothing: fine)."""
        self.number += 1
        return self.push_over(f"out/{self.number}", 0)

    def push_over(self, repository: str, image: int) -> tuple[Ended, str]:
        """Push one of the two images to a tag that may be there."""
        before = dict(self.site.registry.tags.get(repository, {}))
        ended = self._copied(f"oci:{self.layout_path}:t{image}", f"{HOST}/{repository}:t")
        tags = self.site.registry.tags.get(repository, {})
        if ended.status:
            moved = "" if tags == before else f"; the tags are {tags}"
            return ended, f"push: {ended.err.strip()}{moved}"
        if tags != {"t": self.digests[image]}:
            return ended, f"push: the tags are {tags}"
        return ended, next(iter(self.site.registry.torn_tags()), "")

    def pull(self) -> tuple[Ended, str]:
        """Pull to a new layout; return how it ended, and what was wrong."""
        folder = self.site.home / "pulled"
        ended = self._copied(f"{HOST}/in/base:t", f"oci:{folder}:t")
        try:
            if ended.status:
                return ended, f"pull: {ended.err.strip()}"
            _read(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return ended, ""

    def tidy(self) -> None:
        """Forget what was pushed: it is only in the way of memory."""
        registry = self.site.registry
        for shelf in (registry.blobs, registry.manifests, registry.tags):
            for name in [name for name in shelf if name.startswith("out/")]:
                del shelf[name]
        registry.log.clear()

    def collect(self, repository: str) -> None:
        """Collect garbage: everything that the tag does not need."""
        registry = self.site.registry
        kept = registry.below(repository, registry.tags.get(repository, {}).get("t", ""))
        for shelf in (registry.blobs, registry.manifests):
            for digest in shelf.get(repository, {}).keys() - kept:
                del shelf[repository][digest]
        registry.log.clear()

    def _copied(self, source: str, target: str) -> Ended:
        return self.site.run("copy", source, target, "--json", "--quiet")


def _image(number: bytes) -> Made:
    return Made((archive(file("lib", b"the same " * 400)), archive(file("own", number * 3000))))


def _read(folder: Path) -> None:
    """Read all of a layout's image; raises what is wrong with it."""
    layout = Layout(folder)
    for one in walk(layout, layout.resolve("t")).nodes():
        for blob in one.blobs:
            with layout.open(blob) as stream:
                while stream.read():
                    pass


@contextmanager
def opened(place: Workplace) -> Iterator[Trials]:
    """Open one registry for many trials."""
    with Site(place, Scene("trials")) as site:
        yield Trials(site)
