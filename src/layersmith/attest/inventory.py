"""What one platform's image holds: packages, files, and the layers that they came in.

An inventory depends on the image alone, not on the place it was read from nor on the moment:
whoever takes it gets the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layersmith.oci.documents import Platform
    from layersmith.oci.image import Layer

__all__ = ["Component", "Hashed", "Inventory", "System"]


@dataclass(frozen=True, slots=True)
class Hashed:
    """A regular file: `layer` is the diff_id of the layer that put it there.

    SHA-1 is what SPDX 2.3 asks for (clause 8.4); the SHA-256 is what vouches.
    """

    path: str
    size: int
    sha1: str
    sha256: str
    layer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A package and its files; `kind` is debian, python or cpython.

    `layers` are those that its record and its files came in. `source` is what it was built
    from, name and version.
    """

    kind: str
    name: str
    version: str
    purl: str
    cpe: str = ""
    license: str = ""
    supplier: str = ""
    architecture: str = ""
    source: tuple[str, str] | None = None
    place: str
    layers: tuple[str, ...]
    files: tuple[Hashed, ...]


@dataclass(frozen=True, slots=True)
class System:
    """The distribution, by os-release(5): its ID, its VERSION_ID, and how it calls itself."""

    name: str
    version: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything; `others` are the files of no package, `digest` is the manifest's."""

    name: str
    digest: str
    platform: Platform
    epoch: int
    layers: tuple[Layer, ...]
    system: System | None
    components: tuple[Component, ...]
    others: tuple[Hashed, ...]

    @property
    def files(self) -> list[Hashed]:
        """Every regular file, by path."""
        owned = (file for component in self.components for file in component.files)
        return sorted((*owned, *self.others), key=lambda file: file.path)
