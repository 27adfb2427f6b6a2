"""A layout as the entries of one tar, and its blobs as the contents of these.

Archives and bundles are written so: the same bytes for the same blobs and names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layersmith.oci.content import CHUNK, NoProgress
from layersmith.oci.digest import Digest
from layersmith.rootfs.entries import Directory, File, Meta, Slice
from layersmith.stores.refnames import LAYOUT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from layersmith.oci.content import Progress, Readable
    from layersmith.oci.documents import Descriptor
    from layersmith.rootfs.entries import Entry
    from layersmith.stores.refnames import RefNames

__all__ = ["BlobContents", "blob_name", "layout_entries"]

_FILE, _FOLDER = Meta(0o644), Meta(0o755)


def blob_name(digest: Digest) -> str:
    """Return where a layout keeps a blob."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def layout_entries(names: RefNames, blobs: Iterable[Descriptor]) -> dict[str, Entry]:
    """Return every entry of a layout with `blobs`, and `names` for some of them."""
    entries: dict[str, Entry] = {
        "blobs": Directory(_FOLDER, {}),
        "oci-layout": File(_FILE, LAYOUT_VERSION),
        "index.json": File(_FILE, names.raw),
    }
    for blob in blobs:
        entries[f"blobs/{blob.digest.algorithm}"] = Directory(_FOLDER, {})
        entries[blob_name(blob.digest)] = File(_FILE, Slice(blob.digest, 0, blob.size, b""))
    return entries


class BlobContents:
    """Blobs as contents of files to pack; `opened` gives one, verified while it is read.

    `progress`, if there is one, hears of what passes as of the making of a bundle.
    """

    def __init__(
        self,
        blobs: Iterable[Descriptor],
        opened: Callable[[Descriptor], AbstractContextManager[Readable]],
        progress: Progress | None = None,
    ) -> None:
        self._blobs = {blob.digest: blob for blob in blobs}
        self._opened = opened
        self._progress = progress or NoProgress()
        self._total = sum(blob.size for blob in self._blobs.values())

    def read(self, file: File) -> bytes:
        """Return the bytes of a file whole."""
        return b"".join(self.chunks(file))

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces."""
        content = file.content
        if isinstance(content, bytes):
            yield content
            return
        with self._opened(self._blobs[Digest(content.layer)]) as stream:
            while data := stream.read(CHUNK):
                self._progress.advance("bundle", len(data), self._total)
                yield data
