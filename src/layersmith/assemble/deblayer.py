"""The layer of Debian's packages: below the dependencies, so that neither lock nor source moves it.

It depends on the image and on the packages' digests; its entries have the one time of
:data:`~layersmith.assemble.dependencies.TIME`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from layersmith.analysis.objects import Objects
from layersmith.apps.needs import check_needs, laid_over, objects_in
from layersmith.assemble.dependencies import TIME
from layersmith.assemble.outcome import TopLayer, Unresolved
from layersmith.assemble.toplayer import make_layer
from layersmith.debs.deb import open_deb
from layersmith.errors import LayerError, PackageError, intention
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode
from layersmith.plan.adding import Opened, add_packages
from layersmith.rootfs.compression import PieceReader
from layersmith.rootfs.layer import read_layer
from layersmith.rootfs.tar import Allowance
from layersmith.stores.debian_archive import on_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layersmith.assemble.archives import Archives
    from layersmith.assemble.workshop import Workshop
    from layersmith.debs.packages import Stanza
    from layersmith.oci.image import Image
    from layersmith.rootfs.compressor import Compressor
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Root
    from layersmith.stores.debian_archive import DebContents

__all__ = ["Added", "Package", "Packages"]

_FORMAT: Final = "debian layer 1"
_SAFE: Final = "/:+~=,@"  # of a name in a URL; a % of it is one


class Package(msgspec.Struct, frozen=True):
    """A package that was added; `scripts` are those of its maintainer that nobody ran."""

    name: str
    version: str
    architecture: str
    digest: str
    scripts: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return name and version, as apt writes them."""
        return f"{self.name}={self.version}"


class Added(msgspec.Struct, frozen=True):
    """The layer, what is in it, and the libraries that its objects lack, as allowed."""

    layer: TopLayer
    packages: tuple[Package, ...]
    unresolved: tuple[Unresolved, ...]


_ADDED: Final = msgspec.json.Decoder(Added)


@dataclass(slots=True)
class Packages:
    """The packages of one platform; they are read only where something has to be made."""

    workshop: Workshop
    archives: Archives
    image: Image
    base: Callable[[], Root]
    contents: DebContents
    allowed: Sequence[str]
    compressor: Compressor
    _objects: Objects = field(default_factory=Objects)
    _stanzas: tuple[Stanza, ...] | None = None
    _laid: tuple[dict[str, Entry], tuple[Package, ...]] | None = None

    @property
    def stanzas(self) -> tuple[Stanza, ...]:
        """What is added, by name."""
        if self._stanzas is None:
            manifest, platform = self.image.manifest.descriptor.digest, self.image.platform
            self._stanzas = self.archives.choose(manifest, platform, self.base)
        return self._stanzas

    @property
    def key(self) -> Digest:
        """The digest of all that the layer depends on but the compressor."""
        manifest = str(self.image.manifest.descriptor.digest)
        about = [(one.name, one.version, one.sha256) for one in self.stanzas]
        return Digest.of(encode([_FORMAT, manifest, about]))

    def added(self) -> Added:
        """Return the layer, from the cache if it was made before; it is verified when read."""
        cache = self.workshop.cache
        key = f"{_FORMAT} {self.key} {sorted(self.allowed)} {self.compressor.identity}"
        if kept := cache.recall(key):
            found = _ADDED.decode(kept)
            if cache.keep(found.layer.layer.descriptor):
                return found
        entries, packages = self._read()
        root = self.root()
        with self.workshop.timed("check libraries"):
            missing = check_needs(
                root, objects_in(entries), self.allowed, self._objects, "the packages need"
            )
        task = f"pack {self.image.platform} packages"
        about = entries, self.contents, TIME, self.compressor
        layer = make_layer(*about, cache, self.workshop.crew, task)
        added = Added(layer, packages, tuple(Unresolved(*each) for each in missing))
        cache.remember(key, encode(added))
        return added

    def root(self) -> Root:
        """Return the file system of the image with the packages on it."""
        return laid_over(self.base().tree, self._read()[0], self.contents)

    def _read(self) -> tuple[dict[str, Entry], tuple[Package, ...]]:
        if self._laid is None:
            with self.workshop.timed("packages"):
                found = [self._opened(stanza) for stanza in self.stanzas]
            opened = [each for each, _ in found]
            entries = add_packages(self.base(), opened, self.contents, self._objects)
            self._laid = entries, tuple(package for _, package in found)
        return self._laid

    def _opened(self, stanza: Stanza) -> tuple[Opened, Package]:
        """Fetch and read a package, which must be the one that the list says it is."""
        what = f"{stanza.name} {stanza.version}"
        digest = Digest(f"sha256:{stanza.sha256}")
        url = f"{stanza.base}/{quote(stanza.filename, safe=_SAFE)}"
        deb = open_deb(self.archives.archive.file([url], stanza.sha256, stanza.size), what)
        control = deb.control
        about = (control.name, control.version, control.architecture)
        if about != (stanza.name, stanza.version, stanza.architecture):
            raise PackageError(f"it says that it is {' '.join(about)}", place=what)
        tar, pieces = on_disk(deb.data(), self.workshop.cache)
        stream = PieceReader(pieces)
        try:
            with intention(what):
                changes = list(read_layer(stream, digest, Allowance()))
                while stream.read(1 << 20):
                    pass
        except LayerError as error:
            raise PackageError(error.message) from None
        self.contents.add(digest, tar)
        package = Package(*about, str(digest), control.scripts)
        return Opened(stanza.name, control.paragraph, changes), package
