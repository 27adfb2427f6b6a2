"""R18: what we push is the same to every client, from every kind of registry, and runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.interop import tiny
from tests.interop.conftest import TARGET, Result, layersmith
from tests.interop.registries import KINDS, Served, opened
from tests.reliability.pullers import Failed, Pull, Puller, judged, pullers, runs
from tests.reliability.scoreboard import Figure, Row, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROW: Final = Row("R18", "interop", "100 %: our digest at every peer, valid, and it runs")
REPOSITORY: Final = "team/image"
_REFUSING: Final = ("proxy", "read-only")
_JUDGES: Final = ("oci-image-tool", "umoci and bubblewrap")


@dataclass(frozen=True)
class Image:
    """What is pushed: a place, its digest and tag, and how one sees that it runs."""

    layout: Path
    tag: str
    digest: str
    says: Sequence[str]  # what it says, and further words to make it


def measure(run: Run) -> Figure:
    image = _assembled(run.scratch) if run.full else _tiny(run.scratch)
    peers = pullers()
    with ThreadPoolExecutor(2) as pool:
        kinds = list(pool.map(lambda kind: _kind(kind, image, peers, run.scratch), KINDS))
    misses = [miss for kind in kinds for miss in kind if miss]
    cells = sum(map(len, kinds))
    named = [f"{each.name} {each.version}" for each in peers] + list(_JUDGES)
    return Figure(
        f"{cells - len(misses)} of {cells} cells: {len(KINDS)} kinds of docker-registry by "
        f"{', '.join(named)}; {len(_REFUSING)} refused pushes",
        tuple(misses),
    )


def _tiny(scratch: Path) -> Image:
    top = tiny.image(scratch / "image")
    return Image(scratch / "image", tiny.TAG, str(top.digest), (tiny.SAYS,))


def _assembled(scratch: Path) -> Image:
    from fixtures import build

    images = build.build()
    done = layersmith(
        "assemble", TARGET, "--base", f"oci:{images.base}:latest", "--builder",
        f"oci:{images.builder}:3.13-slim-trixie", "--output", f"oci:{scratch}/image:{TARGET}",
        "--cache-dir", f"{scratch}/cache", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    says = ("it runs\n", "-c", "import ssl, sqlite3; print('it runs')")
    return Image(scratch / "image", TARGET, done.document["digest"], says)


def _kind(kind: str, image: Image, peers: Sequence[Puller], scratch: Path) -> list[str]:
    """Return a text for every cell of one kind of registry, empty where it passed."""
    directory = scratch / kind

    def fill(served: Served) -> None:
        done = _push(served, image)
        if done.code:
            raise Failed(done.err)

    try:
        with opened(kind, directory / "registry", fill) as served:
            pulls = [
                Pull(served, REPOSITORY, image.tag, directory / f"{peer.name}-{peer.version}")
                for peer in peers
            ]
            layout = pulls[0].layout
            checks = [
                (peer.name, partial(_pulled, peer, pull, image))
                for peer, pull in zip(peers, pulls, strict=True)
            ]
            checks += [
                (_JUDGES[0], partial(judged, layout, image.tag)),
                (_JUDGES[1], partial(runs, layout, image.tag, directory / "unpacked", image.says)),
            ]
            if kind in _REFUSING:
                checks.append(("layersmith", partial(_refused, served, image)))
            return [_cell(f"{kind}, {name}", check) for name, check in checks]
    except Failed as error:
        return [f"{kind}: our push: {error}"] * (len(peers) + len(_JUDGES))


def _push(served: Served, image: Image, tag: str = "") -> Result:
    target = f"{served.host}/{REPOSITORY}:{tag or image.tag}"
    return layersmith("copy", f"oci:{image.layout}:{image.tag}", target, "-q", env=served.settings)


def _cell(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - however it fails, the cell has not passed
        return f"{name}: {type(error).__name__}: {error}"
    return ""


def _pulled(peer: Puller, what: Pull, image: Image) -> None:
    what.directory.mkdir(parents=True)
    if (got := peer.pull(what)) != image.digest:
        raise Failed(f"it has {got} in place of {image.digest}")


def _refused(served: Served, image: Image) -> None:
    """A push to what cannot be written to: clear, no tag."""
    done = _push(served, image, "refused")
    if done.code != 5 or "405" not in done.err or "Traceback" in done.err:
        raise Failed(f"a push that must be refused: status {done.code}, {done.err}")
