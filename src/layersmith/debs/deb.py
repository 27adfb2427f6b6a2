"""A package's file: an ar archive of two tars, its control files and its data (deb(5)).

``debian-binary``, ``control.tar`` and ``data.tar`` stand in this order; what comes between, or
follows, under a name that starts with ``_`` is of others. The tars are read by the strict reader
of layers, inflated within bounds.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from layersmith.debs.paragraph import said_in
from layersmith.debs.xz import unxz
from layersmith.errors import LayerError, PackageError, one_line
from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.tar import Allowance, TarReader

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Control", "Deb", "open_deb"]

_MAGIC: Final = b"!<arch>\n"
# Name, time, user, group and mode, size: of fixed widths.
_HEADER: Final = re.compile(rb"([\x20-\x7e]{16})[0-9 ]{32}([0-9 ]{10})`\n")
_HEADER_SIZE: Final = 60
_TAR: Final = re.compile(r"(control|data)\.tar(\.xz|\.gz|\.zst)?", re.ASCII)
_FORMS: Final = {".gz": "gzip", ".zst": "zstd", "": "none"}
_MOST_MEMBERS: Final = 16
_LONGEST_CONTROL: Final = 1 << 20
_SCRIPTS: Final = frozenset({"preinst", "postinst"})


class Positioned(Protocol):
    """What can be read at any place."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def pread(self, size: int, offset: int) -> bytes:
        """Read up to `size` bytes at `offset`."""


class _Member(NamedTuple):
    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Control:
    """What a package says of itself, and which of its scripts would have been run."""

    paragraph: bytes
    name: str
    version: str
    architecture: str
    scripts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deb:
    """An open package: its control files, read, and its data, to be read once."""

    control: Control
    _file: Positioned
    _data: _Member

    def data(self) -> Iterator[bytes]:
        """Yield the bytes of its data's tar, inflated."""
        return _inflated(self._file, self._data)


def open_deb(file: Positioned, what: str) -> Deb:
    """Open a package; raises :class:`PackageError`."""
    members = _members(file, what)
    if members[0].name != "debian-binary" or members[0].size > 64:
        raise PackageError("it does not start with its version", place=what)
    if not file.pread(members[0].size, members[0].offset).startswith(b"2."):
        raise PackageError("a version of its format that nobody knows", place=what)
    tars = [each for each in members[1:] if not each.name.startswith("_")]
    kinds = [match and match[1] for match in (_TAR.fullmatch(each.name) for each in tars)]
    if kinds != ["control", "data"]:
        raise PackageError(
            f"members {', '.join(one_line(each.name, 20) for each in tars)}, not control and data "
            "in .xz, .gz or .zst",
            place=what,
        )
    return Deb(_control(file, tars[0], what), file, tars[1])


def _members(file: Positioned, what: str) -> list[_Member]:
    """Return the members of an ar archive, each of them within the file."""
    if file.pread(len(_MAGIC), 0) != _MAGIC:
        raise PackageError("no package: it is no ar archive", place=what)
    found: list[_Member] = []
    at = len(_MAGIC)
    while at < file.size:
        match = _HEADER.fullmatch(file.pread(_HEADER_SIZE, at))
        name, length = (each.rstrip(b" ") for each in match.groups()) if match else (b"", b"")
        at += _HEADER_SIZE
        if not name or b" " in name or not length.isdigit() or len(found) == _MOST_MEMBERS:
            raise PackageError("a damaged ar archive", place=what)
        size = int(length)
        if at + size > file.size:
            raise PackageError("a damaged ar archive: it ends too early", place=what)
        found.append(_Member(name.decode().removesuffix("/"), at, size))
        at += size + size % 2
    if not found:
        raise PackageError("an empty ar archive", place=what)
    return found


def _control(file: Positioned, member: _Member, what: str) -> Control:
    paragraph, scripts = b"", []
    try:
        reader = TarReader(PieceReader(_inflated(file, member)), Allowance(1 << 20))
        for entry in reader:
            if entry.path in _SCRIPTS and entry.type == "0":
                scripts.append(entry.path)
            if entry.path == "control":
                if paragraph or entry.type != "0" or not 0 < entry.size <= _LONGEST_CONTROL:
                    raise PackageError("two control files, or none to read", place=what)
                paragraph = b"".join(reader.content())
        if not paragraph:
            raise PackageError("it has no control file", place=what)
    except LayerError as error:
        raise PackageError(error.message, place=what) from None
    said = said_in(paragraph.strip(b"\n"), what)
    return Control(
        paragraph.strip(b"\n") + b"\n",
        said.get("package", ""),
        said.get("version", ""),
        said.get("architecture", ""),
        tuple(sorted(scripts)),
    )


def _inflated(file: Positioned, member: _Member) -> Iterator[bytes]:
    form = _TAR.fullmatch(member.name)
    assert form is not None
    stream = _Part(file, member)
    if form[2] == ".xz":
        return unxz(stream, member.size)
    return decompress(stream, _FORMS[form[2] or ""], member.size)


class _Part(io.RawIOBase):
    """One member of an archive, as a stream."""

    def __init__(self, file: Positioned, member: _Member) -> None:
        super().__init__()
        self._file = file
        self._at = member.offset
        self._end = member.offset + member.size

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, empty only at the end."""
        left = self._end - self._at
        data = self._file.pread(left if size < 0 else min(size, left), self._at)
        self._at += len(data)
        return data
