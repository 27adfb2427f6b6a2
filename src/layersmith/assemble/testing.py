"""Tests of an image: each platform's is unpacked, run in a sandbox, and removed again.

What can be known before is found out before anything is fetched: which sandbox this host
can make, and which platforms it can run.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import TYPE_CHECKING, Final

from layersmith.assemble.inputs import Input
from layersmith.assemble.reading import READERS, LayerReader, mending
from layersmith.assemble.rebuilding import published
from layersmith.errors import OutputError, SandboxUnavailable, intention
from layersmith.recipe.trials import Trial, ids_of
from layersmith.rootfs.entries import File, Slice
from layersmith.sandbox.cell import Cell
from layersmith.sandbox.emulation import Way, way_for
from layersmith.sandbox.host import find_runner, owner_of_files
from layersmith.sandbox.insides import furnished, user_of
from layersmith.sandbox.task import Ids
from layersmith.sandbox.trying import DEFAULT, Result, results_of
from layersmith.sandbox.unpacking import size_of, unpack
from layersmith.stores.cache import CachedSource
from layersmith.stores.files import disk_errors
from layersmith.stores.locks import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.assemble.places import Place
    from layersmith.assemble.rebuilding import Published
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Platform
    from layersmith.oci.image import Image
    from layersmith.rootfs.tree import Root
    from layersmith.sandbox.task import Runner

__all__ = ["Order", "PlatformReport", "Report", "test"]

_PREFIX: Final = "layersmith-test-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to try, and on which platforms: all that this host can run, unless some are named."""

    place: Place
    trials: tuple[Trial, ...] = ()
    platforms: tuple[Platform, ...] = ()
    demand_all: bool = False
    runner: str = ""
    timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class PlatformReport:
    """One platform's image: its results, or why it was not run."""

    platform: Platform
    digest: Digest
    way: Way
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What came out."""

    name: str
    digest: Digest
    runner: str
    notes: tuple[str, ...]
    tested: tuple[PlatformReport, ...]

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(not result.passed for one in self.tested for result in one.results)

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(result.passed for one in self.tested for result in one.results)


def test(workshop: Workshop, order: Order) -> Report:
    """Run the tests of `order`; raises :class:`SandboxUnavailable` where nothing can be run."""
    place = order.place
    source = CachedSource(place.source(workshop.registries), workshop.cache)
    image = published(str(place), source, place.identifier)
    ways = {one.platform: way_for(one.platform) for one in _chosen(image, order)}
    _check_ways(image, ways, order)
    with _shelter() as folder:
        with disk_errors(f"making a sandbox in {folder}"):
            runner = find_runner(order.runner, folder)
        input_ = Input(source, place, image.top)
        imported: set[tuple[str, bytes]] = set()
        tested = []
        # This machine's own platform first: others need not do again what is the same there.
        for one in sorted(_chosen(image, order), key=lambda one: ways[one.platform].is_slow):
            way, results = ways[one.platform], []
            if not way.why_not:
                with workshop.timed(f"test {one.platform}"), intention(str(one.platform)):
                    bench = _Bench(workshop, input_, one, way, runner, folder, imported)
                    results = list(bench.results(order))
            tested.append(
                PlatformReport(one.platform, one.manifest.descriptor.digest, way, tuple(results))
            )
    return Report(image.name, image.top.descriptor.digest, runner.name, runner.notes, tuple(tested))


def _chosen(image: Published, order: Order) -> list[Image]:
    """Return the images of the platforms that were named, or all; raises for what is not there."""
    there: dict[tuple[str, str, str], Image] = {}
    for one in image.images:
        there.setdefault(one.platform.key, one)  # the first is what runtimes take
    for platform in order.platforms:
        if platform.key not in there:
            raise image.lacks(platform)
    wanted = {platform.key for platform in order.platforms} or there.keys()
    return [one for key, one in there.items() if key in wanted]


def _check_ways(image: Published, ways: dict[Platform, Way], order: Order) -> None:
    reasons = [f"{platform}: {way.why_not}" for platform, way in ways.items() if way.why_not]
    demanded = order.demand_all or bool(order.platforms)
    if reasons and (demanded or len(reasons) == len(ways)):
        raise SandboxUnavailable(
            f"{image.name} cannot be run here: {'; '.join(reasons)}",
            hint="install qemu-user-static, or test it on a machine of that kind",
        )


@contextmanager
def _shelter() -> Iterator[Path]:
    """Give a private directory, removed at the end, to whoever runs the images."""
    above = Path(gettempdir())
    with ExitStack() as stack:
        with disk_errors(f"making a temporary directory in {above}"):
            folder = stack.enter_context(scratch(above, _PREFIX))
            owner = owner_of_files()
            if owner is not None:
                os.chown(folder, *owner)
        yield folder


class _Bench:
    """One platform's image: read once, and unpacked for each user that a test asks for."""

    def __init__(
        self,
        workshop: Workshop,
        input_: Input,
        image: Image,
        way: Way,
        runner: Runner,
        folder: Path,
        imported: set[tuple[str, bytes]],
    ) -> None:
        self._workshop = workshop
        self._input = input_
        self._image = image
        self._way = way
        self._runner = runner
        self._folder = folder
        self._imported = imported

    def results(self, order: Order) -> Iterator[Result]:
        """Yield the results of every test that is for this platform."""
        trials = [
            (trial, trial.name or _name_of(trial, number))
            for number, trial in enumerate(order.trials or (DEFAULT,), 1)
            if trial.is_for(self._image.platform)
        ]
        root = self._root() if trials else None
        cells: dict[tuple[str, bool], Cell] = {}
        for trial, name in trials:
            assert root is not None
            key = trial.user, trial.network
            if key not in cells:
                cells[key] = self._cell(root, trials, *key)
            yield from results_of(cells[key], trial, name, order.timeout)
        if root is not None and not self._way.is_slow:
            self._imported.update(_modules(root))

    def _root(self) -> Root:
        with self._workshop.crew.pool(READERS, "layer") as pool:
            reader = LayerReader(self._workshop.layers, pool)
            (root,) = reader.roots([(self._input, self._image, False)])
        return root

    def _cell(
        self, root: Root, trials: Sequence[tuple[Trial, str]], user: str, network: bool
    ) -> Cell:
        """Unpack the image for a user: the config's, unless a test names another."""
        config = self._image.config.value
        said = config.config.user if config.config else ""
        ids = Ids(*ids_of(user)) if user else user_of(root, said)
        writable = {
            place
            for trial, _ in trials
            if (trial.user, trial.network) == (user, network)
            for place in trial.writable
        }
        ready = furnished(root, sorted(writable), network=network)
        wanted = [(self._input, self._image, False)]
        folder = mending(self._workshop.layers, wanted, lambda: self._unpacked(ready, ids))
        return Cell(
            root=ready,
            folder=folder,
            config=config,
            ids=ids,
            network=network,
            way=self._way,
            runner=self._runner,
            known=self._known(root),
        )

    def _unpacked(self, root: Root, ids: Ids) -> Path:
        owner = owner_of_files()
        with disk_errors(f"unpacking into {self._folder}"):
            folder = Path(mkdtemp(prefix="cell-", dir=self._folder))
            (folder / "rootfs").mkdir()
            if owner is not None:
                os.chown(folder, *owner)
            _check_space(folder, size_of(root.tree))
            unpack(root, folder / "rootfs", ids, owner)
        return folder

    def _known(self, root: Root) -> frozenset[str]:
        if not self._way.is_slow:
            return frozenset()
        return frozenset(
            f"/{path}" for path, sha in _modules(root) if (path, sha) in self._imported
        )


def _modules(root: Root) -> Iterator[tuple[str, bytes]]:
    """Yield Python's source files, with what tells their contents."""
    for path, entry in root.tree.walk():
        if path.endswith(".py") and isinstance(entry, File) and isinstance(entry.content, Slice):
            yield path, entry.content.checksum


def _name_of(trial: Trial, number: int) -> str:
    if trial.imports:
        return "imports" if trial == DEFAULT else f"imports {number}"
    return f"test {number}"


def _check_space(folder: Path, size: int) -> None:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if size > free:
        raise OutputError(
            f"{folder.parent.parent}: the image takes {size >> 20} MiB, {free >> 20} are free",
            hint="let TMPDIR name a directory with more space",
        )
