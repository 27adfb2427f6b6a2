"""``app build``: a Python image below, two layers on top, for every platform.

::

    lock x interpreter -pins-> index -choose-> wheels -install-> layer of dependencies
    source | wheel -filter-> layer of the application
    Python image + both -derive-> config, manifest;  manifests -> index -deliver->
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.apps.pins import Indexes
from layersmith.apps.site import APP, VENV
from layersmith.assemble.applayer import Application, make_application
from layersmith.assemble.assembling import destinations
from layersmith.assemble.compiling import find_compiler
from layersmith.assemble.delivery import Blob, Delivery, Destination, bring_kept
from layersmith.assemble.dependencies import Dependencies, Environment, Library
from layersmith.assemble.lockfiles import read_locked
from layersmith.assemble.python_image import python_image
from layersmith.assemble.reading import epoch_of, moment
from layersmith.assemble.record import APPLICATION
from layersmith.assemble.standing import CREATED, Said, Standing, put_on
from layersmith.assemble.wheels import Shop, missing_error
from layersmith.errors import OutputError, RecipeError, intention
from layersmith.oci.image import NewLayer, make_index
from layersmith.recipe.application import App
from layersmith.stores.layers import CacheDamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.pins import Locked
    from layersmith.assemble.inputs import Pinned
    from layersmith.assemble.outcome import TopLayer, Unresolved
    from layersmith.assemble.places import Place
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.wheels import Chosen, Missing
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.documents import Document, Index
    from layersmith.oci.image import Image
    from layersmith.recipe.recipe import Recipe
    from layersmith.rootfs.tree import Root
    from layersmith.stores.registry_options import RegistryOptions

__all__ = ["Applied", "Built", "Order", "build", "to_build"]

_DEFAULT: Final = "oci:dist/app"
_TRIES: Final = 3  # a layer of an earlier run may have rotted, and is made anew
# What an application says itself: the table is there for it.
_OF_APPS: Final = ("entrypoint", "cmd", "workdir")


@dataclass(frozen=True, slots=True)
class Order:
    """What to build: a recipe with an application, and where its paths start.

    `program` is the interpreter to compile with, if it is not to be searched for.
    """

    recipe: Recipe
    folder: Path
    network: RegistryOptions
    pinned: Pinned
    program: str = ""

    @property
    def app(self) -> App:
        """The recipe's table."""
        return self.recipe.app or App()

    def check(self) -> None:
        """Raise :class:`RecipeError` for what makes no sense together."""
        if not (self.recipe.base_image or self.recipe.target):
            raise RecipeError(
                "no target and no base-image: on what?",
                hint="give a target like 3.13-debian13, or --base-image REF",
            )
        for key in _OF_APPS:
            if getattr(self.recipe, key) is not None:
                raise RecipeError(f"{key} of an application stands in its table [app]")


@dataclass(frozen=True, slots=True)
class Applied:
    """One platform, done."""

    image: Image
    wheels: tuple[Chosen, ...]
    environment: Environment
    application: Application
    unresolved: tuple[Unresolved, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """The result: the Python image below, the index, what is in it, and its names."""

    python: PythonImage
    index: Document[Index]
    applied: tuple[Applied, ...]
    names: Sequence[str]


def build(workshop: Workshop, order: Order) -> Built:
    """Make the application's image for every platform and deliver the index.

    Raises :class:`RecipeError`, :class:`MissingWheels`, :class:`WheelError`,
    :class:`ClosureError` and :class:`StoreError`; then no tag was written.
    """
    order.check()
    places = destinations(order.recipe, _DEFAULT)
    for _ in range(_TRIES):
        found = _build(workshop, order, places)
        if found is not None:
            return found
    raise OutputError("the cache is damaged again and again", hint="is its disk sound?")


def _build(workshop: Workshop, order: Order, places: Sequence[Place]) -> Built | None:
    """Build it; None where a layer of an earlier run is needed and no longer whole."""
    python = python_image(workshop, order.recipe, order.pinned)
    applied = _all_applied(workshop, order, python)
    epoch = epoch_of(python.images)
    about = Standing(image=str(python.input.digest), python=python.version)
    annotations = {**_annotations(order, python, epoch), APPLICATION: about.text()}
    index = make_index([p.image for p in applied], annotations)
    layers = [layer.layer.descriptor for p in applied for layer in _layers(p)]
    blobs = [*python.blobs(), *(Blob(layer, workshop.cache, None) for layer in layers)]
    delivery = Delivery.of_images(index, [p.image for p in applied], blobs)
    tagged = [(place, place.tag or "latest") for place in places]
    with workshop.timed("deliver"):
        sinks = [Destination(place.sink(workshop.registries), (tag,)) for place, tag in tagged]
        if not bring_kept(workshop, delivery, sinks):
            return None
    return Built(python, index, applied, [place.named(tag) for place, tag in tagged])


def to_build(workshop: Workshop, order: Order) -> list[Missing]:
    """Return the wheels that have to be built, for all platforms."""
    order.check()
    python = python_image(workshop, order.recipe, order.pinned)
    locked, shop = _shop(workshop, order)
    with closing(shop):
        missing: list[Missing] = []
        for image in python.images:
            interpreter = python.facts(image).interpreter
            missing += _choose(order, locked, shop, interpreter, str(image.platform))[1]
    return missing


def _all_applied(workshop: Workshop, order: Order, python: PythonImage) -> tuple[Applied, ...]:
    locked, shop = _shop(workshop, order)
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
            workshop.crew.pool(len(found), "platform") as pool,
        ):
            return tuple(pool.map(lambda each: _applied(order, python, shop, *each), found))


def _shop(workshop: Workshop, order: Order) -> tuple[Locked | None, Shop]:
    app = order.app
    own = tuple(order.folder / place for place in app.wheel_dirs)
    if not app.lock:
        if app.extras or app.groups:
            raise RecipeError("extras and groups are of a lock, and there is none")
        return None, Shop(workshop, order.network, Indexes(), order.folder, own)
    locked, folder = read_locked(app, order.folder)
    return locked, Shop(workshop, order.network, locked.indexes, folder, own)


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
    image: Image,
    interpreter: Interpreter,
    chosen: Sequence[Chosen],
) -> Applied:
    with intention(str(image.platform)):
        try:
            return _made(order, python, shop, image, interpreter, chosen)
        except CacheDamagedError:
            for layer in image.layers:
                shop.workshop.layers.mend(python.input.source, layer, keep_blob=True)
            return _made(order, python, shop, image, interpreter, chosen)


def _made(
    order: Order,
    python: PythonImage,
    shop: Shop,
    image: Image,
    interpreter: Interpreter,
    chosen: Sequence[Chosen],
) -> Applied:
    recipe, app, workshop = order.recipe, order.app, shop.workshop
    manifest = image.manifest.descriptor.digest
    roots: list[Root] = []

    def root() -> Root:
        if not roots:
            roots.append(python.root(image))
        return roots[0]

    dependencies = Dependencies(
        workshop, shop, chosen, interpreter, app.shared, recipe.compressor()
    )
    if app.bytecode:
        facts = python.facts(image)
        dependencies.compiler = find_compiler(interpreter, facts.magic, order.program)
        dependencies.library = Library(manifest, root) if facts.bare else None
    environment = dependencies.environment(f"pack {image.platform} dependencies")
    allowed = recipe.allow_unresolved
    lacking = dependencies.needs(manifest, allowed, environment, None)
    if lacking is None:
        final = dependencies.over(root(), {}, workshop.layers)
        lacking = dependencies.needs(manifest, allowed, environment, final) or ()
    epoch = epoch_of([image])
    application = make_application(
        app,
        order.folder,
        image.platform,
        (dependencies, environment),
        epoch,
        root,
        allowed,
        _written(order, workshop),
    )
    unresolved = (*lacking, *application.unresolved)
    standing = Standing(
        python=interpreter.version,
        dependencies=str(dependencies.key),
        bytecode=dependencies.compiler.version if dependencies.compiler is not None else "",
        said=_said(order, application),
        without=tuple(sorted({lack.soname for lack in unresolved})),
    )
    lower = NewLayer(environment.layer.layer, "layersmith app build: dependencies")
    upper = NewLayer(application.layer.layer, "layersmith app build: application")
    annotations = _annotations(order, python, epoch)
    made = put_on(image, (lower, upper), standing, moment(epoch), annotations)
    return Applied(made, tuple(chosen), environment, application, unresolved)


def _written(order: Order, workshop: Workshop) -> list[Path]:
    """Return where this run writes, for that may be inside the source."""
    places = destinations(order.recipe, _DEFAULT)
    return [workshop.cache.root.parent, *(place.path for place in places if place.path)]


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


def _layers(one: Applied) -> tuple[TopLayer, ...]:
    return one.environment.layer, one.application.layer
