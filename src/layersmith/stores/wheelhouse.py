"""Wheels in the cache: by digest, fetched once, verified whenever they are opened."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from layersmith.errors import DigestMismatch, InvalidInput, NotFound, one_line
from layersmith.oci.content import twice
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Descriptor
from layersmith.stores.files import OpenFile, disk_errors, local_path
from layersmith.userfiles import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from layersmith.oci.content import Progress
    from layersmith.stores.cache import Cache
    from layersmith.stores.web import Answer, Web

__all__ = ["Wheelhouse", "digest_of_file"]

_PIECE: Final = 1 << 20
_KIND: Final = "application/zip"
_ANY: Final = "*/*"


class Wheelhouse:
    """Opens wheels by digest; `folder` is where relative paths of a lock start."""

    def __init__(
        self, cache: Cache, web: Callable[[], Web], folder: Path, progress: Progress
    ) -> None:
        self._cache = cache
        self._web = web
        self._folder = folder
        self._progress = progress

    def open(self, filename: str, url: str, digest: Digest) -> OpenFile:
        """Return a wheel, all of whose bytes have just been verified.

        Raises :class:`DigestMismatch` where the place has other bytes.
        """
        file = self._kept(digest)
        if file is None:
            with self._cache.turns.taken(f"wheel-{digest.encoded}", 0):
                file = self._kept(digest) or twice(lambda: self._fetch(filename, url, digest))
        return file

    def learn(self, filename: str, url: str, known: Iterable[Digest]) -> Digest:
        """Fetch a wheel of which no index says the digest; return which of `known` it has.

        Raises :class:`DigestMismatch` where it has none of them.
        """
        digests = sorted(known)
        hashers = {name: hashlib.new(name) for name in {each.algorithm for each in digests}}
        what = f"fetching {one_line(filename, 200)}"

        def keep(chunks: Iterable[bytes]) -> Digest:
            with self._cache.new_blob() as new:
                for chunk in chunks:
                    new.file.write(chunk)
                    for hasher in hashers.values():
                        hasher.update(chunk)
                got = [Digest.of_hasher(hasher, name) for name, hasher in hashers.items()]
                found = next((digest for digest in digests if digest in got), None)
                if found is None:
                    raise DigestMismatch(what, expected=digests[0], got=got[0])
                new.digest = found
                return found

        path = local_path(url, self._folder)
        if path is not None:
            return keep(_read(path))
        return self._web().get(url, _ANY, lambda answer: keep(answer.chunks()), what)

    def _kept(self, digest: Digest) -> OpenFile | None:
        try:
            size = self._cache.blob_path(digest).stat().st_size
        except OSError:
            return None
        return self._cache.sound(Descriptor(media_type=_KIND, digest=digest, size=size))

    def _fetch(self, filename: str, url: str, digest: Digest) -> OpenFile:
        path = local_path(url, self._folder)
        what = f"fetching {one_line(filename, 200)}"
        if path is not None:
            if not path.is_file():
                raise NotFound(f"{what}: {one_line(str(path))} is not there")
            return self._store(_read(path), digest, what, filename, path.stat().st_size)

        def take(answer: Answer) -> OpenFile:
            return self._store(answer.chunks(), digest, what, filename, answer.size)

        return self._web().get(url, _ANY, take, what)

    def _store(
        self, chunks: Iterable[bytes], digest: Digest, what: str, filename: str, size: int
    ) -> OpenFile:
        hasher = digest.hasher()
        with self._cache.new_file(self._cache.blob_path(digest)) as file:
            for chunk in chunks:
                hasher.update(chunk)
                file.write(chunk)
                self._cache.turns.alive()
                self._progress.advance(f"wheels {filename}", len(chunk), size)
            got = Digest.of_hasher(hasher, digest.algorithm)
            if got != digest:
                raise DigestMismatch(what, expected=digest, got=got)
            return file.reopened()


def _read(path: Path) -> Iterable[bytes]:
    with disk_errors(f"reading {one_line(str(path))}"), opened(path) as file:
        while piece := file.read(_PIECE):
            yield piece


def digest_of_file(path: Path) -> Digest:
    """Return the digest of a file of the user's; raises :class:`InvalidInput`."""
    try:
        with opened(path) as file:
            return Digest.of_hasher(hashlib.file_digest(file, "sha256"))
    except OSError as error:
        raise InvalidInput(f"{one_line(str(path))}: {error.strerror}") from None
