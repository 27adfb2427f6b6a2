"""Layers read as a run of layersmith reads them: verified, through the cache, to a tree."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.memory import Memory

from layersmith.oci.content import NoProgress
from layersmith.rootfs.layer import overlay
from layersmith.rootfs.tree import Root
from layersmith.stores.cache import Cache, CachedSource
from layersmith.stores.layers import LayerStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.build.stack import Blob

    from layersmith.oci.content import Source
    from layersmith.oci.image import Layer

__all__ = ["Reader", "Watch", "peak"]

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Audit events that change a file system, by the arguments that are paths.
_CHANGES: Final = {
    "os.mkdir": (0,), "os.rename": (0, 1), "os.link": (0, 1), "os.symlink": (0, 1),
    "os.remove": (0,), "os.rmdir": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,),
    "os.truncate": (0,), "os.setxattr": (0,), "os.mkfifo": (0,), "os.mknod": (0,),
}  # fmt: skip
_PROGRAMS: Final = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"}
)


def peak() -> int:
    """Return the most memory that this process had at once, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Reader:
    """Reads stacks of layers with a cache of its own; `slowest` is the longest reading."""

    def __init__(self, folder: Path) -> None:
        self._memory = Memory("the corpus")
        self._cache = Cache(folder)
        self._layers = LayerStore(self._cache, NoProgress())
        self.slowest = 0.0

    def read(self, blobs: Sequence[Blob]) -> Root:
        """Return the tree of `blobs`, lowest first; raises LayersmithError."""
        for blob in blobs:
            self._memory.blobs[blob.layer.descriptor.digest] = blob.data
        try:
            return self.tree(self._memory, [blob.layer for blob in blobs])
        finally:
            self._memory.blobs.clear()

    def tree(self, source: Source, layers: Sequence[Layer]) -> Root:
        """Return the tree of an image's layers."""
        started = time.monotonic()
        cached = CachedSource(source, self._cache)
        try:
            changes = [self._layers.changes(cached, layer, keep_blob=False) for layer in layers]
            return Root(overlay(changes), self._layers)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)

    def forget(self, blobs: Sequence[Blob]) -> None:
        """Let the cache forget what these layers were, so that they are read again."""
        self._layers.close()
        for blob in blobs:
            for part in ("index", "tar"):
                self._cache.layer_path(blob.layer.diff_id, part).unlink(missing_ok=True)


class Watch:
    """Sees every file that this process writes, and every program that it starts.

    `escapes` are those outside of `folder` while :meth:`looking`. (An audit hook stays
    until the process ends: a row has one.)
    """

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder.resolve()}/"
        self._is_on = False
        self.escapes: list[str] = []
        sys.addaudithook(self._saw)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look while the block runs."""
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False

    def _saw(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event == "open":
            if isinstance(arguments[2], int) and arguments[2] & _WRITES:
                self._check(event, arguments[0])
        elif event in _PROGRAMS:
            self.escapes.append(f"{event} {arguments[:1]}")
        else:
            for place in _CHANGES.get(event, ()):
                self._check(event, arguments[place])

    def _check(self, event: str, path: object) -> None:
        if isinstance(path, int):
            return  # a file that is open already
        name = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        if not name.startswith(self._folder):
            self.escapes.append(f"{event} {name}")
