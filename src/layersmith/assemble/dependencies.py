"""The layer of dependencies: a virtual environment with every wheel of the lock in it.

It depends on which wheels they are and on Python's minor version, on nothing else: not on
time, base or platform. So a run that changes only the application finds it in the cache, and
platforms whose wheels are the same share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.analysis.objects import Objects
from layersmith.apps.bytecode import library_sources
from layersmith.apps.needs import check_needs, laid_over, objects_in
from layersmith.apps.site import VENV, Site, WheelContents, lay_out, with_parents
from layersmith.assemble.compiling import compiled
from layersmith.assemble.outcome import TopLayer, Unresolved
from layersmith.assemble.toplayer import make_layer
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode
from layersmith.rootfs.entries import Directory, File

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.wheel import Wheel
    from layersmith.assemble.compiling import Compiler
    from layersmith.assemble.wheels import Chosen, Shop
    from layersmith.assemble.workshop import Workshop
    from layersmith.rootfs.compressor import Compressor
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents, Root

__all__ = ["TIME", "Dependencies", "Environment", "Library", "python_scripts", "scripts_in"]

_FORMAT: Final = "dependencies 1"
_BIN: Final = f"{VENV}/bin/"
# Of every entry, whatever SOURCE_DATE_EPOCH says: that may be the last commit's, but these
# files are the lock's. It is the earliest time of a zip, and so of every wheel.
TIME: Final = 315532800


class Environment(msgspec.Struct, frozen=True):
    """What is in a layer of dependencies, as far as other steps ask."""

    layer: TopLayer
    paths: tuple[str, ...]
    objects: tuple[str, ...]
    programs: tuple[str, ...]

    @property
    def scripts(self) -> dict[str, bool]:
        """The names in the environment's bin, and whether it is Python that runs them."""
        return scripts_in(self.paths, self.programs)


def python_scripts(entries: Mapping[str, Entry]) -> list[str]:
    """Return the paths of scripts that the environment's Python runs."""
    start = f"#!/{VENV}/bin/python\n".encode()
    return [
        path
        for path, entry in entries.items()
        if path.startswith(_BIN)
        and isinstance(entry, File)
        and isinstance(entry.content, bytes)
        and entry.content.startswith(start)
    ]


def scripts_in(paths: Iterable[str], programs: Collection[str]) -> dict[str, bool]:
    """Return the names of scripts among `paths`, and whether each is among `programs`."""
    return {path.removeprefix(_BIN): path in programs for path in paths if path.startswith(_BIN)}


@dataclass(frozen=True, slots=True)
class Library:
    """The standard library of an image, which has no bytecode of it."""

    image: Digest
    root: Callable[[], Root]


def _as_there(path: str, entry: Entry, root: Root) -> Entry:
    """Return a directory with the mode and owner that it has in the image."""
    there = root.tree.entry(path)
    is_folder = isinstance(entry, Directory) and isinstance(there, Directory)
    return Directory(there.meta, {}) if is_folder and there is not None else entry


class _Needs(msgspec.Struct, frozen=True):
    unresolved: tuple[Unresolved, ...]


_ENVIRONMENT: Final = msgspec.json.Decoder(Environment)
_NEEDS: Final = msgspec.json.Decoder(_Needs)


@dataclass(slots=True)
class Dependencies:
    """The dependencies of one platform; wheels are read only where something has to be made.

    `below` has the bytes of the image, if it is more than layers.
    """

    workshop: Workshop
    shop: Shop
    chosen: Sequence[Chosen]
    interpreter: Interpreter
    shared: tuple[str, ...]
    compressor: Compressor
    compiler: Compiler | None = None
    library: Library | None = None
    below: Contents | None = None
    _installed: tuple[dict[str, Entry], Mapping[str, Wheel]] | None = None

    @property
    def key(self) -> Digest:
        """The digest of all that the layer depends on but the compressor."""
        about = [_FORMAT, self.interpreter.short, self.shared]
        wheels = [(c.name, c.filename, c.digest, c.direct_url) for c in self.chosen]
        extra: list[object] = []
        if self.compiler is not None:
            library = str(self.library.image) if self.library else ""
            extra = [self.compiler.magic, self.compiler.version, library]
        return Digest.of(encode([*about, sorted(wheels), *extra]))

    @property
    def contents(self) -> Contents:
        """The bytes of what is below."""
        return self.below or self.workshop.layers

    def environment(self, task: str) -> Environment:
        """Return the layer, from the cache if it was made before; it is verified when read."""
        cache = self.workshop.cache
        key = f"{_FORMAT} {self.key} {self.compressor.identity}"
        if found := self._recalled(key):
            return found
        with cache.turns.taken(f"dependencies-{self.key.encoded}", 0):
            # Another platform, or process, may have made it meanwhile.
            return self._recalled(key) or self._packed(key, task)

    def _recalled(self, key: str) -> Environment | None:
        kept = self.workshop.cache.recall(key)
        found = _ENVIRONMENT.decode(kept) if kept else None
        return found if found and self.workshop.cache.keep(found.layer.layer.descriptor) else None

    def _packed(self, key: str, task: str) -> Environment:
        cache = self.workshop.cache
        entries, wheels = self.installed()
        contents = WheelContents(wheels, self.workshop.layers)
        entries = self._with_bytecode(entries, contents)
        about = entries, contents, TIME
        layer = make_layer(*about, self.compressor, cache, self.workshop.crew, task)
        paths = [path for path, entry in entries.items() if not isinstance(entry, Directory)]
        made = Environment(
            layer,
            tuple(sorted(paths)),
            tuple(sorted(objects_in(entries))),
            tuple(sorted(python_scripts(entries))),
        )
        cache.remember(key, encode(made))
        return made

    def installed(self) -> tuple[dict[str, Entry], Mapping[str, Wheel]]:
        """Return all entries, with their parents, and the wheels that have their bytes."""
        if self._installed is None:
            from layersmith.apps.installing import install  # noqa: PLC0415 - seldom needed

            wheels = self.shop.open(self.chosen)
            site = Site(self.shared)
            lay_out(site, self.interpreter)
            for each in sorted(self.chosen, key=lambda each: each.name):
                wheel = wheels[each.digest]
                install(wheel, site, self.interpreter, direct_url=each.direct_url)
            site.check()
            self._installed = with_parents(site.entries), wheels
        return self._installed

    def _with_bytecode(self, entries: dict[str, Entry], contents: Contents) -> dict[str, Entry]:
        """Add the bytecode of all that was installed, and of a standard library without."""
        if self.compiler is None:
            return entries
        with self.workshop.timed("compile"):
            made = compiled(self.compiler, entries, contents, self.interpreter)
            found = with_parents({**entries, **made})
            if self.library is not None:
                root = self.library.root()
                theirs = library_sources(root, self.interpreter)
                ours = with_parents(
                    compiled(self.compiler, theirs, root.contents, self.interpreter)
                )
                found |= {path: _as_there(path, entry, root) for path, entry in ours.items()}
        return found

    def over(self, root: Root, more: Mapping[str, Entry], contents: Contents) -> Root:
        """Return the file system of the image with the dependencies and `more` on it."""
        entries, wheels = self.installed()
        below = WheelContents(wheels, contents)
        return laid_over(root.tree, {**entries, **more}, below)

    def needs(
        self, manifest: Digest, allowed: Sequence[str], made: Environment, final: Root | None
    ) -> tuple[Unresolved, ...] | None:
        """Return the libraries that are missing, as allowed, on the image `manifest`.

        None if that is not known yet and there is no `final` file system to find out from.
        """
        if not made.objects:
            return ()
        cache = self.workshop.cache
        key = f"needs 1 {manifest} {self.key} {sorted(allowed)}"
        if kept := cache.recall(key):
            return _NEEDS.decode(kept).unresolved
        if final is None:
            return None
        with self.workshop.timed("check libraries"):
            found = check_needs(final, made.objects, allowed, Objects())
        needs = _Needs(tuple(Unresolved(*each) for each in found))
        cache.remember(key, encode(needs))
        return needs.unresolved
