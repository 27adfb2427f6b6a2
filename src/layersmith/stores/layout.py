"""An OCI image layout directory, as a source and as a sink (image-spec image-layout.md)."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Final

from layersmith.errors import NotFound, OutputError
from layersmith.oci.content import CHUNK, Opener, Readable, VerifiedReader
from layersmith.oci.strictjson import MAX_DOCUMENT
from layersmith.stores.files import OpenFile, appearing, at_once, disk_errors
from layersmith.stores.locks import sweep
from layersmith.stores.refnames import LAYOUT_VERSION, REF_NAME, RefNames
from layersmith.stores.tarball import identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.oci.digest import Digest
    from layersmith.oci.documents import Descriptor
    from layersmith.oci.reference import Reference

__all__ = ["REF_NAME", "Layout"]

_PATIENCE: Final = 60  # seconds


class Layout:
    """One layout directory; tags are its ``org.opencontainers.image.ref.name``s."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = path / "index.json"
        self._untagged: list[Path] = []
        self._is_new = not path.exists()
        self._use = _Use(path)

    @property
    def name(self) -> str:
        """``oci:`` and the directory."""
        return f"oci:{self._path}"

    def resolve(self, identifier: str) -> Descriptor:
        """Return what a tag or digest stands for; the only image if there is one.

        Raises :class:`NotFound`, naming the tags that are there.
        """
        return self._read().resolve(identifier, self, "write oci:DIR:TAG")

    def tags(self) -> list[str]:
        """Return the names of its images, sorted."""
        return self._read().names

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open a blob, verified while it is read."""
        path = self._blob(descriptor.digest)
        try:
            file = open(path, "rb", buffering=0, opener=at_once)  # noqa: SIM115
        except FileNotFoundError:
            raise NotFound(f"{self.name} has no blob {descriptor.digest}") from None
        except OSError as error:
            raise OutputError(f"reading {path}: {error.strerror}") from None
        with file, disk_errors(f"reading {path}"):
            yield VerifiedReader(file, descriptor, self.name)

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the blob is there, whole and intact."""
        self._use.begin()
        try:
            if self._blob(descriptor.digest).stat().st_size != descriptor.size:
                return False
            hasher = descriptor.digest.hasher()
            path = self._blob(descriptor.digest)
            with open(path, "rb", buffering=0, opener=at_once) as file:
                while data := file.read(CHUNK):
                    hasher.update(data)
        except OSError:
            return False
        return hasher.hexdigest() == descriptor.digest.encoded

    def mount(self, descriptor: Descriptor, origin: Reference) -> bool:  # noqa: ARG002
        """Return false: a directory has no other repositories."""
        return False

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        """Store a blob; it appears whole, verified and on the disk."""
        path = self._blob(descriptor.digest)
        with opener() as stream, disk_errors(f"writing {path}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._use.begin()
            is_new = not path.exists()
            reader = VerifiedReader(stream, descriptor, f"writing {self.name}")
            with appearing(path, durable=True) as file:
                while data := reader.read(CHUNK):
                    file.write(data)
        if is_new:
            self._untagged.append(path)

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Let `name` stand for a manifest; the rest of the index stays."""
        with disk_errors(f"writing {self.name}"):
            self._path.mkdir(parents=True, exist_ok=True)
            self._use.begin()
            with _locked(self._path):
                names = self._read() if self._index.exists() else RefNames()
                marker = self._path / "oci-layout"
                if not marker.exists():
                    with appearing(marker, durable=True) as file:
                        file.write(LAYOUT_VERSION)
                with appearing(self._index, durable=True, last=True) as file:
                    file.write(names.tagged(name, descriptor).raw)
        self._untagged.clear()
        self._use.end()

    def stands_for(self, name: str, descriptor: Descriptor) -> bool:  # noqa: ARG002
        """Return false: looking at every blob again is cheap here, and heals.

        Raises :class:`DocumentError` for an index that could not be added to.
        """
        if self._index.exists():
            self._read()
        return False

    def abandon(self) -> None:
        """Remove the blobs that were put and not tagged, and directories made for them.

        Not where another process may count on them.
        """
        is_alone = self._use.is_alone()
        for path in self._untagged if is_alone else ():
            with suppress(OSError):
                path.unlink()
        self._untagged.clear()
        self._use.end()
        made = self._path if self._is_new else self._path / "blobs"
        for folder, _, _ in os.walk(made, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)  # noqa: PTH106 - os.walk gives strings

    def _blob(self, digest: Digest) -> Path:
        return self._path / "blobs" / digest.algorithm / digest.encoded

    def _read(self) -> RefNames:
        try:
            with open(self._index, "rb", opener=at_once) as file:
                raw = file.read(MAX_DOCUMENT + 1)
        except FileNotFoundError:
            raise NotFound(
                f"{self.name} is not an OCI layout: it has no index.json",
                hint="is the path right? make one with --output oci:DIR",
            ) from None
        except OSError as error:
            raise OutputError(f"reading {self._index}: {error.strerror}") from None
        return RefNames.parse(raw, str(self._index))


class _Use:
    """What tells other processes that this one counts on blobs which are here.

    Between being put, or found, and being tagged a blob is nobody's by the index. So all
    who write share a lock; one that gives up removes its blobs only if it is alone, and
    nobody has tagged anything since it began.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = Lock()
        self._folder: OpenFile | None = None
        self._before: tuple[int, ...] | None = None
        self._is_swept = False

    def begin(self) -> None:
        """Join the others, and remove, once, what killed processes left behind."""
        with self._guard, suppress(OSError):
            if not self._is_swept:
                self._is_swept = True
                for folder in (self._path, *(self._path / "blobs").iterdir()):
                    sweep(folder)
            if self._folder is None:
                self._folder = self._joined()
                self._before = self._index()

    def is_alone(self) -> bool:
        """Tell whether nobody else can count on what this process has put."""
        with self._guard:
            is_alone = self._folder is None or self._folder.try_lock() is not False
            return is_alone and self._index() == self._before

    def end(self) -> None:
        """Leave the others."""
        with self._guard:
            self._folder = None

    def _joined(self) -> OpenFile:
        while True:
            folder = OpenFile.at(self._path / "blobs")
            # Who has it alone is about to remove it, and soon done.
            is_ours = folder.try_lock(shared=True) is not False
            if is_ours and folder.has_name(self._path / "blobs"):
                return folder
            time.sleep(0.01)

    def _index(self) -> tuple[int, ...] | None:
        with suppress(OSError):
            return identity((self._path / "index.json").stat())
        return None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one process at a time change the index; the kernel frees the lock of the dead.

    Raises :class:`OutputError` where another process keeps it for longer than any change
    of an index takes.
    """
    folder = OpenFile.at(directory)
    deadline = time.monotonic() + _PATIENCE
    while folder.try_lock() is False:
        if time.monotonic() > deadline:
            raise OutputError(
                f"writing oci:{directory}: another process has had it locked for "
                f"{_PATIENCE} seconds",
                hint="is one stopped or stuck? end it and run again",
            )
        time.sleep(0.05)
    yield
    del folder  # and so its lock
