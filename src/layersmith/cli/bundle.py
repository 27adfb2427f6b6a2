"""``layersmith bundle``: create, inspect, verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.cache import parsed_size
from layersmith.cli.helptext import Command, Commands
from layersmith.cli.locks import LockFile, as_json, locked_recipe
from layersmith.cli.options import Json, Quiet, RecipeFile, takes_wish
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations
from layersmith.cli.words import counted
from layersmith.errors import LayerError, RecipeError, VerificationError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.assemble.bundled import Opened
    from layersmith.assemble.bundling import Bundled
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["bundle"]

_SMALLEST = 1 << 20  # bytes of a part
_AGAIN = "bring the bundle again, or make it anew"

bundle = typer.Typer(
    name="bundle",
    help="Take everything that an assemble needs to where no network is.",
    rich_markup_mode=None,
    cls=Commands,
    add_completion=False,
)

Output = Annotated[
    Path, typer.Option("--output", "-o", help="The bundle to write.", metavar="FILE")
]
Pack = Annotated[
    str,
    typer.Option(
        "--compression",
        help="Compress the bundle itself: gzip, zstd or none, with or without :LEVEL. "
        "Default: none, for nearly all in it is compressed already.",
        metavar="CODEC",
    ),
]
Split = Annotated[
    str,
    typer.Option(
        help="Write parts of at most this size, like 4G: FILE.000, FILE.001 ... and FILE.sha256.",
        metavar="SIZE",
    ),
]
Locked = Annotated[
    bool, typer.Option("--locked", help="Take what the lock says; end with 10 if it differs.")
]
Bundled_ = Annotated[Path, typer.Argument(help="A bundle, or one of its parts.", metavar="FILE")]


@bundle.command(cls=Command, name="create")
@takes_wish
def create(
    recipe: Recipe,
    network: RegistryOptions,
    *,
    output: Output,
    file: RecipeFile = None,
    locked: Locked = False,
    lock_file: LockFile = None,
    compression: Pack = "none",
    split: Split = "",
    run: Run,
) -> None:
    """Assemble, and write everything that it takes, lock and image included, to one archive.

    It is an OCI archive, and the same bytes whoever writes it: `base`, `builder`, `lock` and
    the image under its tags.

    Examples:

    ```
    layersmith bundle create 3.13-debian13 -o python.bundle
    layersmith bundle create --lock layersmith.lock -o python.bundle --split 4G
    layersmith assemble --bundle python.bundle --push registry.site.example/team/python
    ```
    """
    from layersmith.assemble import bundling
    from layersmith.rootfs.compressor import Compressor

    compressor = Compressor.parse(compression)
    limit = parsed_size(split) if split else 0
    if split and limit < _SMALLEST:
        raise RecipeError(f"--split {one_line(split, 40)!r}: parts have at least 1MiB")
    recipe, pinned = locked_recipe(recipe, file, lock_file, locked=locked)
    with run.workshop(network) as workshop:
        done = bundling.create(
            workshop, recipe, output, pinned=pinned, compressor=compressor, limit=limit
        )
    typer.echo(_created_json(done) if run.json else _created(done))


@bundle.command(cls=Command)
def inspect(file: Bundled_, json: Json = False) -> None:
    """Show what a bundle is for, what is in it, and how large it is.

    Examples:

    ```
    layersmith bundle inspect python.bundle
    layersmith bundle inspect python.bundle.000 --json
    ```
    """
    from layersmith.assemble.bundled import open_bundle

    opened = open_bundle(file)
    typer.echo(_shown_json(opened) if json else "\n".join(_shown(opened)))


@bundle.command(cls=Command)
def verify(file: Bundled_, json: Json = False, quiet: Quiet = False) -> None:
    """Read every byte of a bundle; name what is damaged, and what is missing and for whom.

    Exits with 6 if something is, or if the archive itself is broken.

    Examples:

    ```
    layersmith bundle verify python.bundle
    ```
    """
    from json import dumps

    from layersmith.assemble.bundled import missing_of, open_bundle
    from layersmith.cli.progress import shown
    from layersmith.oci.documents import Platform
    from layersmith.stores.parts import damaged_parts

    document: dict[str, Any] = {"bundle": str(file), "blobs": 0, "damaged": [], "missing": []}
    document["parts"] = [str(part) for part in damaged_parts(file)]
    if not document["parts"]:  # else what is in them is guesswork
        try:
            opened = open_bundle(file)
            with shown(quiet=quiet) as progress:
                document["damaged"] = [digest for digest, _ in opened.damaged(progress)]
        except LayerError as error:
            raise VerificationError(error.message, hint=_AGAIN) from None
        platforms = [Platform.parse(platform) for platform in opened.lock.platforms]
        needs = [*opened.inputs(platforms), *opened.image()]
        document["missing"] = missing_of(opened.bundle, iter(needs))
        document["blobs"] = len(opened.bundle.blobs)
    typer.echo(dumps(document, indent=2) if json else "\n".join(_verified(file, document)))
    faults = [len(document[kind]) for kind in ("parts", "damaged", "missing")]
    if any(faults):
        of_parts = f"{counted(faults[0], 'part')} damaged or missing"
        of_blobs = f"{counted(faults[1], 'blob')} damaged, {faults[2]} missing"
        what = of_parts if faults[0] else of_blobs
        raise VerificationError(f"{one_line(str(file))}: {what}", hint=_AGAIN)


def _verified(file: Path, document: dict[str, Any]) -> Iterator[str]:
    for part in document["parts"]:
        yield one_line(f"{'damaged' if Path(part).exists() else 'missing'} part: {part}", 1000)
    for kind in ("damaged", "missing"):
        for line in document[kind]:
            yield one_line(f"{kind}: {line}", 1000)
    if not (document["parts"] or document["damaged"] or document["missing"]):
        yield f"{one_line(str(file))}: {counted(document['blobs'], 'blob')}, all as it should be"


def _created(done: Bundled) -> str:
    from layersmith.cli.progress import size

    lines = [f"{one_line(str(path))}  {size(path.stat().st_size)}" for path in done.files]
    lines.append(f"  image  {done.image}")
    lines.append(f"  {counted(done.blobs, 'blob')}, {size(done.size)}")
    return "\n".join([*lines, "", f"Use it:  layersmith assemble --bundle {done.files[0]}"])


def _created_json(done: Bundled) -> str:
    from json import dumps

    document = {
        "files": [{"path": str(path), "size": path.stat().st_size} for path in done.files],
        "digest": done.image,
        "blobs": done.blobs,
        "size": done.size,
        "lock": as_json(done.lock),
    }
    return dumps(document, indent=2)


def _listed(opened: Opened) -> dict[str, Any]:
    names = {name: opened.bundle.resolve(name).digest for name in opened.bundle.tags()}
    sizes = {digest: opened.bundle.size_of(digest) or 0 for digest in opened.bundle.blobs}
    return {"names": names, "blobs": len(sizes), "size": sum(sizes.values())}


def _shown(opened: Opened) -> Iterator[str]:
    from layersmith.cli.progress import size

    lock, listed = opened.lock, _listed(opened)
    yield f"{one_line(opened.bundle.name)}: {lock.wish.target}, Python {one_line(lock.python)}"
    made = f"layersmith {lock.made.layersmith}, {lock.made.compressor}"
    yield f"  made by  {one_line(made)}"
    for name, locked in (("base", lock.base), ("builder", lock.builder)):
        yield f"  {name:<8} {one_line(locked.reference)}  {locked.digest}"
    for tag in opened.tags:
        yield f"  image    {one_line(tag)}  {listed['names'][tag]}"
    from layersmith.oci.documents import Platform

    for platform in lock.platforms:
        needs = {n.blob.digest: n.blob.size for n in opened.inputs([Platform.parse(platform)])}
        total = size(sum(needs.values()))
        yield f"  {platform:<12} {counted(len(needs), 'blob')} to assemble, {total}"
    yield f"  {counted(listed['blobs'], 'blob')}, {size(listed['size'])}"


def _shown_json(opened: Opened) -> str:
    from json import dumps

    bundle_ = {"bundle": opened.bundle.name, **_listed(opened), "lock": as_json(opened.lock)}
    return dumps(bundle_, indent=2)
