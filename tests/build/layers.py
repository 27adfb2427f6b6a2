"""Layers held in memory: what a cache of layers does on the disk."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layersmith.rootfs.checksum import checksum
from layersmith.rootfs.layer import Change, overlay, read_layer
from layersmith.rootfs.tree import Root
from layersmith.stores.index import index_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.rootfs.entries import File


@dataclass(frozen=True)
class LayerContents:
    """Contents that are slices of uncompressed layers, by the layers' names."""

    layers: Mapping[str, bytes]

    def read(self, file: File) -> bytes:
        content = file.content
        if isinstance(content, bytes):
            return content
        data = self.layers[content.layer][content.offset : content.offset + content.size]
        assert checksum(data) == content.checksum
        return data

    def chunks(self, file: File) -> Iterator[bytes]:
        yield self.read(file)


def changes(data: bytes, name: str = "layer") -> list[Change]:
    return list(read_layer(io.BytesIO(data), name))


def stacked(*layers: bytes) -> Root:
    """Return the file system of uncompressed `layers`, lowest first."""
    named = {f"layer {number}": data for number, data in enumerate(layers)}
    tree = overlay([changes(data, name) for name, data in named.items()])
    return Root(tree, LayerContents(named))


def pack_index(size: int, changes: Sequence[Change]) -> bytes:
    return b"".join(index_pieces(size, changes))
