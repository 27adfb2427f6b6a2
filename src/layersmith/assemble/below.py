"""What is below the dependencies of an application: the Python image, and Debian's packages on it.

The rooms of Debian's archive are loaded only for an application that wants packages of it.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layersmith.assemble.archives import Archives
    from layersmith.assemble.deblayer import Added, Packages
    from layersmith.assemble.orders import Order
    from layersmith.assemble.python_image import PythonImage
    from layersmith.assemble.workshop import Workshop
    from layersmith.oci.digest import Digest
    from layersmith.oci.image import Image
    from layersmith.rootfs.tree import Contents, Root

__all__ = ["Below", "archives_for", "below_of"]


class Below(NamedTuple):
    """What is below the dependencies: its key and file system, and Debian's packages in it."""

    key: Digest
    root: Callable[[], Root]
    added: Added | None = None
    contents: Contents | None = None


def below_of(order: Order, python: PythonImage, archives: Archives | None, image: Image) -> Below:
    """Return what is below, made or recalled; its file system is read when it is asked for."""
    root = cache(partial(python.root, image))
    if archives is None:
        return Below(image.manifest.descriptor.digest, root)
    packages = _packages(order, archives, image, root)
    return Below(packages.key, cache(packages.root), packages.added(), packages.contents)


@contextmanager
def archives_for(workshop: Workshop, order: Order) -> Iterator[Archives | None]:
    """Open the archives of Debian's packages, where some are wanted."""
    if not order.app.debian_packages:
        yield None
        return
    from layersmith.assemble.archives import Archives  # noqa: PLC0415 - for few applications
    from layersmith.stores.apt_config import read_host  # noqa: PLC0415
    from layersmith.stores.debian_archive import DebianArchive  # noqa: PLC0415

    with closing(DebianArchive(workshop.cache, order.network, workshop.crew)) as archive:
        workshop.crew.at_stop(archive.cut)
        yield Archives(workshop, order.app, order.folder, archive, read_host())


def _packages(order: Order, archives: Archives, image: Image, root: Callable[[], Root]) -> Packages:
    from layersmith.assemble.deblayer import Packages  # noqa: PLC0415 - for few applications
    from layersmith.stores.debian_archive import DebContents  # noqa: PLC0415

    recipe = order.recipe
    contents = DebContents(archives.workshop.layers)
    about = archives.workshop, archives, image, root, contents
    return Packages(*about, recipe.allow_unresolved, recipe.compressor())
