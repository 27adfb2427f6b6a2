"""The plan of one platform: every entry of the new layer with its reason.

Nothing is written here and nothing fetched: trees in, a value out. `layersmith plan`
prints it, `assemble` packs its entries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.analysis.closure import Closure, Unresolved, closure, verify
from layersmith.analysis.glibc import find_glibc
from layersmith.analysis.ldcache import write_cache
from layersmith.analysis.ldconf import conf_for
from layersmith.errors import ClosureError, RecipeError
from layersmith.plan.ownership import Owner, owners_of, unowned
from layersmith.plan.packages import record_packages
from layersmith.plan.replacing import replace_packages
from layersmith.plan.runtime import EXPECTED_UNRESOLVED, runtime_data
from layersmith.plan.selection import LeftOut, Selection, select_files
from layersmith.plan.soundness import check_image, check_start
from layersmith.plan.users import plan_user
from layersmith.rootfs.entries import File, Meta
from layersmith.rootfs.tree import Root, glob_pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from layersmith.analysis.dpkg import Package
    from layersmith.analysis.objects import Objects
    from layersmith.oci.image import Image
    from layersmith.plan.placing import Placing
    from layersmith.plan.users import PlannedUser
    from layersmith.recipe.recipe import Recipe
    from layersmith.rootfs.entries import Entry

__all__ = ["Plan", "Platformed", "make_plan"]

_PYTHON: Final = "usr/local/bin/python"
_LD_CONF: Final = "etc/ld.so.conf"
_LD_CACHE: Final = "etc/ld.so.cache"
_PATCHLEVEL = re.compile(rb'^#define PY_VERSION\s+"([0-9.a-z+]+)"', re.MULTILINE)
_VERSION = re.compile(r"3\.\d{1,2}\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Platformed:
    """Base and builder of one platform, with their file systems."""

    base: Image
    builder: Image
    base_root: Root
    builder_root: Root


@dataclass(frozen=True, slots=True)
class Plan:
    """What the layer of one platform will hold, and why."""

    inputs: Platformed
    python: str
    epoch: int
    entries: Mapping[str, Entry]
    reasons: Mapping[str, str]
    provided: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    closure: Closure
    unresolved: tuple[Unresolved, ...]
    user: PlannedUser
    unmatched: frozenset[str]
    owners: Mapping[str, Package]
    owned: Mapping[str, Owner]
    unowned: Mapping[str, str]
    removed: frozenset[str]

    @property
    def size(self) -> int:
        """The bytes of all files of the layer."""
        return sum(entry.size for entry in self.entries.values() if isinstance(entry, File))


def make_plan(inputs: Platformed, recipe: Recipe, epoch: int, objects: Objects) -> Plan:
    """Decide everything about one platform's layer; `objects` remembers what it reads.

    Raises :class:`ClosureError` with every need that cannot be met, and
    :class:`RecipeError` for wishes that cannot be fulfilled.
    """
    builder = inputs.builder_root
    python = python_version(inputs)
    placing = replace_packages(inputs.base_root, builder, recipe.replace_package)
    base = placing.base
    selection = select_files(builder.tree, recipe.include, recipe.exclude)
    accepted = (*EXPECTED_UNRESOLVED, *recipe.allow_unresolved)
    needs = closure(
        builder,
        base,
        elf_candidates(builder, selection.chosen),
        allow_unresolved=accepted,
        objects=objects,
    )
    needs.check()
    unresolved = (*needs.unresolved, *_left_out_needs(inputs, selection, objects))
    for path, reason in selection.chosen.items():
        placing.take(path, reason)
    _take_libraries(placing, needs, recipe.exclude)
    hit = set(_take_data(placing, needs, builder, recipe.exclude))
    _keep_site_packages(placing, selection.chosen)
    placing.drop_dangling()
    owners = record_packages(placing, recipe.exclude)
    user = plan_user(base, recipe.chosen_user(), epoch)
    for path, entry in user.entries.items():
        placing.put(path, entry, "the user")
    _configure_loader(placing, needs, objects)
    final = Root(placing.final(), base.contents)
    shipped = elf_candidates(final, placing.entries)
    _check_final(final, shipped, accepted, objects)
    if placing.removed or recipe.replace_package:
        _check_base(inputs.base_root, final, objects)
    check_image(final, inputs.base.platform, python, shipped, objects)
    _check_start(final, recipe, objects)
    owned = owners_of(placing, owners, python)
    return Plan(
        inputs,
        python,
        epoch,
        placing.entries,
        placing.reasons,
        tuple(placing.provided),
        (*selection.left_out, *_dangling(placing)),
        needs,
        unresolved,
        user,
        selection.unmatched - {f"--exclude {glob}" for glob in hit},
        owners,
        owned,
        unowned(placing, owned),
        frozenset(placing.removed),
    )


def python_version(inputs: Platformed) -> str:
    """Return the builder's full Python version, from its environment or its headers."""
    said = inputs.builder.config.value.environment().get("PYTHON_VERSION", "")
    if _VERSION.fullmatch(said):
        return said
    include = inputs.builder_root.tree.listing("usr/local/include")
    for name in sorted(include, reverse=True):
        text = inputs.builder_root.read(f"usr/local/include/{name}/patchlevel.h")
        match = _PATCHLEVEL.search(text) if text else None
        if match and _VERSION.fullmatch(match[1].decode()):
            return match[1].decode()
    raise RecipeError(
        "the builder does not say which Python it has",
        hint="it must set PYTHON_VERSION as docker.io/library/python does",
    )


def elf_candidates(builder: Root, paths: Iterable[str]) -> list[str]:
    """Return those of `paths` that may be ELF files: executable, or named like one."""
    found = []
    for path in paths:
        entry = builder.tree.entry(path)
        if isinstance(entry, File) and (entry.meta.mode & 0o111 or ".so" in path):
            found.append(path)
    return found


def _keep_site_packages(placing: Placing, chosen: Iterable[str]) -> None:
    for path in chosen:
        if path.endswith("/site-packages"):
            placing.keep_directory(path, "CPython")


def _left_out_needs(
    inputs: Platformed, selection: Selection, objects: Objects
) -> tuple[Unresolved, ...]:
    """Return the expected libraries that left-out modules lack: tk and tcl of tkinter."""
    left_out = [path for group in selection.left_out for path in group.paths]
    return closure(
        inputs.builder_root,
        inputs.base_root,
        elf_candidates(inputs.builder_root, left_out),
        allow_unresolved=EXPECTED_UNRESOLVED,
        objects=objects,
    ).unresolved


def _take_libraries(placing: Placing, needs: Closure, exclude: Iterable[str]) -> None:
    excluded = [glob_pattern(glob) for glob in exclude]
    for library in needs.shipped:
        reason = str(library.reasons[0])
        paths = (library.path, *library.links)
        if any(pattern.fullmatch(path) for pattern in excluded for path in paths):
            raise ClosureError(
                f"{library.path} is excluded, but {reason}",
                hint=f"exclude {library.reasons[0].wanted_by} too",
            )
        for path in paths:
            placing.take(path, reason)


def _take_data(
    placing: Placing, needs: Closure, builder: Root, exclude: Iterable[str]
) -> Iterator[str]:
    """Take what libraries read at run time; yield the excluded globs that hit some of it."""
    excluded = [(glob, glob_pattern(glob)) for glob in exclude]
    loaded = {library.path for library in needs.shipped}
    loaded |= {provided.path for provided in needs.provided}
    for path, reason in runtime_data(builder.tree, {p.rpartition("/")[2] for p in loaded}):
        hit = next((glob for glob, pattern in excluded if pattern.fullmatch(path)), None)
        if hit is None:
            placing.take(path, reason)
        else:
            yield hit


def _configure_loader(placing: Placing, needs: Closure, objects: Objects) -> None:
    """Write the ld.so.conf that finds all libraries, and the cache that belongs to it."""
    contents = placing.base.contents
    glibc = find_glibc(placing.base, objects)
    system = glibc.system if glibc is not None else ()
    conf = conf_for(placing.base, system, needs.conf_directories)
    if conf != placing.base.read(_LD_CONF):
        placing.put(_LD_CONF, File(Meta(0o644), conf), "the loader's directories")
    cache = write_cache(Root(placing.final(), contents), objects=objects)
    placing.put(_LD_CACHE, File(Meta(0o644), cache), "the loader's cache")


def _check_final(
    final: Root, shipped: list[str], accepted: Collection[str], objects: Objects
) -> None:
    """Load every object of the finished tree, as its own loader would."""
    problems = verify(final, shipped, accepted=accepted, objects=objects)
    if problems:
        raise ClosureError(
            "the layer would not work on the base", problems=tuple(map(str, problems))
        )


def _check_base(base: Root, final: Root, objects: Objects) -> None:
    """Refuse a replaced package that breaks what the base has besides it."""
    before, after = (
        set(map(str, verify(root, elf_candidates(root, [p for p, _ in root.tree.walk()]),
                            objects=objects)))
        for root in (base, final)
    )  # fmt: skip
    if broken := sorted(after - before):
        raise ClosureError("the replaced packages break the base", problems=tuple(broken))


def _check_start(final: Root, recipe: Recipe, objects: Objects) -> None:
    start = recipe.entrypoint if recipe.entrypoint is not None else (f"/{_PYTHON}",)
    if start:
        check_start(final, start[0], objects, is_python=recipe.entrypoint is None)


def _dangling(placing: Placing) -> Iterable[LeftOut]:
    if placing.dangling:
        yield LeftOut("links", "their target is left out", tuple(placing.dangling), 0)
