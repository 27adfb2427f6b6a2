"""What is below an index or a manifest: every document, read once, and every blob.

Content that is named by digest cannot have cycles, but it can be deep, wide, or of a
type that nobody knows (image-index.md: implementations MUST NOT fail on one); such a
child is a leaf here, and a blob to whoever copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.errors import DocumentError
from layersmith.oci.content import Source, is_manifest, read_document
from layersmith.oci.documents import INDEX_TYPES, Descriptor, Document, Index, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.digest import Digest

__all__ = ["MAX_NESTING", "Node", "walk"]

MAX_NESTING: Final = 3
_MAX_DOCUMENTS: Final = 1000


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

    Raises :class:`DocumentError`, for more than 1,000 documents too.
    """
    return _walk(source, top, {}, 0)


def _walk(source: Source, here: Descriptor, known: dict[Digest, Document[Any]], depth: int) -> Node:
    if not is_manifest(here):
        return Node(here, None)
    if depth > MAX_NESTING:
        raise DocumentError(f"{source.name}: indexes nested deeper than {MAX_NESTING}")
    document = known.get(here.digest)
    if document is None or document.descriptor.media_type != here.media_type:
        if len(known) >= _MAX_DOCUMENTS:
            raise DocumentError(f"{source.name}: more than {_MAX_DOCUMENTS} documents")
        kind = Index if here.media_type in INDEX_TYPES else Manifest
        document = Document[Any].parse(read_document(source, here), here, kind)
        known[here.digest] = document
    if not isinstance(document.value, Index):
        return Node(here, document)
    children = tuple(_walk(source, c, known, depth + 1) for c in document.value.manifests)
    return Node(here, document, children)
