"""Bringing ahead: layers are on their way while what will name them is still being made.

Only to registries, where it saves waiting, and only once all that goes is released: when every
platform is planned, most of what can be wrong has been found. A blob that no manifest names is seen
by nobody; if the run fails after all, the registry's garbage collection takes it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from layersmith.assemble.delivery import bring_blob
from layersmith.errors import LayersmithError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from layersmith.assemble.delivery import Begun, Blob
    from layersmith.assemble.places import Place, Repository
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.digest import Digest

__all__ = ["NOWHERE", "Ahead", "bringing_ahead"]

_WRITERS: Final = 4  # others read, plan and pack meanwhile


class Ahead:
    """The registries that an image goes to, each opened once, and what is on its way there."""

    def __init__(self, sinks: Mapping[Place, Repository], pool: Executor | None = None) -> None:
        self._sinks = sinks
        self._pool = pool
        self._lock = Lock()
        self._held: list[Blob] | None = []
        self._begun: dict[Place, dict[Digest, Future[None]]] = {place: {} for place in sinks}

    def bring(self, blobs: Iterable[Blob]) -> None:
        """Begin to bring blobs, as soon as that is released."""
        with self._lock:
            if not self._sinks:
                return
            if self._held is not None:
                self._held += blobs
            else:
                self._begin(blobs)

    def release(self) -> None:
        """Let go what was held back, and hold back no more."""
        with self._lock:
            held, self._held = self._held, None
            self._begin(held or ())

    def _begin(self, blobs: Iterable[Blob]) -> None:
        for blob in blobs:
            for place, begun in self._begun.items():
                if self._pool is not None and blob.descriptor.digest not in begun:
                    going = self._pool.submit(bring_blob, self._sinks[place], blob)
                    begun[blob.descriptor.digest] = going

    def sink(self, place: Place) -> Repository | None:
        """Return what was opened for a place, None for one that is no registry."""
        return self._sinks.get(place)

    def begun(self, place: Place) -> Begun:
        """Return what is on its way to a place, or there; its errors wait for who asks."""
        return self._begun.get(place, {})


NOWHERE: Final = Ahead({})


@contextmanager
def bringing_ahead(workshop: Workshop, places: Sequence[Place]) -> Iterator[Ahead]:
    """Open the registries among `places`; at the end nothing is on its way any more.

    Raises :class:`InvalidReference` for a place that is only for reading.
    """
    registries = [place for place in places if place.reference is not None]
    sinks = {place: place.sink(workshop.registries) for place in registries}
    try:
        with workshop.crew.pool(_WRITERS, "ahead") as pool:
            yield Ahead(sinks, pool)
    finally:
        for sink in sinks.values():
            with suppress(LayersmithError):
                sink.abandon()
