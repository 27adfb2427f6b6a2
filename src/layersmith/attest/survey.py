"""Taking an inventory: which packages an image records, which of its files are theirs.

A file is a package's if the package's record names it and, where the record has its MD5, it
is that file: what a later layer put in its place is nobody's, or somebody else's. Records are
those of scanners: dpkg's ``status.d`` and ``status``, and ``dist-info`` of Python. CPython
under ``/usr/local`` has none, so its files are known by their places.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from layersmith.analysis.cpython import cpython_version, is_cpython, standard_libraries
from layersmith.analysis.distributions import distributions, normalized
from layersmith.analysis.dpkg import RECORDS, installed, owners, records, sums
from layersmith.attest.inventory import Component, Hashed, Inventory, System
from layersmith.attest.names import cpe_python, purl
from layersmith.rootfs.entries import File, Slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.analysis.dpkg import Package
    from layersmith.oci.image import Image
    from layersmith.rootfs.tree import Contents, Root

__all__ = ["survey"]

_TITLE: Final = "org.opencontainers.image.title"
_STATUS: Final = "var/lib/dpkg/status"
_RELEASE = re.compile(r"^(ID|VERSION_ID|PRETTY_NAME)=(.*)$", re.MULTILINE)
# What os-release(5) lets ID and VERSION_ID be made of; both become parts of package URLs.
_WORD = re.compile(r"[a-z0-9._-]{1,64}", re.ASCII)
_MAX_RELEASE: Final = 64 << 10
_MINOR = re.compile(r"3\.\d{1,2}(?!\d)", re.ASCII)
_MAINTAINER = re.compile(rb"^Maintainer:[ \t]*([^\n]+)$", re.MULTILINE | re.IGNORECASE)
# An SPDX expression of listed licences: others would have to be written out (SPDX 2.3, annex D).
_EXPRESSION = re.compile(r"(?!.*Ref-)[A-Za-z0-9.+() -]{1,500}", re.ASCII)


def survey(image: Image, root: Root, epoch: int) -> Inventory:
    """Return what `image` holds, whose file system is `root`; every file is read once.

    Raises :class:`LayerError` for records that cannot be read, and what reading files raises.
    """
    hashed, md5 = _hashed(root)
    system = _system(root)
    claims = _Claims(hashed)
    components = [
        *_debian(root, claims, md5, system),
        *_python(root, claims),
        *_cpython(root, claims),
    ]
    return Inventory(
        name=image.manifest.value.annotations.get(_TITLE, "") or "image",
        digest=str(image.manifest.descriptor.digest),
        platform=image.platform,
        epoch=epoch,
        layers=image.layers,
        system=system,
        components=tuple(sorted(components, key=lambda one: (one.kind, one.purl, one.place))),
        others=tuple(claims.left()),
    )


class _Claims:
    """The files that are not yet somebody's: the first who claims one has it."""

    def __init__(self, files: Mapping[str, Hashed]) -> None:
        self._files = dict(sorted(files.items()))
        self._all = files

    def take(self, paths: set[str]) -> tuple[Hashed, ...]:
        """Give those of `paths` that are files, and nobody's."""
        return tuple(self._files.pop(path) for path in sorted(paths & self._files.keys()))

    def left(self) -> list[Hashed]:
        """Return what is nobody's."""
        return list(self._files.values())

    def layers(self, place: str, files: tuple[Hashed, ...]) -> tuple[str, ...]:
        """Return the layers of a record and of the files that it is about."""
        record = self._all.get(place)
        found = [record.layer] if record is not None else []
        return tuple(dict.fromkeys([*found, *(file.layer for file in files)]))


def _hashed(root: Root) -> tuple[dict[str, Hashed], dict[str, str]]:
    """Return every regular file by path, and its MD5, which dpkg's records have."""
    files, md5 = {}, {}
    # Hard links are one inode: read once.
    known: dict[tuple[str, int, int], tuple[str, str, str]] = {}
    for path, entry in root.tree.walk():
        if not isinstance(entry, File):
            continue
        content = entry.content
        assert isinstance(content, Slice)
        inode = (content.layer, content.offset, content.size)
        if inode not in known:
            known[inode] = _digests(root.contents, entry)
        sha1, sha256, md5[path] = known[inode]
        files[path] = Hashed(path, entry.size, sha1, sha256, content.layer)
    return files, md5


def _digests(contents: Contents, file: File) -> tuple[str, str, str]:
    """Return SHA-1, SHA-256 and MD5 of a file, in hex."""
    sha1 = hashlib.sha1(usedforsecurity=False)
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    for piece in contents.chunks(file):
        sha1.update(piece)
        sha256.update(piece)
        md5.update(piece)
    return sha1.hexdigest(), sha256.hexdigest(), md5.hexdigest()


def _debian(
    root: Root, claims: _Claims, md5: Mapping[str, str], system: System | None
) -> Iterator[Component]:
    folder = root.tree.resolve(RECORDS)
    for name, (package, md5sums) in sorted(records(root).items()):
        mine = {path for path, said in sums(root.tree, md5sums) if md5.get(path) == said}
        place = f"{folder.path}/{name}" if folder else ""
        yield _package(package, place, claims, claims.take(mine), system)
    packages = {(p.name, p.architecture): p for p in installed(root)}
    if not packages:
        return
    listed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, package in owners(root, md5).items():
        listed[package.name, package.architecture].add(path)
    for key in sorted(packages):
        files = claims.take(listed[key])
        yield _package(packages[key], _STATUS, claims, files, system)


def _package(
    package: Package,
    place: str,
    claims: _Claims,
    files: tuple[Hashed, ...],
    system: System | None,
) -> Component:
    maintainer = _MAINTAINER.search(package.control)
    vendor = system.name if system else "debian"
    distro = f"{vendor}-{system.version}" if system and system.version else ""
    about = {"arch": package.architecture, "distro": distro}
    return Component(
        kind="debian",
        name=package.name,
        version=package.version,
        purl=purl("deb", f"{vendor}/{package.name}", package.version, about),
        supplier=maintainer[1].decode("utf-8", "replace").strip() if maintainer else "",
        architecture=package.architecture,
        source=(package.source, package.source_version),
        place=place,
        layers=claims.layers(place, files),
        files=files,
    )


def _python(root: Root, claims: _Claims) -> Iterator[Component]:
    for dist in distributions(root):
        files = claims.take(set(dist.files))
        place = f"{dist.place}/METADATA"
        yield Component(
            kind="python",
            name=dist.name,
            version=dist.version,
            purl=purl("pypi", normalized(dist.name), dist.version),
            license=dist.license if _EXPRESSION.fullmatch(dist.license) else "",
            place=place,
            layers=claims.layers(place, files),
            files=files,
        )


def _cpython(root: Root, claims: _Claims) -> Iterator[Component]:
    minors = standard_libraries(root.tree)
    mine: dict[str, set[str]] = defaultdict(set)
    for file in claims.left():
        if is_cpython(file.path):
            said = _MINOR.search(file.path)
            # Names without a minor version (bin/python) are mostly links: the last one's.
            mine[said[0] if said else max(minors, default="")].add(file.path)
    for minor in minors:
        files = claims.take(mine[minor])
        version = cpython_version(root, minor) or minor
        place = f"usr/local/lib/python{minor}/os.py"
        yield Component(
            kind="cpython",
            name="python",
            version=version,
            purl=purl("generic", "python", version),
            cpe=cpe_python(version),
            license="PSF-2.0",
            supplier="Python Software Foundation",
            place=place,
            layers=claims.layers(place, files),
            files=files,
        )


def _system(root: Root) -> System | None:
    """Return what os-release(5) says; None where there is none."""
    found = (root.tree.lookup(path) for path in ("etc/os-release", "usr/lib/os-release"))
    file = next((one for one in found if isinstance(one, File) and one.size), None)
    if file is None or file.size > _MAX_RELEASE:
        return None
    text = root.contents.read(file).decode("utf-8", "replace")
    said = {key: value.strip().strip("\"'") for key, value in _RELEASE.findall(text)}
    name, version = (said.get(key, "") for key in ("ID", "VERSION_ID"))
    name = name if _WORD.fullmatch(name) else "linux"
    version = version if _WORD.fullmatch(version) else ""
    return System(name, version, said.get("PRETTY_NAME") or name)
