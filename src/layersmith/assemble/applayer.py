"""The application's own layer: its source or its wheel, and what starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import structs

from layersmith.analysis.objects import Objects
from layersmith.apps.choosing import best, named, ranks
from layersmith.apps.modules import PATH_FILE, Modules
from layersmith.apps.needs import check_needs, objects_in
from layersmith.apps.pins import Pin, Remote
from layersmith.apps.site import APP, Site, WheelContents, site_packages, with_parents
from layersmith.apps.starting import LAUNCHER, find_start
from layersmith.assemble.appsource import SourceContents, read_source
from layersmith.assemble.compiling import compiled
from layersmith.assemble.dependencies import python_scripts, scripts_in
from layersmith.assemble.outcome import Unresolved
from layersmith.assemble.toplayer import make_layer
from layersmith.assemble.wheels import Chosen
from layersmith.errors import MissingWheels, RecipeError, one_line
from layersmith.rootfs.entries import File, Meta
from layersmith.stores.wheelhouse import digest_of_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.wheel import Wheel
    from layersmith.assemble.appsource import Source
    from layersmith.assemble.dependencies import Dependencies, Environment
    from layersmith.assemble.outcome import TopLayer
    from layersmith.oci.documents import Platform
    from layersmith.recipe.application import App
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Contents, Root

__all__ = ["Application", "make_application"]

_OURS: Final = "layersmith"


@dataclass(frozen=True, slots=True)
class Application:
    """The layer, the words that start it, and the libraries that it lacks, as allowed.

    `wheel` is what it was made from, if that was one.
    """

    layer: TopLayer
    start: tuple[str, ...]
    unresolved: tuple[Unresolved, ...]
    wheel: Chosen | None = None


@dataclass(slots=True)
class _Parts:
    """What the layer is put together from."""

    entries: dict[str, Entry]
    contents: Contents
    objects: tuple[str, ...]
    files: frozenset[str]
    wheel: Chosen | None = None

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file of the source; None for a link."""
        entry = self.entries[f"{APP}/{path}"]
        return self.contents.read(entry) if isinstance(entry, File) else None


def make_application(
    app: App,
    folder: Path,
    platform: Platform,
    below: tuple[Dependencies, Environment],
    epoch: int,
    root: Callable[[], Root],
    allowed: Sequence[str],
    ours: Sequence[Path] = (),
    *,
    is_plain: bool,
) -> Application:
    """Make the layer of one platform, over `below`; `root` is asked for if it has objects.

    What is at `ours` is written by this run, and left out of the source. `is_plain` says that
    nothing changes where Python looks for modules.

    Raises :class:`RecipeError`, :class:`WheelError` or :class:`ClosureError`.
    """
    dependencies, environment = below
    workshop, interpreter = dependencies.workshop, dependencies.interpreter
    site = Site(dependencies.shared, frozenset(environment.paths))
    parts = _Parts({}, dependencies.contents, (), frozenset())
    if app.wheel:
        _take_wheel(app, folder, platform, dependencies, site, parts)
    elif app.source:
        _take_source(read_source(app, folder, ours), interpreter, site, parts)
    names = environment.scripts | scripts_in(site.entries, python_scripts(site.entries))
    installed = (*environment.paths, *site.entries)
    modules = Modules(interpreter, parts.files, installed, root, parts.read)
    start = find_start(app.entrypoint, names, parts.files, modules if is_plain else None)
    if start.calls is not None:
        from layersmith.apps.installing import launcher  # noqa: PLC0415 - only for functions

        site.add(LAUNCHER, File(Meta(0o755), launcher(*start.calls)), _OURS)
    site.check()
    parts.entries |= site.entries
    entries = with_parents(parts.entries)
    if dependencies.compiler is not None:
        made = compiled(dependencies.compiler, entries, parts.contents, interpreter)
        entries = with_parents({**entries, **made})
    unresolved = _unresolved(dependencies, entries, parts, root, allowed)
    about = entries, parts.contents, epoch, dependencies.compressor
    task = f"pack {platform}"
    layer = make_layer(*about, workshop.cache, workshop.crew, task)
    return Application(layer, start.words, unresolved, parts.wheel)


def _take_source(source: Source, interpreter: Interpreter, site: Site, parts: _Parts) -> None:
    parts.entries |= source.entries
    parts.contents = SourceContents(source.paths, parts.contents)
    parts.objects, parts.files = source.objects, source.files
    line = f"/{APP}\n".encode()
    site.add(f"{site_packages(interpreter)}/{PATH_FILE}", File(Meta(0o644), line), _OURS)


def _take_wheel(
    app: App,
    folder: Path,
    platform: Platform,
    dependencies: Dependencies,
    site: Site,
    parts: _Parts,
) -> None:
    from layersmith.apps.installing import install  # noqa: PLC0415 - only for wheels

    path = folder / app.wheel
    about = named(path.name)
    if about is None:
        raise RecipeError(f"{one_line(str(path))} is no wheel by its name")
    interpreter = dependencies.interpreter
    pin, file = Pin(about.name, about.version), Remote(path.name, path.absolute().as_uri())
    if best([file], pin, interpreter, ranks(interpreter)) is None:
        raise MissingWheels(
            f"{one_line(path.name)} is not for {platform} with Python {interpreter.short}",
            hint="build it for that platform, or choose with --platform",
        )
    digest = digest_of_file(path)
    chosen = Chosen(about.name, about.version, path.name, str(digest), file.url)
    wheels: Mapping[str, Wheel] = dependencies.shop.open([chosen])
    install(wheels[str(digest)], site, interpreter)
    parts.contents = WheelContents(wheels, parts.contents)
    parts.objects = tuple(objects_in(site.entries))
    # Its URL is a path of this machine, and nobody asks for it again.
    parts.wheel = structs.replace(chosen, url="")


def _unresolved(
    dependencies: Dependencies,
    entries: Mapping[str, Entry],
    parts: _Parts,
    root: Callable[[], Root],
    allowed: Sequence[str],
) -> tuple[Unresolved, ...]:
    """Check the application's own objects, if it has some."""
    if not parts.objects:
        return ()
    final = dependencies.over(root(), entries, parts.contents)
    found = check_needs(final, parts.objects, allowed, Objects())
    return tuple(Unresolved(*each) for each in found)
