"""``layersmith sbom``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.documents import file_name, write_document
from layersmith.cli.options import CacheDir, OnePlatform, Quiet, image_place, takes_network
from layersmith.cli.running import Running
from layersmith.errors import InvalidInput

if TYPE_CHECKING:
    from layersmith.assemble.rebuilding import Published
    from layersmith.oci.documents import Platform
    from layersmith.oci.image import Image
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["sbom"]

Ref = Annotated[
    str,
    typer.Argument(
        help="The image: a registry reference, oci:DIR or oci-archive:FILE, with :TAG or @DIGEST; "
        "or the directory of a layout.",
        metavar="REF|DIR",
    ),
]
FormatOption = Annotated[
    str,
    typer.Option("--format", help="spdx-json (SPDX 2.3) or cyclonedx-json (1.6).", metavar="NAME"),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        help="A file to write, or a directory: a file for every platform. Default: stdout.",
        metavar="FILE|DIR",
    ),
]


@takes_network
def sbom(
    network: RegistryOptions,
    ref: Ref,
    form: FormatOption = "spdx-json",
    platform: OnePlatform = "",
    output: Output = "",
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
) -> None:
    """List what is in an image: packages, files with hashes, the layers that they came in.

    Debian packages, CPython and Python distributions, the base's and ours, of any image. The
    document depends on the image alone: the same bytes wherever it is read, and as `assemble
    --sbom` attaches them.

    Examples:

    ```
    layersmith sbom registry.example/team/python:3.13 --platform linux/amd64
    layersmith sbom oci:dist/3.13-debian13 --format cyclonedx-json -o sboms/
    layersmith sbom python:3.13-slim --platform linux/arm64 -o python.spdx.json
    ```
    """
    from layersmith.assemble.describing import format_of, sboms
    from layersmith.assemble.inputs import Input
    from layersmith.assemble.rebuilding import published
    from layersmith.oci.documents import Platform
    from layersmith.stores.cache import CachedSource

    wanted = format_of(form)
    place = image_place(ref)
    one = Platform.parse(platform) if platform else None
    is_folder = output.endswith("/") or (bool(output) and Path(output).is_dir())
    with Running(cache_dir, json=False, quiet=quiet).workshop(network) as workshop:
        source = CachedSource(place.source(workshop.registries), workshop.cache)
        image = published(str(place), source, place.identifier)
        for found in _chosen(image, one, several=is_folder):
            (content,) = sboms(workshop, Input(source, place, image.top), found, [wanted])
            file = file_name("image", str(found.platform), wanted.suffix) if is_folder else ""
            write_document(workshop.cache, content, Path(output, file) if output else None)


def _chosen(image: Published, platform: Platform | None, *, several: bool) -> list[Image]:
    """Return the images to describe: that of `platform`, else every one, if that may be."""
    key = platform.key if platform else None
    chosen = [one for one in image.images if key in (None, one.platform.key)]
    if not chosen:
        raise image.lacks(platform)
    if len(chosen) > 1 and not several:
        raise InvalidInput(
            f"{image.name} is for several platforms",
            hint=f"it has: {image.platforms}. Choose one with --platform, or give a directory: "
            "-o DIR/",
        )
    return chosen
