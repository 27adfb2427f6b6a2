"""``layersmith rebase``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layersmith.cli.beside import BesideWished  # noqa: TC001 - typer reads the annotations
from layersmith.cli.locks import LockFile, TargetLocked, locked_recipe
from layersmith.cli.options import RecipeFile, Ref, takes_wish
from layersmith.cli.render_beside import beside_json, published_lines
from layersmith.cli.running import Run  # noqa: TC001 - typer reads the annotations
from layersmith.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.assemble.moving import Moved
    from layersmith.assemble.rebasing import Rebased
    from layersmith.recipe.recipe import Recipe
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["rebase"]

_PANEL = "Rebase"
_MOST = 20

Onto = Annotated[
    str,
    typer.Option(
        "--onto",
        help="The new base: a target, which is assembled, or a Python image that layersmith made.",
        rich_help_panel=_PANEL,
        metavar="TARGET|REF",
    ),
]
OldBase = Annotated[
    str,
    typer.Option(
        "--old-base",
        help="What the image was built on, if layersmith did not build it; its layers must be the "
        "lowest of the image.",
        rich_help_panel=_PANEL,
        metavar="REF",
    ),
]
Shadowing = Annotated[
    bool,
    typer.Option(
        "--allow-shadowing",
        help="Files of the application may hide what is new in the base.",
        rich_help_panel=_PANEL,
    ),
]
ChosenPlatforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        help="A platform of the image; repeatable. All of them by default.",
        rich_help_panel=_PANEL,
        metavar="OS/ARCH",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        help="A layout or an archive to write. Default: oci:dist/rebased, unless --push is given.",
        metavar="PLACE",
    ),
]
Push = Annotated[
    list[str] | None,
    typer.Option(
        help="A repository to push to; without a tag it gets that of the image. Repeatable.",
        metavar="REF",
    ),
]


@takes_wish
def rebase(
    recipe: Recipe,
    network: RegistryOptions,
    *,
    ref: Ref,
    target: Onto = "",
    old_base: OldBase = "",
    allow_shadowing: Shadowing = False,
    platform: ChosenPlatforms = None,
    file: RecipeFile = None,
    locked: TargetLocked = False,
    lock_file: LockFile = None,
    output: Output = "",
    push: Push = None,
    beside: BesideWished,
    run: Run,
) -> None:
    """Put an application on a new base, all its platforms: only manifests and configs are made.

    What does not fit is refused, with every reason, before anything is written. The options that
    shape an image, as for assemble, are those of a target.

    Examples:

    ```
    layersmith rebase registry.example/shop:1.4 --onto 3.13-debian13 --push registry.example/shop
    layersmith rebase oci:dist/app --onto registry.example/team/python:3.13-debian13
    layersmith rebase registry.example/team/old:7 --old-base team/python:3.12 --onto 3.12-debian12
    ```
    """
    from msgspec import structs

    from layersmith.assemble import rebasing
    from layersmith.assemble.inputs import FREE

    onto = target or recipe.target or recipe.base_image
    recipe = structs.replace(recipe, target=onto)
    pinned = FREE
    if locked or lock_file is not None:
        recipe, pinned = locked_recipe(recipe, file, lock_file, locked=locked)
    recipe = structs.replace(
        recipe, platforms=tuple(platform or ()), output=output, push=tuple(push or ())
    )
    wish = rebasing.Wish(
        ref=ref, onto=onto, recipe=recipe, pinned=pinned, old_base=old_base,
        shadowing=allow_shadowing,
    )  # fmt: skip
    attached, signing = beside.beside, beside.signing()
    with run.workshop(network) as workshop:
        done = rebasing.rebase(workshop, wish, attached, signing)
        beside.write(workshop.cache, done.published.attached, "app")
    timings = workshop.timings
    typer.echo(_json(done, timings) if run.json else _text(done, timings))


def _text(done: Rebased, timings: Mapping[str, float]) -> str:
    if done.is_same:
        lines = [f"{done.place} stands on {done.python.name} already: nothing to do"]
    else:
        lines = [f"{done.place}: from {done.before.descriptor.digest}"]
        lines.append(f"  onto {done.python.name}: Python {done.python.version}")
    lines.append(f"  index  {done.index.descriptor.digest}")
    for one in done.moved:
        lines += _platform(one)
    lines += published_lines(done.published)
    lines.append(f"  done in {sum(timings.values()):.1f} s")
    if done.published.names:
        lines.append(f"  next: {_next(done)}")
    return "\n".join(lines)


def _platform(one: Moved) -> list[str]:
    from layersmith.cli.progress import size
    from layersmith.errors import one_line

    lines = [f"  {one.image.platform!s:<12} {one.image.manifest.descriptor.digest}"]
    below = len(one.image.layers) - one.layers
    lines.append(
        f"  {'':<12} {counted(one.layers, 'layer')} on {below}, image {size(one.image.size)}"
    )
    for choice in one.choices:
        line = f"{choice.key}: {choice.now!r} of the {choice.origin}"
        other = choice.base if choice.origin == "application" else choice.before
        name = "base's" if choice.origin == "application" else "image's"
        lines.append(one_line(f"  {'':<12} {line}, not the {name} {other!r}", 300))
    lines += [f"  {'':<12} hides /{path} of the base" for path in one.fit.hidden[:_MOST]]
    if (more := len(one.fit.hidden) - _MOST) > 0:
        lines.append(f"  {'':<12} hides {more} more (--json has all)")
    lines += [
        f"  {'':<12} without {lack.soname}, wanted by /{', /'.join(lack.wanted_by)}"
        for lack in one.fit.unresolved
    ]
    return lines


def _next(done: Rebased) -> str:
    """Return what one may do now: what vouched for the old image says nothing of the new."""
    name = done.published.names[0]
    if done.is_same or done.published.signed:
        return f"layersmith inspect {name}"
    return f"layersmith sign {name} --key layersmith.key --recursive"


def _json(done: Rebased, timings: Mapping[str, float]) -> str:
    from json import dumps

    top = done.index.descriptor
    document = {
        "from": {"reference": str(done.place), "digest": done.before.descriptor.digest},
        "image": {"reference": done.python.name, "digest": done.python.input.digest},
        "python": done.python.version,
        "same": done.is_same,
        "digest": top.digest,
        "mediaType": top.media_type,
        "size": top.size,
        "tags": list(done.published.names),
        "platforms": [_moved(one) for one in done.moved],
        **beside_json(done.published),
        "timings": dict(timings),
    }
    return dumps(document, indent=2)


def _moved(one: Moved) -> dict[str, Any]:
    return {
        "platform": str(one.image.platform),
        "from": one.before.manifest.descriptor.digest,
        "base": one.base.manifest.descriptor.digest,
        "digest": one.image.manifest.descriptor.digest,
        "config": one.image.config.descriptor.digest,
        "size": one.image.size,
        "layers": [d.digest for d in one.image.manifest.value.layers[-one.layers :]],
        "values": [{**choice._asdict(), "origin": choice.origin} for choice in one.choices],
        "hidden": [f"/{path}" for path in one.fit.hidden],
        "unresolved": [
            {"soname": lack.soname, "wanted_by": [f"/{path}" for path in lack.wanted_by]}
            for lack in one.fit.unresolved
        ],
    }
