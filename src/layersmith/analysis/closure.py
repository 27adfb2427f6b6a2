"""Everything that a set of objects needs, and what of it has to be shipped.

Each object is loaded as a program of its own, as ``ld.so --list`` does it, into the image
that is to be: the base with the roots laid over it. A need that this image meets ships
nothing; one that only the builder meets ships the builder's file, whose own needs then
count too. So the result does not depend on the order of the roots, and every file in it
has a reason.

glibc-hwcaps: a file is needed in the build that the baseline CPU runs. Where the builder
has other builds of a shipped library they are shipped with it, as they would be found.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from msgspec import structs

from layersmith.analysis.effort import Effort
from layersmith.analysis.glibc import find_glibc
from layersmith.analysis.ldconf import conf_for, configured, directories_in
from layersmith.analysis.ldindex import read_index
from layersmith.analysis.linkmap import link_map
from layersmith.analysis.loader import How, Library, Loader, as_library
from layersmith.analysis.needs import Closure, Provided, Reason, Shipped, Unresolved
from layersmith.analysis.objects import Objects, find_directory
from layersmith.analysis.problems import MissingInterpreter, MissingLibrary, Problems
from layersmith.errors import ClosureError, one_line
from layersmith.rootfs.entries import Symlink

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from layersmith.analysis.linkmap import LinkMap
    from layersmith.analysis.loader import Found
    from layersmith.analysis.objects import Opened
    from layersmith.analysis.problems import Problem
    from layersmith.rootfs.tree import Root

__all__ = [
    "Closure",
    "Provided",
    "Reason",
    "Shipped",
    "Unresolved",
    "closure",
    "load",
    "verify",
]

MAX_PROBLEMS: Final = 1000


def closure(
    builder: Root,
    base: Root,
    roots: Sequence[str],
    *,
    expected_unresolved: Collection[str] = (),
    allow_unresolved: Collection[str] = (),
    objects: Objects | None = None,
) -> Closure:
    """Return what has to be shipped for the objects at `roots` of the builder.

    Roots that are no dynamic objects are passed over. `expected_unresolved` and
    `allow_unresolved` are sonames or globs of such.
    """
    accepted = (*expected_unresolved, *allow_unresolved)
    return _Work(builder, base, frozenset(roots), accepted, objects or Objects()).run()


def verify(
    final: Root,
    paths: Sequence[str],
    *,
    accepted: Collection[str] = (),
    objects: Objects | None = None,
) -> tuple[Problem, ...]:
    """Load every object at `paths` of the finished tree and return what is wrong."""
    objects = objects or Objects()
    glibc = find_glibc(final, objects)
    problems: dict[Problem, None] = {}
    if glibc is None:
        return ()
    loader = Loader(final, glibc, read_index(final, glibc, configured(final), objects), objects)
    inspector = Problems(loader.paths)
    for path in sorted(set(paths)):
        opened = objects.open(final, path)
        if opened is None or opened.elf is None or opened.elf.abi != glibc.abi:
            continue
        if opened.elf.interpreter and objects.open(final, opened.elf.interpreter) is None:
            problems[MissingInterpreter(opened.elf.interpreter, opened.path)] = None
        for problem in inspector.of(load(loader, opened)):
            if not _is_accepted(problem, accepted):
                _add(problem, problems)
    return tuple(problems)


def load(loader: Loader, program: Opened) -> LinkMap:
    """Load one program as ld.so would; what ``ld.so --list`` shows."""
    main = as_library(f"/{program.path}", program, How.PROGRAM)
    return link_map(main, loader.interpreter(), loader.find, loader.paths)


class _Work:
    """One closure: the two loaders, and what has been found out so far."""

    def __init__(
        self,
        builder: Root,
        base: Root,
        roots: frozenset[str],
        accepted: Sequence[str],
        objects: Objects,
    ) -> None:
        self.builder, self.base, self.objects = builder, base, objects
        self.roots, self.accepted = roots, accepted
        self.effort = Effort()
        self.places: dict[tuple[str, tuple[str, ...], int], list[str]] = {}
        self.marked: dict[Library, Library] = {}
        self.source = self._source()
        self.target = self._target()
        system = self.target.glibc.system if self.target else ()
        self.system = {_real(base, directory) for directory in system}
        self.shipped: dict[str, tuple[dict[str, None], dict[Reason, None]]] = {}
        self.provided: dict[tuple[str, str], set[str]] = {}
        self.unresolved: dict[str, set[str]] = {}
        self.directories: dict[str, None] = {}
        self.links: set[str] = set()
        self.problems: dict[Problem, None] = {}

    def _source(self) -> Loader | None:
        """Return the loader of the builder."""
        glibc = find_glibc(self.builder, self.objects)
        if glibc is None:
            return None
        index = read_index(self.builder, glibc, configured(self.builder), self.objects)
        return Loader(self.builder, glibc, index, self.objects, effort=self.effort)

    def _target(self) -> Loader | None:
        """Return the loader of the base, which sees the roots as if they were there."""
        glibc = find_glibc(self.base, self.objects)
        if glibc is None:
            return None
        conf = directories_in(self.base, conf_for(self.base, glibc.system, ()))
        index = read_index(self.base, glibc, conf, self.objects)
        return Loader(self.base, glibc, index, self.objects, self._open, self.effort)

    def _open(self, name: str) -> Opened | None:
        root = self.objects.open(self.builder, name)
        if root is not None and root.path in self.roots:
            return root
        return self.objects.open(self.base, name)

    def find(self, name: str, requester: Library) -> Found:
        """Look in the image that is to be, then in the builder."""
        found = self.target.find(name, requester) if self.target else None
        if isinstance(found, Library):
            return self._marked(found, builder=found.path in self.roots)
        if found is None and self.source is not None:
            found = self.source.find(name, requester)
            if isinstance(found, Library):
                return self._marked(found, builder=True)
        return found

    def _marked(self, library: Library, *, builder: bool) -> Library:
        """Return the library with the tree it is in; loaders remember theirs, so do we."""
        marked = self.marked.get(library)
        if marked is None:
            marked = self.marked[library] = structs.replace(library, builder=builder)
        return marked

    def run(self) -> Closure:
        """Load each root, and each variant of what is shipped, as a program of its own."""
        loader = self.target or self.source
        if loader is None:
            return self._result()
        inspector = Problems(loader.paths)
        waiting = sorted(self.roots, reverse=True)
        while waiting:
            path = waiting.pop()
            opened = self.objects.open(self.builder, path)
            if opened is None or opened.elf is None or opened.elf.abi != loader.glibc.abi:
                continue
            main = structs.replace(as_library(f"/{opened.path}", opened, How.PROGRAM), builder=True)
            self._interpreter(main)
            loaded = link_map(main, loader.interpreter(), self.find, loader.paths)
            for problem in inspector.of(loaded):
                if not _is_accepted(problem, self.accepted):
                    _add(problem, self.problems)
            waiting += self._take(loaded)
        return self._result()

    def _interpreter(self, program: Library) -> None:
        name = program.elf.interpreter
        if name and self._open(name) is None:
            self.problems[MissingInterpreter(name, program.path)] = None

    def _take(self, loaded: LinkMap) -> list[str]:
        """Note what the needs of one program came to; return variants met for the first time."""
        variants: list[str] = []
        for requester, name, found in loaded.needs:
            if isinstance(found, Library):
                variants += self._met(requester, name, found)
            elif found is None and _accepts(self.accepted, name):
                self.unresolved.setdefault(name, set()).add(requester.path)
        return variants

    def _met(self, requester: Library, name: str, library: Library) -> list[str]:
        if not library.builder:
            self.provided.setdefault((name, library.path), set()).add(requester.path)
            return []
        new_links = self._placed(library)
        if library.path in self.roots:
            return []
        is_new = library.path not in self.shipped
        links, reasons = self.shipped.setdefault(library.path, ({}, {}))
        links.update(dict.fromkeys(new_links))
        reasons[Reason(requester.path, name)] = None
        if not is_new or self.source is None:
            return []
        variants = self.source.variants(library)
        for variant in variants:
            reason = Reason(requester.path, name)
            self.shipped.setdefault(variant.path, ({}, {}))[1][reason] = None
            self.links.update(variant.links)
        return [variant.path for variant in variants]

    def _placed(self, library: Library) -> list[str]:
        """Return the links to a library that the base lacks; note them, and its directory."""
        key = library.name, library.links, id(library.how)
        if key not in self.places:
            self.places[key] = [link for link in library.links if not self._in_base(link)]
            self.links.update(self.places[key])
            self._directory(library)
        return self.places[key]

    def _in_base(self, link: str) -> bool:
        """Whether the base has the same symbolic link, as usr-merged systems have ``lib``."""
        ours, theirs = self.builder.tree.entry(link), self.base.tree.entry(link)
        return (
            isinstance(theirs, Symlink)
            and isinstance(ours, Symlink)
            and (theirs.target == ours.target)
        )

    def _directory(self, library: Library) -> None:
        """Note a directory that only ld.so.conf can make the base's loader search."""
        if library.how in (How.CACHE, How.DEFAULT):
            name = library.name.rpartition("/")[0]
            if _real(self.builder, name) not in self.system:
                self.directories[name] = None

    def _result(self) -> Closure:
        return Closure(
            shipped=tuple(
                Shipped(path, tuple(sorted(links)), tuple(sorted(reasons)))
                for path, (links, reasons) in sorted(self.shipped.items())
            ),
            provided=tuple(
                Provided(soname, path, tuple(sorted(wanted_by)))
                for (soname, path), wanted_by in sorted(self.provided.items())
            ),
            unresolved=tuple(
                Unresolved(soname, tuple(sorted(wanted_by)))
                for soname, wanted_by in sorted(self.unresolved.items())
            ),
            conf_directories=tuple(sorted(self.directories)),
            links=tuple(sorted(self.links)),
            problems=tuple(
                sorted(self.problems, key=lambda problem: (str(type(problem)), problem))
            ),
        )


def _real(root: Root, directory: str) -> str:
    """Return where a directory really is; its own name where it is not."""
    found = find_directory(root, directory)
    return found[0] if found else directory.strip("/")


def _add(problem: Problem, problems: dict[Problem, None]) -> None:
    """Note a problem; raises :class:`ClosureError` with those so far if it is one too many."""
    problems[problem] = None
    if len(problems) > MAX_PROBLEMS:
        raise ClosureError(
            f"the libraries do not fit together in more than {MAX_PROBLEMS} ways",
            problems=tuple(one_line(str(problem)) for problem in problems),
        )


def _accepts(accepted: Collection[str], soname: str) -> bool:
    return any(fnmatchcase(soname, pattern) for pattern in accepted)


def _is_accepted(problem: Problem, accepted: Collection[str]) -> bool:
    return isinstance(problem, MissingLibrary) and _accepts(accepted, problem.soname)
