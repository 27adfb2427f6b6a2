"""Wheels: what is in one, checked against its own record before any of it is used.

PyPA, "Binary distribution format" and "Recording installed projects" (RECORD).
"""

from __future__ import annotations

import base64
import csv
import posixpath
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from layersmith.apps.choosing import Named, named, same_version
from layersmith.apps.zips import Archive, Member
from layersmith.errors import WheelError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.apps.zips import Positioned
    from layersmith.oci.digest import Digest

__all__ = ["Packed", "Wheel", "open_wheel"]

_MOST_METADATA: Final = 64 << 20
_ALGORITHMS: Final = ("sha256", "sha384", "sha512")
# The record cannot prove itself, nor what signs it.
_UNRECORDED: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True)
class Packed:
    """A file of a wheel, and the SHA-256 that the record proved."""

    member: Member
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel in which every file is what RECORD says, and no file is left out."""

    filename: str
    digest: Digest
    about: Named
    archive: Archive
    dist_info: str
    files: Mapping[str, Packed]

    @property
    def stem(self) -> str:
        """``NAME-VERSION`` as the archive writes it."""
        return self.dist_info.removesuffix(".dist-info")

    def read(self, path: str) -> bytes:
        """Return a file that is small enough to be held."""
        return self.archive.read(self.files[path].member, _MOST_METADATA)

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file in pieces."""
        return self.archive.chunks(self.files[path].member)


def open_wheel(file: Positioned, filename: str, digest: Digest) -> Wheel:
    """Read all of a wheel once, and check it; raises :class:`WheelError`."""
    about = named(filename)
    if about is None:
        raise WheelError("this is no name of a wheel", wheel=filename)
    archive = Archive(file, filename)
    dist_info = _dist_info(archive)
    _check_names(archive, dist_info, about)
    files = _recorded(archive, dist_info)
    return Wheel(filename, digest, about, archive, dist_info, files)


def _dist_info(archive: Archive) -> str:
    tops = {path.partition("/")[0] for path in archive.members if "/" in path}
    found = [top for top in tops if top.lower().endswith(".dist-info")]
    if len(found) != 1 or not found[0].endswith(".dist-info"):
        raise WheelError(f"has {len(found)} .dist-info directories, not one", wheel=archive.name)
    return found[0]


def _check_names(archive: Archive, dist_info: str, about: Named) -> None:
    """Refuse a wheel that is another distribution, or version, inside than by its name."""
    headers = HeaderParser().parsestr(
        _metadata(archive, f"{dist_info}/METADATA").decode("utf-8", "replace")
    )
    name, version = str(headers["Name"] or ""), str(headers["Version"] or "")
    if canonicalize_name(name) != about.name or not same_version(version, about.version):
        inside = one_line(f"{name} {version}", 100)
        raise WheelError(f"is {inside!r} by its metadata", wheel=archive.name)
    folder = dist_info.removesuffix(".dist-info").partition("-")[0]
    if canonicalize_name(folder) != about.name:
        raise WheelError(f"has the metadata of {one_line(folder, 100)!r}", wheel=archive.name)


def _metadata(archive: Archive, path: str) -> bytes:
    member = archive.members.get(path)
    if member is None:
        raise WheelError(f"has no {one_line(path, 200)}", wheel=archive.name)
    return archive.read(member, _MOST_METADATA)


def _recorded(archive: Archive, dist_info: str) -> dict[str, Packed]:
    rows = _rows(archive, f"{dist_info}/RECORD")
    unrecorded = {f"{dist_info}/{name}" for name in _UNRECORDED}
    if missing := sorted(rows.keys() - archive.members.keys()):
        raise _differs(archive, f"RECORD names {missing[0]!r}, which is not there")
    found = {}
    for path, member in archive.members.items():
        if path in unrecorded:
            found[path] = Packed(member, archive.digests(member, "sha256")[0])
            continue
        if path not in rows:
            raise _differs(archive, f"RECORD does not name {path!r}")
        algorithm, value, size = rows[path]
        if algorithm not in _ALGORITHMS:
            raise _differs(archive, f"RECORD has no sha256 of {path!r}")
        sha256, proof = archive.digests(member, algorithm)
        encoded = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if value.rstrip("=") != encoded or size not in ("", str(member.size)):
            raise _differs(archive, f"{path!r} is not what RECORD says")
        found[path] = Packed(member, sha256)
    return found


def _rows(archive: Archive, path: str) -> dict[str, tuple[str, str, str]]:
    text = _metadata(archive, path).decode("utf-8", "surrogateescape")
    rows: dict[str, tuple[str, str, str]] = {}
    try:
        for row in csv.reader(text.splitlines()):
            if not row:
                continue
            name, proof, size = row
            algorithm, _, value = proof.partition("=")
            if name.startswith(("/", "../")) or posixpath.normpath(name) != name:
                raise _differs(archive, f"RECORD names {name!r}, which leads out of the wheel")
            if name in rows:
                raise _differs(archive, f"RECORD names {name!r} twice")
            rows[name] = (algorithm, value, size)
    except (csv.Error, ValueError) as error:
        raise _differs(archive, f"RECORD cannot be read: {error}") from None
    return rows


def _differs(archive: Archive, message: str) -> WheelError:
    return WheelError(one_line(message, 300), wheel=archive.name, hint="get or build it anew")
