"""An OCI archive: a layout in one tar file, as a source and as a sink.

Reading: plain, or compressed with gzip or zstd. Writing: a plain tar, the same bytes
for the same images, whoever writes it and when. What is put waits beside the archive
until the first tag; then the archive appears whole, in place of one that was there
(as skopeo does it). A second tag writes it again.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING

from layersmith.errors import NotFound
from layersmith.oci.content import CHUNK, Opener, Readable, VerifiedReader
from layersmith.oci.digest import Digest
from layersmith.rootfs.pack import pack
from layersmith.stores.files import appearing, disk_errors
from layersmith.stores.locks import NEW, scratch
from layersmith.stores.packing import BlobContents, blob_name, layout_entries
from layersmith.stores.refnames import RefNames
from layersmith.stores.tarball import Tarball, identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

    from layersmith.oci.documents import Descriptor
    from layersmith.oci.reference import Reference
    from layersmith.rootfs.entries import Entry

__all__ = ["OciArchive"]


class OciArchive:
    """One archive file; tags are its ``org.opencontainers.image.ref.name``s."""

    kind = "oci-archive"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting = _Waiting(path)
        self._known: Tarball | None = None
        self._ours: dict[Digest, Descriptor] = {}
        self._names = RefNames()

    @property
    def name(self) -> str:
        """The kind of archive, and the file."""
        return f"{self.kind}:{self._path}"

    def resolve(self, identifier: str) -> Descriptor:
        """Return what a tag or digest stands for; the only image if there is one.

        Raises :class:`NotFound`, naming the tags that are there.
        """
        return self._read_names().resolve(identifier, self, f"write {self.kind}:FILE:TAG")

    def tags(self) -> list[str]:
        """Return the names of its images, sorted."""
        return self._read_names().names

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open a blob, verified while it is read."""
        with disk_errors(f"reading {self.name}"):
            stream = self._waiting.open(descriptor.digest)
            if stream is not None:
                with stream:
                    yield VerifiedReader(stream, descriptor, self.name)
            else:
                yield VerifiedReader(self._member(descriptor), descriptor, self.name)

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob will be in the archive that the next tag writes."""
        known = self._ours.get(descriptor.digest)
        return known is not None and known.size == descriptor.size

    def mount(self, descriptor: Descriptor, origin: Reference) -> bool:  # noqa: ARG002
        """Return false: an archive has no other repositories."""
        return False

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        """Keep a verified blob for the archive."""
        with opener() as stream, disk_errors(f"writing {self.name}"):
            reader = VerifiedReader(stream, descriptor, f"writing {self.name}")
            self._waiting.put(descriptor.digest, reader)
        self._ours[descriptor.digest] = descriptor

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Write the archive with all that was put, and `name` for a manifest in it."""
        names = self._names.tagged(name, descriptor, **self._annotations(name))
        with disk_errors(f"writing {self.name}"):
            members = self._members(names)
            folder = self._waiting.folder
            with appearing(self._path, durable=True, last=True, beside=folder) as file:
                for chunk in pack(members, BlobContents(self._ours.values(), self.open), 0):
                    file.write(chunk)
        self._names = names
        self._waiting.clear()

    def stands_for(self, name: str, descriptor: Descriptor) -> bool:  # noqa: ARG002
        """Return false: an archive is written anew, to the same bytes."""
        return False

    def abandon(self) -> None:
        """Forget what was put; an archive that was there stays as it was."""
        self._waiting.clear()
        self._ours.clear()
        self._names = RefNames()

    def _annotations(self, name: str) -> dict[str, str]:  # noqa: ARG002
        """Return what is said about `name` in the index beside itself."""
        return {}

    def _members(self, names: RefNames) -> dict[str, Entry]:
        """Return every entry of the archive to be written."""
        return layout_entries(names, self._ours.values())

    def _member(self, descriptor: Descriptor) -> Readable:
        """Open the file of the archive that has these bytes; raises :class:`NotFound`."""
        name = blob_name(descriptor.digest)
        if not self._path.exists() or not self._tarball().has(name):
            raise NotFound(f"{self.name} has no blob {descriptor.digest}")
        return self._tarball().open(name)

    def _read_names(self) -> RefNames:
        tarball = self._tarball()
        if not tarball.has("index.json"):
            raise NotFound(
                f"{self.name} is not an OCI archive: it has no index.json",
                hint="archives of docker save are read with docker-archive:FILE",
            )
        return RefNames.parse(tarball.read("index.json"), f"{self.name} index.json")

    def _tarball(self) -> Tarball:
        """Return the archive, indexed again if the file is another one now."""
        known = self._known
        try:
            is_known = known is not None and known.identity == identity(self._path.stat())
        except OSError:
            is_known = False
        if known is None or not is_known:
            known = self._known = Tarball(self._path, self.name)
        return known


class _Waiting:
    """Blobs in a directory beside the archive, until it is written or given up.

    Its name tells the archive, and it is locked while this process lives: the next run
    that writes the same archive removes what a killed one left.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._lock = Lock()
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._parents: list[Path] = []
        weakref.finalize(self, self._stack.close)

    @property
    def folder(self) -> Path:
        """The directory, made when it is needed first; raises :class:`OSError`."""
        with self._lock:
            if self._folder is None:
                self._parents += [path for path in self._path.parents if not path.exists()]
                self._path.parent.mkdir(parents=True, exist_ok=True)
                name = Digest.of(os.fsencode(self._path.name)).encoded[:12]
                beside = scratch(self._path.parent, f"{NEW}{name}-")
                self._folder = self._stack.enter_context(beside)
            return self._folder

    def open(self, digest: Digest) -> FileIO | None:
        """Open a blob that waits; None if it does not."""
        if self._folder is None:
            return None
        try:
            return (self._folder / digest.encoded).open("rb", buffering=0)
        except FileNotFoundError:
            return None

    def put(self, digest: Digest, stream: Readable) -> None:
        with appearing(self.folder / digest.encoded) as file:
            while data := stream.read(CHUNK):
                file.write(data)

    def clear(self) -> None:
        """Remove it, and directories that were made for an archive that never came."""
        self._stack.close()
        self._folder = None
        for folder in self._parents:
            with suppress(OSError):
                folder.rmdir()
        self._parents.clear()
