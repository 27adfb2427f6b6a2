"""``app build``: a Python image below, two layers on top, for every platform.

::

    lock x interpreter -pins-> index -choose-> wheels -install-> layer of dependencies
    source | wheel -filter-> layer of the application
    Python image + both -derive-> config, manifest;  manifests -> index -deliver->
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from layersmith.apps.pins import Indexes
from layersmith.apps.site import APP, VENV
from layersmith.assemble.applayer import Application, make_application
from layersmith.assemble.below import archives_for, below_of
from layersmith.assemble.compiling import find_compiler
from layersmith.assemble.delivery import Blob
from layersmith.assemble.dependencies import Dependencies, Library
from layersmith.assemble.lockfiles import read_locked
from layersmith.assemble.orders import Applied, Built
from layersmith.assemble.publishing import PLAIN, Publication, again, destinations, publish
from layersmith.assemble.python_image import python_image
from layersmith.assemble.reading import epoch_of, mending, moment
from layersmith.assemble.record import APPLICATION
from layersmith.assemble.standing import CREATED, Said, Standing, put_on
from layersmith.assemble.wheels import Shop, missing_error
from layersmith.errors import RecipeError, intention
from layersmith.oci.derived import NewLayer, make_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.pins import Locked
    from layersmith.assemble.archives import Archives
    from layersmith.assemble.below import Below
    from layersmith.assemble.dependencies import Environment
    from layersmith.assemble.lockfiles import LockFiles
    from layersmith.assemble.orders import Order
    from layersmith.assemble.outcome import Unresolved
    from layersmith.assemble.publishing import Beside, Signing
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.wheels import Chosen, Missing
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.provenance import Subject
    from layersmith.oci.image import Image

__all__ = ["build", "to_build"]

_DEFAULT: Final = "oci:dist/app"


def build(
    workshop: Workshop, order: Order, beside: Beside = PLAIN, signing: Signing | None = None
) -> Built:
    """Make the application's image for every platform and deliver the index, signed if asked.

    Raises :class:`RecipeError`, :class:`MissingWheels`, :class:`WheelError`,
    :class:`ClosureError` and :class:`StoreError`; then no tag was written.
    """
    order.check()
    places = destinations(order.recipe, _DEFAULT, beside, signing)
    aims = [(place, (place.tag or "latest",)) for place in places]

    def attempt() -> Built | None:
        python = python_image(workshop, order.recipe, order.pinned)
        applied, files = _all_applied(workshop, order, python)
        images = _publication(workshop, order, python, applied, files)
        done = publish(workshop, images, aims, beside, signing)
        return Built(python, images.top, applied, done) if done is not None else None

    return again(attempt)


def _publication(
    workshop: Workshop,
    order: Order,
    python: PythonImage,
    applied: Sequence[Applied],
    files: LockFiles,
) -> Publication:
    """Return the images, who has their layers, and how it is said that they were made."""
    about = Standing(image=str(python.input.digest), python=python.version)
    said = _annotations(order, python, epoch_of(python.images))
    images = [one.image for one in applied]
    layers = [layer.layer.descriptor for one in applied for layer in one.layers]

    def stated(subjects: Sequence[Subject]) -> bytes:
        from layersmith.assemble.ingredients import built_of  # noqa: PLC0415 - seldom asked for

        return built_of(order, python, applied, files).statement(subjects)

    return Publication(
        name="application",
        origin=python.input.place,
        top=make_index(images, {**said, APPLICATION: about.text()}),
        images=images,
        blobs=[*python.blobs(), *(Blob(layer, workshop.cache, None) for layer in layers)],
        statement=stated,
    )


def to_build(workshop: Workshop, order: Order) -> list[Missing]:
    """Return the wheels that have to be built, for all platforms."""
    order.check()
    python = python_image(workshop, order.recipe, order.pinned)
    locked, shop, _ = _shop(workshop, order)
    with closing(shop):
        missing: list[Missing] = []
        for image in python.images:
            interpreter = python.facts(image).interpreter
            missing += _choose(order, locked, shop, interpreter, str(image.platform))[1]
    return missing


def _all_applied(
    workshop: Workshop, order: Order, python: PythonImage
) -> tuple[tuple[Applied, ...], LockFiles]:
    locked, shop, files = _shop(workshop, order)
    with closing(shop):
        found, missing = [], []
        with workshop.timed("choose wheels"):
            for image in python.images:
                interpreter = python.facts(image).interpreter
                chosen, lacking = _choose(order, locked, shop, interpreter, str(image.platform))
                found.append((image, interpreter, chosen))
                missing += lacking
        if missing:
            raise missing_error(missing, lacks_index=shop.lacks_index)
        with (
            workshop.timed("make layers"),
            archives_for(workshop, order) as archives,
            workshop.crew.pool(len(found), "platform") as pool,
        ):
            made = pool.map(lambda each: _applied(order, python, shop, archives, *each), found)
            return tuple(made), files


def _shop(workshop: Workshop, order: Order) -> tuple[Locked | None, Shop, LockFiles]:
    app = order.app
    own = tuple(order.folder / place for place in app.wheel_dirs)
    if not app.lock:
        if app.extras or app.groups:
            raise RecipeError("extras and groups are of a lock, and there is none")
        return None, Shop(workshop, order.network, Indexes(), order.folder, own), ()
    locked, folder, files = read_locked(app, order.folder)
    return locked, Shop(workshop, order.network, locked.indexes, folder, own), files


def _choose(
    order: Order, locked: Locked | None, shop: Shop, interpreter: Interpreter, platform: str
) -> tuple[list[Chosen], list[Missing]]:
    if locked is None:
        return [], []
    with intention(platform):
        pins = locked.pins(interpreter, order.app.extras, order.app.groups)
        return shop.choose(pins, interpreter, platform)


def _applied(
    order: Order,
    python: PythonImage,
    shop: Shop,
    archives: Archives | None,
    image: Image,
    interpreter: Interpreter,
    chosen: Sequence[Chosen],
) -> Applied:
    with intention(str(image.platform)):
        return mending(
            shop.workshop.layers,
            [(python.input, image, True)],
            lambda: _made(order, python, shop, archives, image, interpreter, chosen),
        )


def _made(
    order: Order,
    python: PythonImage,
    shop: Shop,
    archives: Archives | None,
    image: Image,
    interpreter: Interpreter,
    chosen: Sequence[Chosen],
) -> Applied:
    recipe, app = order.recipe, order.app
    below = below_of(order, python, archives, image)
    dependencies = Dependencies(
        shop.workshop,
        shop,
        chosen,
        interpreter,
        app.shared,
        recipe.compressor(),
        below=below.contents,
    )
    if app.bytecode:
        facts = python.facts(image)
        dependencies.compiler = find_compiler(interpreter, facts.magic, order.program)
        dependencies.library = Library(below.key, below.root) if facts.bare else None
    environment = dependencies.environment(f"pack {image.platform} dependencies")
    lacking = _lacking(dependencies, environment, below, recipe.allow_unresolved)
    epoch = epoch_of([image])
    application = make_application(
        app,
        order.folder,
        image.platform,
        (dependencies, environment),
        epoch,
        below.root,
        recipe.allow_unresolved,
        _written(order, shop.workshop),
        is_plain=_is_plain(order, image),
    )
    added = below.added
    unresolved = (*(added.unresolved if added else ()), *lacking, *application.unresolved)
    standing = Standing(
        python=interpreter.version,
        packages=tuple(map(str, added.packages)) if added else (),
        dependencies=str(dependencies.key),
        bytecode=dependencies.compiler.version if dependencies.compiler is not None else "",
        said=_said(order, application),
        without=tuple(sorted({lack.soname for lack in unresolved})),
    )
    layers = [
        NewLayer(environment.layer.layer, "layersmith app build: dependencies"),
        NewLayer(application.layer.layer, "layersmith app build: application"),
    ]
    if added:
        layers.insert(0, NewLayer(added.layer.layer, "layersmith app build: Debian's packages"))
    annotations = _annotations(order, python, epoch)
    made = put_on(image, layers, standing, moment(epoch), annotations)
    return Applied(made, tuple(chosen), environment, application, unresolved, added)


def _lacking(
    dependencies: Dependencies, environment: Environment, below: Below, allowed: Sequence[str]
) -> tuple[Unresolved, ...]:
    """Return the libraries that the dependencies miss, as allowed."""
    known = dependencies.needs(below.key, allowed, environment, None)
    if known is not None:
        return known
    final = dependencies.over(below.root(), {}, dependencies.contents)
    return dependencies.needs(below.key, allowed, environment, final) or ()


def _written(order: Order, workshop: Workshop) -> list[Path]:
    """Return where this run writes, for that may be inside the source."""
    places = destinations(order.recipe, _DEFAULT)
    return [workshop.cache.root.parent, *(place.path for place in places if place.path)]


def _is_plain(order: Order, image: Image) -> bool:
    """Tell whether Python looks for modules where it does by default."""
    env = {**image.config.value.environment(), **order.recipe.env, **order.app.env}
    return "PYTHONPATH" not in env and order.app.workdir in (None, f"/{APP}")


def _said(order: Order, application: Application) -> Said:
    recipe, app = order.recipe, order.app
    return Said(
        path=f"/{VENV}/bin",
        env=dict(sorted({"VIRTUAL_ENV": f"/{VENV}", **recipe.env, **app.env}.items())),
        entrypoint=application.start,
        cmd=app.cmd,
        workdir=app.workdir if app.workdir is not None else f"/{APP}",
        labels=dict(sorted({**recipe.labels, **app.labels}.items())),
        ports=app.exposed(),
        stop_signal=app.stop_signal,
        annotations=tuple(sorted({**recipe.annotations, **app.annotations})),
    )


def _annotations(order: Order, python: PythonImage, epoch: int) -> dict[str, str]:
    made = {**python.about, CREATED: moment(epoch)}
    return {**made, **order.recipe.annotations, **order.app.annotations}
