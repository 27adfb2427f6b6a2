"""Scanning: databases from where they are, packages from an image or an SBOM, and a report."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersmith.assemble.describing import inventory
from layersmith.assemble.inputs import Input
from layersmith.attest.names import shown
from layersmith.errors import DocumentError, InvalidInput, NotFound, intention
from layersmith.scan import subjects
from layersmith.scan.database import collect
from layersmith.scan.ignoring import apply
from layersmith.scan.matching import scan
from layersmith.scan.report import Report
from layersmith.scan.sboms import MAX_SBOM, packages
from layersmith.stores.files import OpenFile, disk_errors
from layersmith.stores.osv import Export, export_at, export_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from layersmith.assemble.places import Place
    from layersmith.assemble.rebuilding import Published
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.inventory import Inventory
    from layersmith.oci.image import Image
    from layersmith.scan.ignoring import Ignore
    from layersmith.scan.subjects import Subject
    from layersmith.stores.cache import CachedSource
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["exports", "of_image", "of_sbom", "report"]

_OURS: Final = "layersmith"  # the comment of a layer's history entry
# Where other distributions record packages that are not looked up here.
_STRANGE: Final = re.compile(
    r"(?:usr/)?lib/apk/db/installed|var/lib/pacman/local/ALPM_DB_VERSION"
    r"|(?:var/lib|usr/lib/sysimage|usr/share)/rpm/(?:Packages|Packages\.db|rpmdb\.sqlite)"
)
_SCHEMES: Final = ("https://", "http://")


def exports(workshop: Workshop, network: RegistryOptions, places: Iterable[str]) -> list[Export]:
    """Open databases, files or URLs, in the order they are named; raises what that raises."""
    return [_export(workshop, network, place) for place in dict.fromkeys(places)]


def of_image(
    workshop: Workshop,
    source: CachedSource,
    place: Place,
    image: Published,
    chosen: Sequence[Image],
) -> list[Subject]:
    """Return the packages in the `chosen` platforms' images; raises what reading these raises."""
    found: list[Subject] = []
    for one in chosen:
        taken = inventory(workshop, Input(source, place, image.top), one)
        found += _subjects(taken, _our_layers(one))
    return subjects.subjects(found)


def of_sbom(path: Path) -> list[Subject]:
    """Return the packages that an SBOM lists; raises :class:`DocumentError`."""
    if path.is_dir():
        raise InvalidInput(f"{path} is a directory, no SBOM", hint="write sbom:FILE")
    with disk_errors(f"reading {path}"):
        try:
            file = OpenFile.at(path)
        except FileNotFoundError:
            raise NotFound(
                f"{path}: there is no such file", hint="layersmith sbom REF -o FILE makes one"
            ) from None
        raw = file.pread(MAX_SBOM + 1, 0)
    return subjects.subjects(packages(raw, str(path)))


def report(
    name: str,
    found: Sequence[Subject],
    databases: Iterable[Export],
    ignores: Sequence[Ignore],
    today: date,
) -> Report:
    """Hold packages against databases; raises :class:`DocumentError` for one without an entry."""
    read = []
    for one in databases:
        taken = collect(one.name, one.sha256, one.records(), found)
        if taken.entries == len(taken.malformed):
            why = f": {': '.join(taken.malformed[0])}" if taken.malformed else ""
            raise DocumentError(
                f"{one.name} has no entries that can be read{why}",
                hint="a database is OSV's all.zip of an ecosystem, a directory, .json or .jsonl",
            )
        read.append(taken)
    scanned = scan(found, read)
    return Report(
        name=name,
        platforms=tuple(sorted({place.platform for one in found for place in one.places})),
        subjects=found,
        databases=read,
        scanned=scanned,
        applied=apply(scanned.findings, ignores, today),
        today=today,
    )


def _export(workshop: Workshop, network: RegistryOptions, place: str) -> Export:
    if not place:  # it would be the current directory
        raise InvalidInput("--db is empty", hint="is a variable not set?")
    if not place.lower().startswith(_SCHEMES):
        if "://" in place:
            raise InvalidInput(f"{place!r}: a database is a file or an https URL")
        return export_at(Path(place))
    from layersmith.stores.fetched import fetch  # noqa: PLC0415 - the network
    from layersmith.stores.registry_urls import redacted  # noqa: PLC0415 - as above

    content = fetch(place, network, workshop.cache, workshop.crew)
    with intention("the database"):
        file = workshop.cache.sound(content)
        if file is None:
            raise NotFound(f"{redacted(place)} is not in the cache any more", hint="run it again")
        return export_of(file, redacted(place))


def _subjects(taken: Inventory, ours: frozenset[str]) -> Iterator[Subject]:
    for one in taken.components:
        layer = one.layers[0] if one.layers else ""
        origin = ("ours" if layer in ours else "base") if ours and layer else ""
        place = subjects.Place(str(taken.platform), shown(one.place), layer, origin)
        yield subjects.subject(one.kind, one.name, one.version, one.purl, one.source, place)
    for file in taken.others:
        if _STRANGE.fullmatch(file.path):
            yield subjects.strange(subjects.Place(str(taken.platform), file.path, file.layer))


def _our_layers(image: Image) -> frozenset[str]:
    """Return the layers that layersmith has put on top: as many as its history says."""
    history = reversed(image.config.value.history or ())
    made = takewhile(lambda entry: entry.comment == _OURS, history)
    count = sum(not entry.empty_layer for entry in made)
    return frozenset(str(layer.diff_id) for layer in image.layers[len(image.layers) - count :])
