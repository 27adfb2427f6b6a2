"""A bundle: an OCI archive in one file or in parts, read where nothing else can be reached.

It is written in one go, straight from where its blobs are, and is the same bytes for the
same blobs. What is put into it otherwise is a case for :mod:`layersmith.stores.archive`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layersmith.errors import NotFound
from layersmith.oci.digest import Digest
from layersmith.rootfs.pack import pack
from layersmith.stores.archive import OciArchive
from layersmith.stores.packing import BlobContents, blob_name, layout_entries
from layersmith.stores.parts import open_parts, write_parts
from layersmith.stores.tarball import Tarball

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from layersmith.oci.content import Progress, Readable
    from layersmith.oci.documents import Descriptor
    from layersmith.rootfs.compressor import Compressor
    from layersmith.stores.refnames import RefNames

    Held = Mapping[Digest, tuple[Descriptor, Callable[[], AbstractContextManager[Readable]]]]

__all__ = ["Bundle", "write_bundle"]


class Bundle(OciArchive):
    """A bundle to read from."""

    kind = "bundle"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._opened: Tarball | None = None

    def index(self) -> None:
        """Find what is in it; raises :class:`NotFound`, or :class:`LayerError` for no tar."""
        self._tarball()

    @property
    def blobs(self) -> list[Digest]:
        """Every blob that is in it, by its name."""
        parts = [name.split("/") for name in self._tarball().names if name.startswith("blobs/")]
        return [Digest(":".join(part[1:])) for part in parts]

    def size_of(self, digest: Digest) -> int | None:
        """Return how large a blob is in it, None if it is not there."""
        name = blob_name(digest)
        return self._tarball().size(name) if self._tarball().has(name) else None

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether a blob of this name and size is in it."""
        return self.size_of(descriptor.digest) == descriptor.size

    def _member(self, descriptor: Descriptor) -> Readable:
        name = blob_name(descriptor.digest)
        if not self._tarball().has(name):
            raise NotFound(f"{self.name} has no blob {descriptor.digest}")
        return self._tarball().open(name)

    def _tarball(self) -> Tarball:
        if self._opened is None:
            self._opened = Tarball.joined(open_parts(self._path), self.name)
        return self._opened


def write_bundle(
    path: Path,
    names: RefNames,
    blobs: Held,
    compressor: Compressor,
    limit: int,
    progress: Progress,
) -> list[Path]:
    """Write `blobs`, and `names` for some of them; in parts of `limit` bytes if that is not 0.

    Returns the files that were written. Raises :class:`OutputError`, and as the blobs do.
    """
    described = [blob for blob, _ in blobs.values()]
    contents = BlobContents(described, lambda blob: blobs[blob.digest][1](), progress)
    tar = pack(layout_entries(names, described), contents, 0)
    return write_parts(path, compressor.compress(tar), limit)
