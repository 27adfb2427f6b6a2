"""What is below an index or a manifest: every document, read once, and every blob.

Content that is named by digest cannot have cycles, but it can be deep, wide, or of a
type that nobody knows (image-index.md: implementations MUST NOT fail on one); such a
child is a leaf here, and a blob to whoever copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import DocumentError, LayersmithError, NotFound
from layersmith.oci.content import Source, is_manifest, read_document
from layersmith.oci.documents import INDEX_TYPES, Descriptor, Document, Index, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layersmith.oci.digest import Digest

__all__ = ["MAX_NESTING", "MAX_TOGETHER", "Node", "Visited", "find_below", "walk"]

MAX_NESTING: Final = 3
MAX_TOGETHER: Final = 8 << 20  # bytes; read, they take thirty times as much memory
_MAX_DOCUMENTS: Final = 1000
_MAX_SEARCHED: Final = 10_000
_MAX_NODES: Final = 10_000


class Visited:
    """The documents that were read below one, and how much there was to read."""

    def __init__(self, where: str, *, documents: int = 200, together: int = 16 << 20) -> None:
        self._where = where
        self._documents = documents
        self._together = together
        self._digests: set[Digest] = set()
        self._bytes = 0

    def has(self, child: Descriptor) -> bool:
        """Tell whether it was read."""
        return child.digest in self._digests

    def add(self, child: Descriptor) -> None:
        """Count one that is to be read; raises :class:`DocumentError` for too many."""
        self._digests.add(child.digest)
        self._bytes += child.size
        if len(self._digests) > self._documents:
            raise DocumentError(f"{self._where}: more than {self._documents} documents")
        if self._bytes > self._together:
            raise DocumentError(f"{self._where}: more than {self._together >> 20} MiB of documents")


@dataclass(frozen=True, slots=True)
class Node:
    """A document as its parent describes it, and what it refers to.

    `document` is None for a child that is neither a manifest nor an index.
    """

    descriptor: Descriptor
    document: Document[Any] | None
    children: tuple[Node, ...] = ()

    def nodes(self) -> Iterator[Node]:
        """Yield every node, those below before those above."""
        for child in self.children:
            yield from child.nodes()
        yield self

    @property
    def height(self) -> int:
        """0 for a manifest, more than every child for an index."""
        return 1 + max((child.height for child in self.children), default=-1)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What the document itself refers to and no document is: config and layers."""
        if self.document is None:
            return (self.descriptor,)
        value = self.document.value
        return (value.config, *value.layers) if isinstance(value, Manifest) else ()


def walk(source: Source, top: Descriptor) -> Node:
    """Read everything below `top` but its blobs.

    Raises :class:`DocumentError`, also for more than 1,000 documents, for documents of
    more than 8 MiB together, and for indexes that name one another too often.
    """
    return _Walk(source).node(top, 0)


def find_below(source: Source, tops: Iterable[Descriptor], digest: str) -> Descriptor | None:
    """Return the manifest or index `digest` that an index among `tops`, or below one, names.

    Nothing that this index says of it beside is believed: neither a platform nor annotations.
    What is not there is passed over, what is not as it is named too, if `digest` is elsewhere.
    Raises as :func:`walk`, but for more than 10,000 documents.
    """
    visited = Visited(source.name, documents=_MAX_SEARCHED, together=MAX_TOGETHER)
    wrong: LayersmithError | None = None

    def read(here: Descriptor) -> Document[Any] | None:
        nonlocal wrong
        visited.add(here)
        try:
            return _read(source, here)
        except NotFound:
            return None
        except LayersmithError as error:
            wrong = wrong or error
            return None

    level = list(tops)
    for _ in range(MAX_NESTING + 1):
        below: list[Descriptor] = []
        for index in level:
            if index.media_type not in INDEX_TYPES or visited.has(index):
                continue
            document = read(index)
            children = document.value.manifests if document is not None else ()
            below += (child for child in children if child.media_type in INDEX_TYPES)
            for child in children:
                bare = Descriptor(media_type=child.media_type, digest=child.digest, size=child.size)
                if child.digest == digest and is_manifest(child) and read(bare):
                    return bare
        level = below
    if wrong is not None:
        raise wrong
    return None


def _read(source: Source, here: Descriptor) -> Document[Any]:
    kind = Index if here.media_type in INDEX_TYPES else Manifest
    return Document[Any].parse(read_document(source, here), here, kind)


class _Walk:
    """Reads each document once, and counts: names cost nothing, and multiply at each level."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[Digest, Document[Any]] = {}
        self._visited = Visited(source.name, documents=_MAX_DOCUMENTS, together=MAX_TOGETHER)
        self._nodes = 0

    def node(self, here: Descriptor, depth: int) -> Node:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise DocumentError(f"{self._source.name}: more than {_MAX_NODES} entries of indexes")
        if not is_manifest(here):
            return Node(here, None)
        if depth > MAX_NESTING:
            raise DocumentError(f"{self._source.name}: indexes nested deeper than {MAX_NESTING}")
        document = self._known.get(here.digest)
        if document is None or document.descriptor.media_type != here.media_type:
            document = self._known[here.digest] = self._read(here)
        if not isinstance(document.value, Index):
            return Node(here, document)
        children = tuple(self.node(child, depth + 1) for child in document.value.manifests)
        return Node(here, document, children)

    def _read(self, here: Descriptor) -> Document[Any]:
        self._visited.add(here)
        return _read(self._source, here)
