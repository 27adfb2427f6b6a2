"""What a run needs at hand, opened once and closed at its end."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self

from layersmith.assemble.crew import Crew
from layersmith.stores.cache import Cache
from layersmith.stores.layers import LayerStore
from layersmith.stores.registry import Registries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from layersmith.oci.content import Progress
    from layersmith.stores.registry import RegistryOptions

__all__ = ["Workshop"]


class Workshop:
    """Cache, layers, registries, a crew and a stopwatch; use it as a context manager."""

    def __init__(
        self,
        cache: Path,
        options: RegistryOptions,
        progress: Progress,
        kind: type[Cache] = Cache,
    ) -> None:
        self.crew = Crew(progress)
        self.cache = kind(cache, self.crew)
        self.options = options
        self.layers = LayerStore(self.cache, self.crew)
        self.registries = Registries(options, self.crew)
        self.crew.at_stop(self.registries.cut)
        self.timings: dict[str, float] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open connections and files as they are needed."""
        self._stack.callback(self.layers.close)
        self._stack.enter_context(self.registries)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them."""
        self._stack.close()

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Measure a step in seconds."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.timings[step] = round(time.monotonic() - start, 3)
