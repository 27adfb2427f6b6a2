"""Honest package records: what of which package is in the new layer, and nothing else.

Each package of the builder of which a file is shipped gets its control paragraph and the
md5sums of just these files, where distroless has them and scanners look, and brings its
copyright file. A package that the base has too must be the same version, or be replaced
whole: its record then covers the base's files and ours.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from layersmith.analysis.dpkg import RECORDS, Package, copyright_of, owners, records
from layersmith.errors import RecipeError
from layersmith.rootfs.entries import File, Meta
from layersmith.rootfs.tree import glob_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from layersmith.plan.placing import Placing
    from layersmith.rootfs.tree import Contents

__all__ = ["md5_of", "record_packages"]


def record_packages(placing: Placing, exclude: Iterable[str]) -> dict[str, Package]:
    """Add records and copyright files; return who owns what of the layer.

    Raises :class:`RecipeError` for a package that the base has in another version.
    """
    excluded = [glob_pattern(glob) for glob in exclude]
    seen: set[str] = set()
    while True:
        owned = _owned(placing)
        new = {package.name: package for package in owned.values() if package.name not in seen}
        if not new:
            break
        seen |= new.keys()
        for package in new.values():
            for path in copyright_of(placing.builder.tree, package):
                if not any(pattern.fullmatch(path) for pattern in excluded):
                    placing.take(path, f"the copyright of {package.name}")
    _write(placing, owned)
    return owned


def _owned(placing: Placing) -> dict[str, Package]:
    """Return the owner of each path of the layer that came from a package."""
    known = owners(placing.builder, placing.origins.values())
    return {
        path: known[origin]
        for path, origin in placing.origins.items()
        if origin in known and path in placing.entries
    }


def _write(placing: Placing, owned: Mapping[str, Package]) -> None:
    there = records(placing.base)
    packages = {package.name: package for package in owned.values()}
    for name in sorted(packages):
        package = packages[name]
        before, sums = there.get(name, (package, b""))
        if before.version != package.version or before.architecture != package.architecture:
            raise RecipeError(
                f"the base has {name} {before.version} ({before.architecture}), "
                f"the builder {package.version} ({package.architecture})",
                hint="take base and builder of one date, so that one set of packages is in both, "
                f"or replace the base's whole: --replace-package {name}",
            )
        paths = sorted(path for path, owner in owned.items() if owner.name == name)
        lines = [*sums.splitlines(keepends=True), *_md5sums(placing, paths)]
        _put(placing, f"{RECORDS}/{name}.md5sums", b"".join(lines), package)
        if name not in there:
            _put(placing, f"{RECORDS}/{name}", package.control, package)


def _put(placing: Placing, path: str, content: bytes, package: Package) -> None:
    placing.put(path, File(Meta(0o644), content), f"the record of {package.name}")


def _md5sums(placing: Placing, paths: Iterable[str]) -> Iterator[bytes]:
    """Yield the lines that dpkg writes for the regular files among `paths`."""
    for path in paths:
        entry = placing.entries[path]
        if isinstance(entry, File):
            digest = md5_of(placing.builder.contents, entry)
            yield f"{digest}  {path}\n".encode("utf-8", "surrogateescape")


def md5_of(contents: Contents, file: File) -> str:
    """Return the MD5 of a file's bytes, as dpkg keeps it."""
    hasher = hashlib.md5(usedforsecurity=False)
    chunks = [file.content] if isinstance(file.content, bytes) else contents.chunks(file)
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.hexdigest()
