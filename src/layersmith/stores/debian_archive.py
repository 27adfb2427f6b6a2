"""What an archive of packages serves: its signed index as it is now, all else by digest.

Plain HTTP is gone to where a source says so: everything is signed, or has a digest that is. No
password goes there.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from layersmith.errors import NotFound, PackageError, Unauthorized, one_line
from layersmith.oci.content import CHUNK, VerifiedReader, twice
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Descriptor
from layersmith.rootfs.checksum import Checksum, checksum, proven
from layersmith.rootfs.compression import PieceReader
from layersmith.rootfs.entries import Slice
from layersmith.stores.files import OpenFile, disk_errors
from layersmith.stores.registry_urls import redacted
from layersmith.stores.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from layersmith.oci.content import Progress
    from layersmith.rootfs.entries import File
    from layersmith.rootfs.tree import Contents
    from layersmith.stores.cache import Cache
    from layersmith.stores.registry_options import RegistryOptions
    from layersmith.stores.web import Answer

__all__ = ["DebContents", "DebianArchive", "on_disk"]

_T = TypeVar("_T")
_TYPE: Final = "application/octet-stream"
_LARGEST_INDEX: Final = 8 << 20
_PIECE: Final = 1 << 20
_CHANGED: Final = "its data changed on the disk while it was read"


class DebianArchive:
    """Fetches from archives, for any number of threads; close it at the end."""

    def __init__(self, cache: Cache, options: RegistryOptions, progress: Progress) -> None:
        self._cache = cache
        self._options = options
        self._progress = progress
        self._webs: dict[str, Web] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Close the connections."""
        for web in self._webs.values():
            web.close()

    def cut(self) -> None:
        """End what is under way, whoever waits for it."""
        for web in tuple(self._webs.values()):
            web.cut()

    def signed(self, url: str) -> bytes:
        """Return a suite's ``InRelease``; whoever reads it verifies it.

        It is fetched whole each time. Who is on the way could give an old one the entity tag
        of the present one, which would then stay when he is gone.

        Raises :class:`NotFound`, :class:`RegistryError` and :class:`InvalidInput`.
        """
        return self._asked(url, lambda answer: answer.whole(_LARGEST_INDEX), redacted(url))

    def file(self, urls: Sequence[str], sha256: str, size: int) -> OpenFile:
        """Return a file of a known digest, all of whose bytes have just been verified.

        It is fetched from the first of `urls` that has it.

        Raises :class:`VerificationError` where the archive has other bytes, :class:`NotFound`
        where it has none.
        """
        descriptor = Descriptor(media_type=_TYPE, digest=Digest(f"sha256:{sha256}"), size=size)
        file = self._cache.sound(descriptor)
        if file is None:
            with self._cache.turns.taken(f"debian-{sha256}", size):
                file = self._cache.sound(descriptor) or twice(lambda: self._fetch(urls, descriptor))
        return file

    def _fetch(self, urls: Sequence[str], descriptor: Descriptor) -> OpenFile:
        for url in urls[:-1]:
            with suppress(NotFound):
                return self._get(url, descriptor)
        return self._get(urls[-1], descriptor)

    def _get(self, url: str, descriptor: Descriptor) -> OpenFile:
        name = one_line(url.rpartition("/")[2], 200)
        what = f"fetching {name}"

        def take(answer: Answer) -> OpenFile:
            reader = VerifiedReader(PieceReader(answer.chunks()), descriptor, what)
            return self._cache.put(descriptor, self._counted(reader, what, descriptor.size))

        return self._asked(url, take, name)

    def _asked(self, url: str, take: Callable[[Answer], _T], name: str) -> _T:
        try:
            return self._web(url).get(url, "*/*", take, f"fetching {name}")
        except Unauthorized as error:
            hint = "put user and password in netrc; they go over https only"
            raise Unauthorized(error.message, hint=hint) from None

    def _counted(self, reader: VerifiedReader, what: str, size: int) -> Iterator[bytes]:
        while data := reader.read(CHUNK):
            self._progress.advance(what, len(data), size)
            yield data

    def _with(self, url: str) -> RegistryOptions:
        if _is_private(url):
            return self._options
        host = urlsplit(url).netloc
        return replace(self._options, plain_http=self._options.plain_http | {host})

    def _web(self, url: str) -> Web:
        key = "://".join(urlsplit(url)[:2])
        with self._lock:
            if key not in self._webs:
                self._webs[key] = Web(
                    self._with(url), progress=self._progress, known_users=_is_private(url)
                )
            return self._webs[key]


def _is_private(url: str) -> bool:
    """Tell whether nobody on the way reads what is asked."""
    return urlsplit(url).scheme == "https"


def on_disk(pieces: Iterable[bytes], cache: Cache) -> tuple[OpenFile, Iterator[bytes]]:
    """Return a file without a name, and the pieces on their way into it."""
    what = f"writing the cache {cache.root}"
    with disk_errors(what):
        cache.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache.root, buffering=0) as made:
            handle = os.dup(made.fileno())
    file = OpenFile(handle)

    def passed() -> Iterator[bytes]:
        for piece in pieces:
            left = memoryview(piece)
            with disk_errors(what):
                while left:
                    left = left[os.write(handle, left) :]
            cache.turns.alive()
            yield piece

    return file, passed()


class DebContents:
    """The bytes of files that are slices of packages; other files are asked of `below`."""

    def __init__(self, below: Contents) -> None:
        self._below = below
        self._tars: dict[str, OpenFile] = {}

    def add(self, package: str, tar: OpenFile) -> None:
        """Keep the data of a package, by the digest of the package."""
        self._tars[package] = tar

    def read(self, file: File) -> bytes:
        """Return all bytes of `file`, verified; the largest libraries have more than 100 MB."""
        content = file.content
        tar = self._tars.get(content.layer) if isinstance(content, Slice) else None
        if tar is None:
            return self._below.read(file)
        assert isinstance(content, Slice)
        data = tar.pread(content.size, content.offset)
        if checksum(data) != content.checksum:
            raise PackageError(_CHANGED)
        return data

    def chunks(self, file: File) -> Iterator[bytes]:
        """Yield the bytes of `file`; the last piece comes only if all of them verify."""
        content = file.content
        tar = self._tars.get(content.layer) if isinstance(content, Slice) else None
        if tar is None:
            yield from self._below.chunks(file)
            return
        assert isinstance(content, Slice)
        yield from proven(
            _pieces(tar, content), Checksum(), content.checksum, PackageError(_CHANGED)
        )


def _pieces(tar: OpenFile, content: Slice) -> Iterator[bytes]:
    at, end = content.offset, content.offset + content.size
    while at < end and (piece := tar.pread(min(_PIECE, end - at), at)):
        yield piece
        at += len(piece)
