"""Reading inputs: layers side by side, trees out of them, and the moment they date from."""

from __future__ import annotations

import os
import re
from concurrent.futures import Future
from datetime import UTC, datetime
from heapq import heappop, heappush
from threading import RLock
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from layersmith.assemble.inputs import Input
from layersmith.errors import LayerError, LayersmithError, RecipeError, one_line
from layersmith.oci.image import Image
from layersmith.rootfs.layer import overlay
from layersmith.rootfs.tree import Root
from layersmith.stores.layers import CacheDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from layersmith.oci.digest import Digest
    from layersmith.oci.image import Layer
    from layersmith.rootfs.layer import Change
    from layersmith.stores.cache import CachedSource
    from layersmith.stores.layers import LayerStore

__all__ = [
    "READERS",
    "LayerReader",
    "Wanted",
    "created_at",
    "epoch_of",
    "mending",
    "moment",
    "said_epoch",
]

READERS: Final = 4  # at once: more only wait for each other

_FRACTION = re.compile(r"\.\d+")
_LATEST = 0o77777777777  # what a tar header holds: the year 2242
_MAX_LAYERS: Final = 500  # OVL_MAX_STACK of Linux' overlayfs
_EPOCH = re.compile(r"[0-9]{1,11}")

_T = TypeVar("_T")
_Task: TypeAlias = "tuple[CachedSource, Layer, bool]"

# An image to read, where it comes from, and whether its blobs are kept to be pushed.
Wanted: TypeAlias = tuple[Input, Image, bool]


class LayerReader:
    """Reads layers side by side on a pool, whose size bounds the memory that they take.

    The largest that waits is read next, whoever asked for it: the last layer to end decides
    how long all of them take, so who knows all images begins with all. One that several images
    have is read once. Once :meth:`roots` has been asked for `times` times, only the trees stay in
    memory.
    """

    def __init__(self, layers: LayerStore, pool: Executor, times: int = 1) -> None:
        self._layers = layers
        self._pool = pool
        self._left = times
        self._lock = RLock()
        self._reading: dict[tuple[Digest, Digest | None], Future[list[Change]]] = {}
        self._waiting: list[tuple[int, int, Future[list[Change]], _Task]] = []
        self._counted = 0

    def begin(self, wanted: Iterable[Wanted]) -> None:
        """Begin to read all layers of images; raises :class:`LayerError` for too many of one."""
        tasks: dict[Digest, _Task] = {}
        # A layer of both is read once, and kept if one of them wants it kept.
        for input_, image, keep in sorted(wanted, key=lambda each: each[2]):
            if len(image.layers) > _MAX_LAYERS:
                raise LayerError(
                    f"{input_.place} has {len(image.layers)} layers, and Linux stacks {_MAX_LAYERS}"
                )
            for layer in image.layers:
                tasks[layer.diff_id] = input_.source, layer, keep
        for task in sorted(tasks.values(), key=lambda task: -task[1].descriptor.size):
            self._read(*task)

    def roots(self, wanted: Sequence[Wanted]) -> list[Root]:
        """Return the file systems of images; raises as :meth:`begin`."""
        self.begin(wanted)
        roots = [
            Root(overlay(_result(self._read(input_.source, each, keep)) for each in image.layers),
                 self._layers)
            for input_, image, keep in wanted
        ]  # fmt: skip
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self._reading.clear()
        return roots

    def _read(self, source: CachedSource, layer: Layer, keep: bool) -> Future[list[Change]]:
        """Return the reading of a layer, begun at most once.

        Where the blob is kept it has to be this one; else any with the same diff_id will do.
        """
        key = layer.diff_id, layer.descriptor.digest if keep else None
        with self._lock:
            future = self._reading.get(key)
            if future is None:
                future = self._begin((source, layer, keep))
                self._reading[key] = future
                self._reading.setdefault((layer.diff_id, None), future)
            return future

    def _begin(self, task: _Task) -> Future[list[Change]]:
        """Let a reading wait for its turn; as many turns are asked for as readings wait."""
        self._counted += 1
        future: Future[list[Change]] = Future()
        heappush(self._waiting, (-task[1].descriptor.size, self._counted, future, task))
        self._pool.submit(self._turn).add_done_callback(self._without)
        return future

    def _turn(self) -> None:
        """Read the largest layer that waits."""
        future, (source, layer, keep) = self._next()
        try:
            future.set_result(self._layers.changes(source, layer, keep_blob=keep))
        except BaseException as error:  # noqa: BLE001 - it is for whoever waits for the layer
            future.set_exception(error)

    def _without(self, turn: Future[None]) -> None:
        """Let nobody wait for a turn that does not come: the pool has been shut down."""
        if turn.cancelled():
            self._next()[0].cancel()

    def _next(self) -> tuple[Future[list[Change]], _Task]:
        with self._lock:
            *_, future, task = heappop(self._waiting)
        return future, task


def _result(reading: Future[list[Change]]) -> list[Change]:
    """Return what was read; a failure is raised as this caller's own, who says what it was at."""
    try:
        return reading.result()
    except LayersmithError as error:
        own = type(error).__new__(type(error), *error.args)
        vars(own).update(vars(error))
        raise own from error.__cause__


def mending(layers: LayerStore, wanted: Iterable[Wanted], step: Callable[[], _T]) -> _T:
    """Take a step; if the cache is found damaged meanwhile, mend `wanted` and take it again.

    Every layer of them is fetched again that is damaged: where one is, more may be.
    """
    try:
        return step()
    except CacheDamagedError:
        for input_, image, keep in wanted:
            for layer in image.layers:
                layers.mend(input_.source, layer, keep_blob=keep)
        return step()


def epoch_of(images: Sequence[Image]) -> int:
    """Return SOURCE_DATE_EPOCH, else the newest ``created`` of `images`; never the clock.

    Raises :class:`RecipeError` for a SOURCE_DATE_EPOCH that is no number of seconds.
    """
    said = said_epoch()
    return max(map(created_at, images)) if said is None else said


def said_epoch() -> int | None:
    """Return SOURCE_DATE_EPOCH, if it is set; raises :class:`RecipeError` as above."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if _EPOCH.fullmatch(text) is None or int(text) > _LATEST:
        raise RecipeError(
            f"SOURCE_DATE_EPOCH is {one_line(text, 40)!r}",
            hint="it is a number of seconds since 1970",
        )
    return int(text)


def created_at(image: Image) -> int:
    """Return when the config says that `image` was made, 0 where that is no time of a tar."""
    created = image.config.value.created
    try:
        found = datetime.fromisoformat(_FRACTION.sub("", created or "1970-01-01T00:00:00Z"))
        seconds = int(found.timestamp()) if found.tzinfo is not None else 0
    except (ValueError, OverflowError):
        return 0
    return seconds if 0 <= seconds <= _LATEST else 0


def moment(epoch: int) -> str:
    """Return seconds since 1970 as configs and annotations have them (RFC 3339)."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
