"""``layersmith assemble``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layersmith.cli.cachedir import cache_directory
from layersmith.cli.documents import write_attached
from layersmith.cli.locks import BundleFile, Locked, LockFile, settled_recipe
from layersmith.cli.options import CacheDir, Json, Quiet, RecipeFile, takes_wish, target_of
from layersmith.cli.sign import signer
from layersmith.cli.words import not_empty
from layersmith.errors import RecipeError

if TYPE_CHECKING:
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["assemble"]

Output = Annotated[
    str,
    typer.Option(
        help="A layout or an archive to write: oci:DIR, oci-archive:FILE or "
        "docker-archive:FILE, with or without :TAG. Default: oci:dist/TARGET, unless "
        "--push is given.",
        metavar="PLACE",
    ),
]
Push = Annotated[
    list[str] | None,
    typer.Option(
        help="A repository to push to; without a tag it gets two. Repeatable.", metavar="REF"
    ),
]
Sbom = Annotated[
    bool,
    typer.Option(
        "--sbom", help="Attach an SBOM to every platform's image: SPDX, or see --sbom-format."
    ),
]
SbomFormat = Annotated[
    list[str] | None,
    typer.Option(help="spdx-json or cyclonedx-json; repeatable. Implies --sbom.", metavar="NAME"),
]
Provenance = Annotated[
    bool,
    typer.Option(
        "--provenance", help="Attach how it was made (in-toto, SLSA v1) to index and images."
    ),
]
Documents = Annotated[
    Path | None,
    typer.Option(help="Write what is attached into a directory too.", metavar="DIR"),
]

Sign = Annotated[
    str,
    typer.Option(
        "--sign",
        callback=not_empty,
        help="Sign the index and every platform with this private key (FILE or env://NAME), "
        "and attest SBOMs and provenance if there are any, before the tags are written.",
        metavar="KEY",
    ),
]
SignCarrier = Annotated[
    str, typer.Option("--sign-carrier", help="referrer, tag or both.", metavar="CARRIER")
]
SignAs = Annotated[
    str,
    typer.Option(
        "--sign-as",
        callback=not_empty,
        help="Sign as this repository's; a layout has none of its own.",
        metavar="NAME",
    ),
]


@takes_wish
def assemble(
    recipe: Recipe,
    network: RegistryOptions,
    file: RecipeFile = None,
    locked: Locked = False,
    lock_file: LockFile = None,
    bundle: BundleFile = None,
    output: Output = "",
    push: Push = None,
    sbom: Sbom = False,
    sbom_format: SbomFormat = None,
    provenance: Provenance = False,
    documents: Documents = None,
    sign: Sign = "",
    sign_carrier: SignCarrier = "referrer",
    sign_as: SignAs = "",
    cache_dir: CacheDir = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make an image for every platform, one new layer on the base, and deliver it.

    Examples:

    ```
    layersmith assemble 3.13-debian13
    layersmith assemble 3.13-debian13 --push registry.example/team/python
    layersmith assemble 3.13-debian13-debug --platform linux/arm64 --output oci:out
    layersmith assemble --file layersmith.toml --locked --json
    layersmith assemble 3.13-debian13 --push registry.example/team/python --sbom --provenance
    layersmith assemble 3.13-debian13 --push registry.example/team/python --sign layersmith.key
    layersmith assemble --bundle python.bundle --push registry.site.example/team/python
    ```
    """
    from msgspec import structs

    from layersmith.assemble.assembling import PLAIN, Beside, Signing
    from layersmith.assemble.assembling import assemble as run
    from layersmith.assemble.workshop import Workshop
    from layersmith.cli import render
    from layersmith.cli.progress import shown

    recipe = structs.replace(
        recipe, output=output or recipe.output, push=tuple(push or recipe.push)
    )
    beside = Beside(tuple(sbom_format or (["spdx-json"] if sbom else ())), provenance)
    if documents is not None and beside == PLAIN:
        raise RecipeError("--documents, but there is none", hint="add --sbom or --provenance")
    recipe, pinned = settled_recipe(recipe, file, lock_file, bundle, locked=locked)
    signing = Signing(signer(sign, sign_carrier), sign_as) if sign else None
    with (
        cache_directory(cache_dir) as cache,
        shown(quiet=quiet) as progress,
        Workshop(cache, network, progress) as workshop,
    ):
        done = run(workshop, target_of(recipe), recipe, pinned, beside, signing)
        if documents is not None:
            write_attached(workshop.cache, done, documents)
    if json:
        typer.echo(render.assembled_json(done, workshop.timings))
    else:
        typer.echo(render.summary(done, workshop.timings))
