"""Whose each file of the new layer is, so that none is there that nobody answers for.

A file of the builder belongs to a Debian package (by dpkg's lists), to a Python distribution
(by its RECORD) or to CPython (by its place); what layersmith made belongs to layersmith. A
file of none of them stays with the reason for which it was taken, and is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from layersmith import __version__
from layersmith.analysis.cpython import is_cpython
from layersmith.analysis.distributions import distributions
from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layersmith.analysis.dpkg import Package
    from layersmith.plan.placing import Placing

__all__ = ["Owner", "owners_of", "unowned"]


class Owner(NamedTuple):
    """Who answers for a file; `kind` is debian, python, cpython or layersmith."""

    kind: str
    name: str
    version: str


def owners_of(placing: Placing, packages: Mapping[str, Package], python: str) -> dict[str, Owner]:
    """Return the owner of every regular file of the layer that has one.

    Where two claim a file, dpkg's lists win: they are what its tools go by.
    """
    dists = {
        path: Owner("python", dist.name, dist.version)
        for dist in distributions(placing.builder)
        for path in dist.files
    }
    found: dict[str, Owner] = {}
    for path, entry in placing.entries.items():
        if not isinstance(entry, File):
            continue
        origin = placing.origins.get(path)
        package = packages.get(path)
        if package is not None:
            found[path] = Owner("debian", package.name, package.version)
        elif origin is None:
            found[path] = Owner("layersmith", "layersmith", __version__)
        elif origin in dists:
            found[path] = dists[origin]
        elif is_cpython(origin):
            found[path] = Owner("cpython", "python", python)
    return found


def unowned(placing: Placing, owners: Mapping[str, Owner]) -> dict[str, str]:
    """Return the files that belong to nobody, each with the reason that it is there."""
    return {
        path: placing.reasons[path]
        for path, entry in sorted(placing.entries.items())
        if isinstance(entry, File) and path not in owners
    }
