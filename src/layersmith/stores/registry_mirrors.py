"""A repository that is read from mirrors first, and from its registry last.

Only reading by tag or digest is mirrored; everything else is asked of the registry.
Content is verified by its digest wherever it comes from, so a mirror can hold back or
delay, but not change, what a digest names.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layersmith.errors import (
    DocumentError,
    LayersmithError,
    NotFound,
    StoreError,
    VerificationError,
)
from layersmith.oci.reference import valid_tag
from layersmith.stores.registry_repository import RegistryRepository

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layersmith.oci.content import Readable
    from layersmith.oci.documents import Descriptor

__all__ = ["Mirror", "MirroredRepository"]

_FAILURES = (StoreError, VerificationError, DocumentError)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror's repository, and what it is asked for."""

    repository: RegistryRepository
    digests: bool = True
    tags: bool = True


class MirroredRepository(RegistryRepository):
    """The registry's repository; `mirrors` are tried before it, in their order."""

    def __init__(self, mirrors: Sequence[Mirror], *args: Any) -> None:
        super().__init__(*args)
        self._mirrors = tuple(mirrors)
        self._failed: set[int] = set()

    def resolve(self, identifier: str) -> Descriptor:
        """Return what the first mirror that knows it says, else the registry's answer."""
        by_tag = valid_tag(identifier)
        for mirror in self._usable(tags=by_tag):
            try:
                return mirror.repository.resolve(identifier)
            except _FAILURES as error:
                self._note(mirror, error)
        return super().resolve(identifier)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open at the first mirror that has it, else at the registry."""
        with ExitStack() as opened:
            stream: Readable | None = None
            for mirror in self._usable(tags=False):
                try:
                    stream = opened.enter_context(mirror.repository.open(descriptor))
                    break
                except _FAILURES as error:
                    self._note(mirror, error)
            yield stream or opened.enter_context(super().open(descriptor))

    def _usable(self, *, tags: bool) -> Iterator[Mirror]:
        for mirror in self._mirrors:
            wanted = mirror.tags if tags else mirror.digests
            if wanted and id(mirror) not in self._failed:
                yield mirror

    def _note(self, mirror: Mirror, error: LayersmithError) -> None:
        """Leave a mirror alone that failed otherwise than by not having something."""
        if not isinstance(error, NotFound):
            self._failed.add(id(mirror))
