"""The places that hold images: every one keeps the same promises.

A new one is added to PLACES: how it is opened empty, and how its bytes are damaged.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from tests.fakes.memory import Memory
from tests.fakes.registry import FakeRegistry

from layersmith.oci.content import NoProgress, Readable, Sink, Source, held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import Descriptor
from layersmith.oci.reference import Reference
from layersmith.rootfs.compressor import Compressor
from layersmith.stores.archive import OciArchive
from layersmith.stores.bundle import Bundle, write_bundle
from layersmith.stores.cache import Cache, CachedSource
from layersmith.stores.docker_archive import DockerArchive
from layersmith.stores.layout import Layout
from layersmith.stores.refnames import RefNames
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class Repository(Source, Sink, Protocol):
    """Both a source and a sink, of the same content."""


@dataclass(frozen=True)
class Place:
    """A repository to test; `damage` replaces the bytes that it keeps under a digest."""

    repository: Repository
    damage: Callable[[Descriptor, bytes], None]


@contextmanager
def memory(_folder: Path) -> Iterator[Place]:
    repository = Memory()

    def damage(wanted: Descriptor, data: bytes) -> None:
        repository.blobs[wanted.digest] = data

    yield Place(repository, damage)


@contextmanager
def layout(folder: Path) -> Iterator[Place]:
    root = folder / "layout"

    def damage(wanted: Descriptor, data: bytes) -> None:
        (root / "blobs" / wanted.digest.algorithm / wanted.digest.encoded).write_bytes(data)

    yield Place(Layout(root), damage)


@contextmanager
def archive(folder: Path, kind: type[OciArchive] = OciArchive) -> Iterator[Place]:
    repository = kind(folder / "new" / "images.tar")

    def damage(wanted: Descriptor, data: bytes) -> None:
        repository._waiting.folder.joinpath(wanted.digest.encoded).write_bytes(data)

    yield Place(repository, damage)


@contextmanager
def registry(_folder: Path) -> Iterator[Place]:
    name = "team/image"
    with FakeRegistry() as fake, Registries(RegistryOptions(limits=Limits(connect=2, read=2))) as r:
        repository = r.repository(Reference(f"{fake.host}/{name}"))

        def damage(wanted: Descriptor, data: bytes) -> None:
            fake.blobs.setdefault(name, {})[wanted.digest] = data

        yield Place(repository, damage)


class Written(Memory):
    """A bundle to read: for each answer it is written anew from what was put into memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"bundle:{path}")
        self._path = path

    def resolve(self, identifier: str) -> Descriptor:
        return self._written().resolve(identifier)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        with self._written().open(descriptor) as stream:
            yield stream

    def _written(self) -> Bundle:
        blobs = {
            Digest(digest): (
                Descriptor(media_type="x", digest=Digest(digest), size=len(data)),
                held(data),
            )
            for digest, data in self.blobs.items()
        }
        names = RefNames()
        for tag, described in self.tags.items():
            names = names.tagged(tag, described)
        part = max(1000, sum(map(len, self.blobs.values())) // 3)
        write_bundle(self._path, names, blobs, Compressor("zstd", 1), part, NoProgress())
        return Bundle(self._path)


@contextmanager
def bundle(folder: Path) -> Iterator[Place]:
    repository = Written(folder / "bundle.tar")

    def damage(wanted: Descriptor, data: bytes) -> None:
        repository.blobs[wanted.digest] = data

    yield Place(repository, damage)


PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "memory": memory,
    "layout": layout,
    "oci-archive": archive,
    "docker-archive": partial(archive, kind=DockerArchive),
    "registry": registry,
    "bundle": bundle,
}


def cached(place: Place, folder: Path) -> CachedSource:
    """Return the place behind a cache: a source that keeps the same promises."""
    return CachedSource(place.repository, Cache(folder / "cache"))
