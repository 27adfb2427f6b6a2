"""SBOMs of images: made once for each image, format and layersmith, and kept in the cache.

An SBOM depends on nothing but the image, so the one that `assemble` attaches is, byte for byte,
the one that `layersmith sbom` gives for the image wherever it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith import __version__
from layersmith.assemble.reading import READERS, LayerReader, created_at, mending
from layersmith.errors import InvalidInput, intention, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Descriptor
from layersmith.oci.strictjson import decode, encode, typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layersmith.assemble.inputs import Input
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.inventory import Inventory
    from layersmith.oci.image import Image

__all__ = ["FORMATS", "Format", "format_of", "inventory", "is_described", "keep", "sboms"]

# Changes with anything in the code that gives another document for the same image.
_FORMAT: Final = "sbom 1"


class Format(NamedTuple):
    """A form of SBOM: its name, how its files end, and its media type."""

    name: str
    suffix: str
    media_type: str


FORMATS: Final = (
    Format("spdx-json", "spdx.json", "application/spdx+json"),
    Format("cyclonedx-json", "cdx.json", "application/vnd.cyclonedx+json"),
)


def format_of(name: str) -> Format:
    """Return the form of that name; raises :class:`InvalidInput`."""
    for known in FORMATS:
        if known.name == name:
            return known
    raise InvalidInput(
        f"{one_line(name, 60)!r} is no format of SBOMs",
        hint=f"one of: {', '.join(known.name for known in FORMATS)}",
    )


def sboms(
    workshop: Workshop, input_: Input, image: Image, formats: Sequence[Format]
) -> list[Descriptor]:
    """Return the SBOMs of an image in the order of `formats`: blobs of the cache, held open.

    `input_` is where its layers are. Raises what reading layers raises.
    """
    found = [_known(workshop, image, one) for one in formats]
    taken: Inventory | None = None
    for at, one in enumerate(formats):
        if found[at] is None:
            taken = taken or inventory(workshop, input_, image)
            made = keep(workshop, _written(taken, one), one.media_type)
            workshop.cache.remember(_key(image, one), encode(made))
            found[at] = made
    return [descriptor for descriptor in found if descriptor is not None]


def is_described(workshop: Workshop, image: Image, formats: Sequence[Format]) -> bool:
    """Tell whether the SBOMs of an image were made before, so that nothing of it is read."""
    return all(_known(workshop, image, one) is not None for one in formats)


def inventory(workshop: Workshop, input_: Input, image: Image) -> Inventory:
    """Return what is in an image, all of whose files are read; raises what that raises."""
    wanted = [(input_, image, True)]
    return mending(workshop.layers, wanted, lambda: _taken(workshop, input_, image))


def keep(workshop: Workshop, raw: bytes, media_type: str) -> Descriptor:
    """Put a document into the cache, held open until it is delivered."""
    with workshop.cache.new_blob() as new:
        new.file.write(raw)
        new.digest = Digest.of(raw)
    return Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))


def _taken(workshop: Workshop, input_: Input, image: Image) -> Inventory:
    from layersmith.attest.survey import survey  # noqa: PLC0415 - only where it is asked for

    with (
        intention(f"looking at {image.platform}"),
        workshop.crew.pool(READERS, "layer") as pool,
    ):
        (root,) = LayerReader(workshop.layers, pool).roots([(input_, image, True)])
        return survey(image, root, created_at(image))


def _written(found: Inventory, one: Format) -> bytes:
    if one.name == "spdx-json":
        from layersmith.attest.spdx import spdx  # noqa: PLC0415 - one of the two

        return spdx(found)
    from layersmith.attest.cyclonedx import cyclonedx  # noqa: PLC0415 - as above

    return cyclonedx(found)


def _key(image: Image, one: Format) -> str:
    digest = image.manifest.descriptor.digest
    return f"{_FORMAT} {__version__} {one.name} {image.platform} {digest}"


def _known(workshop: Workshop, image: Image, one: Format) -> Descriptor | None:
    kept = workshop.cache.recall(_key(image, one))
    if kept is None:
        return None
    descriptor = typed(decode(kept, "sbom"), Descriptor, "sbom")
    return descriptor if workshop.cache.hold(descriptor) else None
