"""A repository in memory: the Source and the Sink of oci/content.py, for true."""

from __future__ import annotations

import io
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from layersmith.errors import NotFound
from layersmith.oci.content import Opener, Readable, VerifiedReader
from layersmith.oci.graph import find_below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.documents import Descriptor
    from layersmith.oci.reference import Reference


class MemoryRegistry:
    """Repositories by name, that mount blobs from each other."""

    def __init__(self) -> None:
        self.repositories: dict[str, Memory] = {}

    def repository(self, name: str) -> Memory:
        return self.repositories.setdefault(name, Memory(name, self))


class Memory:
    """One repository. `log` names what was asked of it, in order."""

    def __init__(self, name: str = "memory", registry: MemoryRegistry | None = None) -> None:
        self._name = name
        self._registry = registry or MemoryRegistry()
        self._lock = Lock()
        self._untagged: set[str] = set()
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[str, Descriptor] = {}
        self.log: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        return self._name

    def resolve(self, identifier: str) -> Descriptor:
        self._note("resolve", identifier)
        for tag, descriptor in self.tags.items():
            if identifier in (tag, descriptor.digest):
                return descriptor
        if below := find_below(self, self.tags.values(), identifier):
            return below
        raise NotFound(f"{self._name} has no {identifier!r}")

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        self._note("open", descriptor.digest)
        data = self.blobs.get(descriptor.digest)
        if data is None:
            raise NotFound(f"{self._name} has no {descriptor.digest}")
        yield VerifiedReader(io.BytesIO(data), descriptor, self._name)

    def has(self, descriptor: Descriptor) -> bool:
        self._note("has", descriptor.digest)
        return len(self.blobs.get(descriptor.digest, b"")) == descriptor.size and (
            descriptor.digest in self.blobs
        )

    def mount(self, descriptor: Descriptor, origin: Reference) -> bool:
        self._note("mount", descriptor.digest)
        neighbour = self._registry.repositories.get(origin.name)
        if neighbour is None or descriptor.digest not in neighbour.blobs:
            return False
        self._keep(descriptor, neighbour.blobs[descriptor.digest])
        return True

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        self._note("put", descriptor.digest)
        with opener() as stream:
            reader = VerifiedReader(stream, descriptor, self._name)
            self._keep(descriptor, b"".join(iter(lambda: reader.read(4096), b"")))

    def tag(self, name: str, descriptor: Descriptor) -> None:
        self._note("tag", name)
        self.tags[name] = descriptor
        self._untagged.clear()

    def stands_for(self, name: str, descriptor: Descriptor) -> bool:
        self._note("stands_for", name)
        return name in self.tags and self.tags[name].digest == descriptor.digest

    def abandon(self) -> None:
        self._note("abandon", "")
        for digest in self._untagged:
            self.blobs.pop(digest, None)
        self._untagged.clear()

    def asked(self, what: str) -> list[str]:
        """Return the arguments of every call of `what`."""
        return [argument for call, argument in self.log if call == what]

    def _keep(self, descriptor: Descriptor, data: bytes) -> None:
        with self._lock:
            self.blobs[descriptor.digest] = data
            self._untagged.add(descriptor.digest)

    def _note(self, what: str, argument: str) -> None:
        with self._lock:
            self.log.append((what, str(argument)))
