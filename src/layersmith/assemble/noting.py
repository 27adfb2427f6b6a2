"""A source that notes what is read of it: just that has to be in a bundle."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Readable, Source
    from layersmith.oci.documents import Descriptor

__all__ = ["Noting"]


class Noting:
    """Another source, and the descriptors that were asked of it, in their order."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name = source.name
        self.noted: list[Descriptor] = []

    def resolve(self, identifier: str) -> Descriptor:
        """Ask the other source."""
        return self._source.resolve(identifier)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open it there, and note it, whether it is there or not."""
        self.noted.append(descriptor)
        with self._source.open(descriptor) as stream:
            yield stream
