"""``layersmith rebuild``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.options import takes_network
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations
from layersmith.errors import Differs, InvalidInput, one_line

if TYPE_CHECKING:
    from layersmith.assemble.bundled import Opened
    from layersmith.assemble.rebuilding import Published, Rebuilt
    from layersmith.assemble.workshop import Workshop
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["rebuild"]

_MOST = 40

Image = Annotated[
    str,
    typer.Argument(
        help="The image: a registry reference, oci:DIR or oci-archive:FILE, with :TAG or @DIGEST. "
        "Default: the bundle's.",
        metavar="REF",
    ),
]
BundleFile = Annotated[
    Path | None,
    typer.Option("--bundle", help="Take base, builder and lock from a bundle.", metavar="FILE"),
]
LockFile = Annotated[
    Path | None,
    typer.Option(
        "--lock",
        help="Take recipe, base and builder from a lock, not from the image's own record.",
        metavar="FILE",
    ),
]
ProvenanceFile = Annotated[
    Path | None,
    typer.Option(
        "--provenance",
        help="Take everything from a provenance statement; without REF what comes out is compared "
        "with the digests that it names. Its signature is not checked here.",
        metavar="FILE",
    ),
]


@takes_network
def rebuild(
    network: RegistryOptions,
    *,
    ref: Image = "",
    bundle: BundleFile = None,
    lock: LockFile = None,
    provenance: ProvenanceFile = None,
    run: Run,
) -> None:
    """Assemble an image again, from what it says of itself: equal to the bit, or why not.

    Exits with 0 if they are equal and with 1 if they differ. Nothing is written but the cache,
    and no earlier result in it is used.

    Examples:

    ```
    layersmith rebuild registry.example/team/python:3.13-debian13
    layersmith rebuild --provenance 3.13-debian13.provenance.json
    layersmith rebuild --bundle python.bundle
    layersmith rebuild registry.site.example/team/python:3.13-debian13 --bundle python.bundle
    ```
    """
    from layersmith.assemble import rebuilding
    from layersmith.assemble.bundled import open_bundle
    from layersmith.recipe.lock import read_lock

    if not ref and bundle is None and provenance is None:
        raise InvalidInput("there is nothing to rebuild", hint="name an image, or --bundle FILE")
    if provenance is not None and (bundle is not None or lock is not None):
        raise InvalidInput("--provenance says it all: leave out --bundle and --lock")
    if bundle is not None and lock is not None:
        raise InvalidInput("--lock beside --bundle", hint="a bundle has its lock: leave it out")
    with run.workshop(network, rebuilding.Forgetful) as workshop:
        opened = open_bundle(bundle) if bundle is not None else None
        known = read_lock(lock) if lock is not None else None
        if provenance is not None:
            done = _proved(workshop, provenance, ref)
        else:
            image = _published(workshop, ref, opened)
            done = rebuilding.rebuild(workshop, image, lock=known, bundle=opened)
    typer.echo(_json(done) if run.json else _text(done))
    if not done.is_equal:
        raise Differs(f"{done.name} is not what it is said to be made from")


def _proved(workshop: Workshop, path: Path, ref: str) -> Rebuilt:
    from layersmith.assemble.proving import check_subject, findable, prove, read_provenance
    from layersmith.assemble.rebuilding import Rebuilt, rebuild
    from layersmith.oci.digest import Digest

    claim = read_provenance(path)
    if ref:
        image = _published(workshop, ref, None)
        check_subject(claim, image.name, image.top.descriptor.digest)
        findable(claim.lock)
        return rebuild(workshop, image, lock=claim.lock)
    missed = prove(workshop, claim)
    said = claim.subjects[0].digest
    made = Digest(missed[0].rebuilt) if missed else said
    return Rebuilt(str(path), said, made, missed)


def _published(workshop: Workshop, ref: str, opened: Opened | None) -> Published:
    from layersmith.assemble.places import Place
    from layersmith.assemble.rebuilding import published
    from layersmith.errors import NotFound

    if ref:
        place = Place.parse(ref)
        return published(str(place), place.source(workshop.registries), place.identifier)
    assert opened is not None
    if not opened.tags:
        raise NotFound(f"{opened.bundle.name} has no image", hint="name one to compare with")
    return published(f"{opened.bundle.name}:{opened.tags[0]}", opened.bundle, opened.tags[0])


def _text(done: Rebuilt) -> str:
    if done.is_equal:
        return f"{one_line(done.name)}: equal\n  {done.image}"
    lines = [f"{one_line(done.name)}: differs", f"  image    {done.image}"]
    lines.append(f"  rebuilt  {done.rebuilt}")
    lines += [one_line(f"  {difference}", 600) for difference in done.differences[:_MOST]]
    more = len(done.differences) - _MOST
    return "\n".join([*lines, f"  and {more} more (--json has all)"] if more > 0 else lines)


def _json(done: Rebuilt) -> str:
    from dataclasses import asdict
    from json import dumps

    document = {
        "name": done.name,
        "equal": done.is_equal,
        "digest": done.image,
        "rebuilt": done.rebuilt,
        "differences": [asdict(difference) for difference in done.differences],
    }
    return dumps(document, indent=2)
