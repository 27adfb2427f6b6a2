"""One file, or its parts: what is too large for a medium is cut, and read as one again.

::

    FILE             all of it
    FILE.000 ...     the parts, each as large as was asked for but the last
    FILE.sha256      their checksums, as sha256sum writes and checks them; written last
"""

from __future__ import annotations

import hashlib
import os
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from layersmith.errors import DocumentError, NotFound, OutputError
from layersmith.stores.files import OpenFile, Section, appearing, disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Joined", "damaged_parts", "open_parts", "part_names", "write_parts"]

_MOST: Final = 1000
_PIECE: Final = 1 << 20
_LIST: Final = re.compile(r"([0-9a-f]{64})  (\S[^/\0\n]*)", re.ASCII)
_PART: Final = re.compile(r"(.+)\.(?:[0-9]{3}|sha256)", re.ASCII)


class Joined:
    """Files that are read as if they were one; :class:`OpenFile` in several pieces."""

    def __init__(self, files: list[OpenFile]) -> None:
        self._files = files
        self.size = sum(file.size for file in files)

    def pread(self, size: int, offset: int) -> bytes:
        """Read up to `size` bytes at `offset`, fewer only at the end of all."""
        found = []
        for file in self._files:
            if size > 0 and offset < file.size:
                found.append(file.pread(min(size, file.size - offset), offset))
                size -= len(found[-1])
                offset = file.size
            offset -= file.size
        return b"".join(found)

    def whole(self) -> Section:
        """Return all of it as a stream."""
        return Section(self, 0, self.size)


def part_names(path: Path) -> list[Path]:
    """Return the files that `path` stands for: itself, or its parts; any of these may be given.

    Raises :class:`NotFound`, and :class:`DocumentError` for a list that is none.
    """
    if path.is_file() and (_PART.fullmatch(path.name) is None or not list_of(path).is_file()):
        return [path]
    return [name for name, _ in _listed(list_of(path), path)]


def list_of(path: Path) -> Path:
    """Return where the checksums are of the parts that `path` is, or is one of."""
    part = _PART.fullmatch(path.name)
    return path.with_name(f"{part[1] if part else path.name}.sha256")


def open_parts(path: Path) -> Joined:
    """Open them; what is in them is verified by who reads it."""
    files = []
    for name in part_names(path):
        with disk_errors(f"reading {name}"):
            try:
                files.append(OpenFile.at(name))
            except FileNotFoundError:
                hint = "bring all parts and the .sha256 list into one directory"
                raise NotFound(f"the part {name} is missing", hint=hint) from None
    return Joined(files)


def damaged_parts(path: Path) -> list[Path]:
    """Return the parts that are not what their list says, or not there; none without parts."""
    if part_names(path) == [path]:
        return []
    return [name for name, digest in _listed(list_of(path), path) if _digest_of(name) != digest]


def _digest_of(path: Path) -> str:
    """Return the digest of a file, or nothing if there is none."""
    hasher = hashlib.sha256()
    with disk_errors(f"reading {path}"):
        try:
            file = OpenFile.at(path)
        except FileNotFoundError:
            return ""
        for piece in iter(partial(file.whole().read, _PIECE), b""):
            hasher.update(piece)
    return hasher.hexdigest()


def write_parts(path: Path, pieces: Iterable[bytes], limit: int) -> list[Path]:
    """Write `pieces` to `path`, or with a `limit` (in bytes) to parts; whole or not at all.

    Returns the files that were written. Raises :class:`OutputError`.
    """
    listed = path.with_name(f"{path.name}.sha256")
    with disk_errors(f"writing {path}"):
        if not limit:
            with appearing(path, durable=True) as file:
                for piece in pieces:
                    file.write(piece)
            listed.unlink(missing_ok=True)
            _forget(path, 0)
            return [path]
        listed.unlink(missing_ok=True)  # what is there now is nothing until it is listed again
        try:
            parts = [_write(path, number, run) for number, run in enumerate(_cut(pieces, limit))]
        except BaseException:
            _forget(path, 0)
            raise
        path.unlink(missing_ok=True)
        _forget(path, len(parts))
        with appearing(listed, durable=True) as file:
            file.write("".join(f"{digest}  {name.name}\n" for name, digest in parts).encode())
    return [*(name for name, _ in parts), listed]


def _write(path: Path, number: int, pieces: Iterable[bytes]) -> tuple[Path, str]:
    if number >= _MOST:
        raise OutputError(f"{path}: more than {_MOST} parts", hint="make larger ones")
    name = path.with_name(f"{path.name}.{number:03}")
    hasher = hashlib.sha256()
    with appearing(name, durable=True) as file:
        for piece in pieces:
            hasher.update(piece)
            file.write(piece)
    return name, hasher.hexdigest()


def _cut(pieces: Iterable[bytes], limit: int) -> Iterator[Iterator[bytes]]:
    """Cut `pieces` into runs of `limit` bytes; each must be read before the next."""
    source = (memoryview(piece) for piece in pieces)
    rest = next(source, None)

    def run() -> Iterator[bytes]:
        nonlocal rest
        left = limit
        while left and rest is not None:
            piece, rest = rest[:left], rest[left:]
            left -= len(piece)
            if piece:
                yield bytes(piece)
            if not rest:
                rest = next(source, None)

    while rest is not None:
        yield run()


def _forget(path: Path, keep: int) -> None:
    """Remove the parts of an earlier, longer file of this name."""
    for number in range(keep, _MOST):
        try:
            os.unlink(path.with_name(f"{path.name}.{number:03}"))  # noqa: PTH108
        except FileNotFoundError:
            return


def _listed(listed: Path, asked: Path) -> list[tuple[Path, str]]:
    with disk_errors(f"reading {listed}"):
        try:
            text = listed.read_bytes()[: _MOST * 400].decode("utf-8", "replace")
        except FileNotFoundError:
            hint = f"is the path right? parts are read with their list, {listed.name}"
            raise NotFound(f"there is no file {asked}", hint=hint) from None
    found = []
    for number, line in enumerate(text.splitlines()):
        match = _LIST.fullmatch(line)
        name = f"{listed.name.removesuffix('.sha256')}.{number:03}"
        if match is None or match[2] != name:
            raise DocumentError(f"{listed}:{number + 1}: not the checksum of the part {name}")
        found.append((listed.with_name(name), match[1]))
    if not found:
        raise DocumentError(f"{listed} lists no parts")
    return found
