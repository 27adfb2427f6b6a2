"""Packages of the base that give way to the builder's: whole, with their records.

Base and builder of different dates may have a package in two versions. Of one package an
image has one version or it is broken, so where the user asks for it (``--replace-package``)
every file of the base's goes and every file of the builder's comes. From there on the plan
sees a base that has it this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from layersmith.analysis.dpkg import RECORDS, owners, records, sums
from layersmith.errors import RecipeError, one_line
from layersmith.plan.placing import Placing
from layersmith.rootfs.entries import Directory, File, Symlink
from layersmith.rootfs.layer import Whiteout, overlay
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from layersmith.analysis.dpkg import Package
    from layersmith.rootfs.tree import Tree

__all__ = ["replace_packages"]


def replace_packages(base: Root, builder: Root, names: Sequence[str]) -> Placing:
    """Return the layer as it begins: over `base`, with the packages `names` replaced.

    A package that both have in one version stays. Raises :class:`RecipeError` for one that
    the base or the builder does not have.
    """
    if not names:
        return Placing(base, builder)
    there = records(base)
    theirs = owners(builder, [path for path, _ in builder.tree.walk()])
    wanted = dict(_wanted(names, there, theirs.values()))
    ours = {path: package for path, package in theirs.items() if package.name in wanted}
    placing = Placing(base, builder)
    gone = {path for name in wanted for path in _claimed(base, name, there[name][1])}
    others = {
        path
        for name, (_, md5sums) in there.items()
        if name not in wanted
        for path, _ in sums(base.tree, md5sums)
    }
    gone |= {where for where in map(placing.place, ours) if where not in others}
    standing = {path for path in gone if isinstance(base.tree.entry(path), File | Symlink)}
    bare = overlay([[Whiteout(path) for path in sorted(standing)]], base.tree)
    placing = Placing(Root(bare, base.contents), builder)
    for path, package in sorted(ours.items()):
        old = wanted[package.name].version
        placing.take(path, f"{package.name} {package.version} replaces the base's {old}")
    standing |= set(_dangling(base.tree, placing.final()))
    for path in sorted(standing - placing.entries.keys()):
        placing.remove(path)
    return placing.over(Root(placing.final(), base.contents))


def _wanted(
    names: Sequence[str],
    there: dict[str, tuple[Package, bytes]],
    theirs: Collection[Package],
) -> Iterator[tuple[str, Package]]:
    """Yield those of `names` that base and builder have in two versions, with the base's."""
    builders = {package.name: package for package in theirs}
    for name in sorted(set(names)):
        for who, known in (("base", there), ("builder", builders)):
            if name not in known:
                raise RecipeError(
                    f"the {who} has no package {one_line(name, 60)!r} to replace",
                    hint="leave out --replace-package for it",
                )
        before, after = there[name][0], builders[name]
        if (before.version, before.architecture) != (after.version, after.architecture):
            yield name, before


def _claimed(base: Root, name: str, md5sums: bytes) -> Iterator[str]:
    yield from (path for path, _ in sums(base.tree, md5sums))
    folder = base.tree.resolve(RECORDS)
    if folder is not None and isinstance(folder.entry, Directory):
        yield from (f"{folder.path}/{name}{end}" for end in ("", ".md5sums"))


def _dangling(before: Tree, after: Tree) -> Iterator[str]:
    """Yield the links that led somewhere, and lead nowhere now."""
    for path, entry in after.walk():
        if isinstance(entry, Symlink) and after.resolve(path) is None and before.resolve(path):
            yield path
