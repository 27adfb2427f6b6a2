"""From what a user writes to a source or a sink: a reference, or ``oci:DIR[:TAG]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersmith.errors import InvalidReference
from layersmith.oci.reference import Reference, valid_tag
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from layersmith.oci.content import Sink, Source
    from layersmith.stores.registry import Registries
    from layersmith.stores.registry_repository import RegistryRepository

__all__ = ["Place"]

_LAYOUT: Final = "oci:"


@dataclass(frozen=True, slots=True)
class Place:
    """A registry reference, or a layout directory with the tag in it."""

    reference: Reference | None
    directory: Path | None
    tag: str | None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `text`; raises :class:`InvalidReference`."""
        if not text.startswith(_LAYOUT):
            reference = Reference.parse(text)
            return cls(reference, None, reference.tag)
        path = text.removeprefix(_LAYOUT)
        head, colon, tail = path.rpartition(":")
        tag = tail if colon and "/" not in tail else None
        directory = head if tag is not None else path
        if not directory or (tag is not None and not valid_tag(tag)):
            raise InvalidReference(f"{text!r} is no layout", hint="write oci:DIR or oci:DIR:TAG")
        return cls(None, Path(directory), tag)

    @property
    def identifier(self) -> str:
        """The tag or digest to ask for."""
        return self.reference.identifier if self.reference is not None else self.tag or "latest"

    def __str__(self) -> str:
        """Return the place in full."""
        if self.reference is not None:
            return str(self.reference)
        return f"{_LAYOUT}{self.directory}" + (f":{self.tag}" if self.tag else "")

    def source(self, registries: Registries) -> Source:
        """Open for reading."""
        return self._open(registries, mirrored=True)

    def sink(self, registries: Registries) -> Sink:
        """Open for writing."""
        if self.reference is not None and self.reference.digest is not None:
            raise InvalidReference(
                f"{self.reference!s} names a digest: that is not a place to push to",
                hint="name a tag, or none",
            )
        return self._open(registries, mirrored=False)

    def named(self, tag: str) -> str:
        """Return how the place is called under `tag`."""
        if self.reference is not None:
            return str(self.reference.with_tag(tag))
        return f"{_LAYOUT}{self.directory}:{tag}"

    def _open(self, registries: Registries, *, mirrored: bool) -> Layout | RegistryRepository:
        if self.reference is not None:
            return registries.repository(self.reference, mirrored=mirrored)
        assert self.directory is not None
        return Layout(self.directory)
