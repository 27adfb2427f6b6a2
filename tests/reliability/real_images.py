"""Images that people run: every one of their layers is to be accepted, and read as Go does.

The fixtures, and the archives in the directory that ``LAYERSMITH_IMAGES`` names, if any.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fixtures import build, sandbox
from tests.build.image import AMD64, ARM64
from tests.interop.tarpeers import devices, on_disk, removed, seen

from layersmith.errors import LayersmithError
from layersmith.oci.image import load, select
from layersmith.stores.archive import OciArchive
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.reliability.layer_reading import Reader
    from tests.reliability.scoreboard import Run


__all__ = ["read_real_images"]

PLATFORMS: Final = (AMD64, ARM64)


def read_real_images(run: Run, reader: Reader) -> tuple[str, list[str]]:
    """Return what was read, and what went wrong."""
    layers, images, misses = set(), 0, []
    for source, folder in _sources():
        for tag in source.tags() if run.full else source.tags()[:1]:
            top = load(source, tag)
            for platform in PLATFORMS:
                try:
                    image = select(source, top, platform)
                    root = reader.tree(source, image.layers)
                except LayersmithError as error:
                    misses.append(f"{source.name} {tag} {platform}: {error}")
                    continue
                images += 1
                layers |= {layer.diff_id for layer in image.layers}
                if run.full and folder is not None:
                    bundle = run.scratch / "bundle"
                    rootfs = sandbox.unpack(folder, tag, platform.architecture, bundle).rootfs
                    there, absent = on_disk(rootfs), devices(root)
                    ours = seen(root).without(absent)
                    if (there.without(absent).paths, there.inodes) != (ours.paths, ours.inodes):
                        misses.append(f"{source.name} {tag} {platform}: Go makes another tree")
                    removed(bundle)
    return f"{len(layers)} layers of {images} real images accepted", misses


def _sources() -> Iterator[tuple[Layout | OciArchive, Path | None]]:
    made = build.build()
    for folder in (made.base, made.builder):
        yield Layout(folder), folder
    named = os.environ.get("LAYERSMITH_IMAGES", "")
    for path in sorted(Path(named).glob("*.tar")) if named else ():
        yield OciArchive(path), None
