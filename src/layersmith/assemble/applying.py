"""``app build``: a Python image below, two layers on top, for every platform.

::

    lock x interpreter -pins-> index -choose-> wheels -install-> layer of dependencies
    source | wheel -filter-> layer of the application
    Python image + both -derive-> config, manifest;  manifests -> index -deliver->
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from layersmith.apps.pins import Indexes
from layersmith.apps.site import APP, VENV
from layersmith.assemble.applayer import Application, make_application
from layersmith.assemble.compiling import find_compiler
from layersmith.assemble.delivery import Blob
from layersmith.assemble.dependencies import Dependencies, Library
from layersmith.assemble.lockfiles import read_locked
from layersmith.assemble.orders import Applied, Built
from layersmith.assemble.publishing import PLAIN, Publication, again, destinations, publish
from layersmith.assemble.python_image import python_image
from layersmith.assemble.reading import epoch_of, moment
from layersmith.assemble.record import APPLICATION
from layersmith.assemble.standing import CREATED, Said, Standing, put_on
from layersmith.assemble.wheels import Shop, missing_error
from layersmith.errors import RecipeError, intention
from layersmith.oci.image import NewLayer, make_index
from layersmith.stores.layers import CacheDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.pins import Locked
    from layersmith.assemble.archives import Archives
    from layersmith.assemble.deblayer import Added, Packages
    from layersmith.assemble.lockfiles import LockFiles
    from layersmith.assemble.orders import Order
    from layersmith.assemble.publishing import Beside, Signing
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.wheels import Chosen, Missing
    from layersmith.assemble.workshop import Workshop
    from layersmith.attest.provenance import Subject
    from layersmith.oci.image import Image
    from layersmith.rootfs.tree import Contents, Root

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
            _archives(workshop, order) as archives,
            workshop.crew.pool(len(found), "platform") as pool,
        ):
            made = pool.map(lambda each: _applied(order, python, shop, archives, *each), found)
            return tuple(made), files


@contextmanager
def _archives(workshop: Workshop, order: Order) -> Iterator[Archives | None]:
    """Open the archives of Debian's packages, where some are wanted."""
    if not order.app.debian_packages:
        yield None
        return
    from layersmith.assemble.archives import Archives  # noqa: PLC0415 - for few applications
    from layersmith.stores.apt_config import read_host  # noqa: PLC0415
    from layersmith.stores.debian_archive import DebianArchive  # noqa: PLC0415

    with closing(DebianArchive(workshop.cache, order.network, workshop.crew)) as archive:
        yield Archives(workshop, order.app, order.folder, archive, read_host())


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
        try:
            return _made(order, python, shop, archives, image, interpreter, chosen)
        except CacheDamagedError:
            for layer in image.layers:
                shop.workshop.layers.mend(python.input.source, layer, keep_blob=True)
            return _made(order, python, shop, archives, image, interpreter, chosen)


def _made(
    order: Order,
    python: PythonImage,
    shop: Shop,
    archives: Archives | None,
    image: Image,
    interpreter: Interpreter,
    chosen: Sequence[Chosen],
) -> Applied:
    recipe, app, workshop = order.recipe, order.app, shop.workshop
    manifest = image.manifest.descriptor.digest
    root = cache(partial(python.root, image))
    added: Added | None = None
    below: Contents | None = None
    if archives is not None:
        packages = _packages(order, archives, image, root)
        added, root, below = packages.added(), cache(packages.root), packages.contents
        manifest = packages.key  # of what is below the dependencies
    dependencies = Dependencies(
        workshop, shop, chosen, interpreter, app.shared, recipe.compressor(), below=below
    )
    if app.bytecode:
        facts = python.facts(image)
        dependencies.compiler = find_compiler(interpreter, facts.magic, order.program)
        dependencies.library = Library(manifest, root) if facts.bare else None
    environment = dependencies.environment(f"pack {image.platform} dependencies")
    allowed = recipe.allow_unresolved
    lacking = dependencies.needs(manifest, allowed, environment, None)
    if lacking is None:
        final = dependencies.over(root(), {}, dependencies.contents)
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
    unresolved = (*(added.unresolved if added else ()), *lacking, *application.unresolved)
    standing = Standing(
        python=interpreter.version,
        packages=tuple(map(str, added.packages)) if added else (),
        dependencies=str(dependencies.key),
        bytecode=dependencies.compiler.version if dependencies.compiler is not None else "",
        said=_said(order, application),
        without=tuple(sorted({lack.soname for lack in unresolved})),
    )
    lower = NewLayer(environment.layer.layer, "layersmith app build: dependencies")
    upper = NewLayer(application.layer.layer, "layersmith app build: application")
    annotations = _annotations(order, python, epoch)
    layers = [lower, upper]
    if added:
        layers.insert(0, NewLayer(added.layer.layer, "layersmith app build: Debian's packages"))
    made = put_on(image, layers, standing, moment(epoch), annotations)
    return Applied(made, tuple(chosen), environment, application, unresolved, added)


def _packages(order: Order, archives: Archives, image: Image, root: Callable[[], Root]) -> Packages:
    from layersmith.assemble.deblayer import Packages  # noqa: PLC0415 - for few applications
    from layersmith.stores.debian_archive import DebContents  # noqa: PLC0415

    recipe = order.recipe
    contents = DebContents(archives.workshop.layers)
    about = archives.workshop, archives, image, root, contents
    return Packages(*about, recipe.allow_unresolved, recipe.compressor())


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
