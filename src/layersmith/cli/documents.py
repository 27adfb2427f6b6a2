"""Documents about images as files: SBOMs, provenance."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layersmith.assemble.outcome import Attached
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.cache import Cache

__all__ = ["file_name", "write_attached", "write_document"]


def file_name(stem: str, platform: str, suffix: str) -> str:
    """Return how a document's file is called, ``3.13-debian13-linux-amd64.spdx.json``."""
    parts = [stem, *platform.split("/")] if platform else [stem]
    return f"{'-'.join(parts)}.{suffix}"


def write_document(cache: Cache, content: Descriptor, path: Path | None) -> None:
    """Write a document of the cache to `path`, or to stdout, verified.

    Raises :class:`OutputError`.
    """
    from layersmith.stores.files import write_whole

    with cache.open(content) as stream:
        raw = stream.read()
    if path is None:
        sys.stdout.buffer.write(raw)
        return
    write_whole(path, raw)


def write_attached(cache: Cache, attached: Sequence[Attached], stem: str, folder: Path) -> None:
    """Write everything that was attached to images into `folder`, each file's name by `stem`."""
    written = set()
    for one in attached:
        if one.content.digest in written:  # one document about several images
            continue
        written.add(one.content.digest)
        platform = str(one.platform) if one.platform else ""
        write_document(cache, one.content, folder / file_name(stem, platform, one.name))
