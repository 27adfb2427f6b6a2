"""What is below an index: read once, bounded, unknown things kept as leaves."""

from __future__ import annotations

import pytest
from tests.build.image import AMD64, ARM64, Made, for_platform, put, put_index, shown
from tests.fakes.memory import Memory

from layersmith.errors import DocumentError, NotFound
from layersmith.oci import graph
from layersmith.oci.documents import OCI_MANIFEST
from layersmith.oci.graph import walk


def test_children_come_before_their_parents() -> None:
    memory = Memory()
    one, two = Made().put(memory), Made(platform=ARM64).put(memory)
    inner = put_index(memory, [for_platform(two, ARM64)])
    top = put_index(memory, [for_platform(one, AMD64), shown(inner)])
    node = walk(memory, top)
    assert [n.descriptor.digest for n in node.nodes()] == [
        one.digest, two.digest, inner.digest, top.digest,
    ]  # fmt: skip
    assert [n.height for n in node.nodes()] == [0, 0, 1, 2]
    assert len({blob.digest for n in node.nodes() for blob in n.blobs}) == 3


def test_a_document_is_read_once() -> None:
    memory = Memory()
    one = Made().put(memory)
    walk(memory, put_index(memory, [for_platform(one, p) for p in (AMD64, ARM64)]))
    assert memory.asked("open").count(one.digest) == 1


def test_a_child_of_a_type_that_nobody_knows_is_a_leaf_and_a_blob() -> None:
    memory = Memory()
    odd = put(memory, b"odd", "application/x-odd")
    node = walk(memory, put_index(memory, [shown(odd)]))
    assert node.children[0].document is None
    assert node.children[0].blobs == (odd,)


def test_what_lacks_is_not_found() -> None:
    memory = Memory()
    one = Made().put(memory)
    top = put_index(memory, [shown(one)])
    del memory.blobs[one.digest]
    with pytest.raises(NotFound):
        walk(memory, top)


def _nested(memory: Memory, depth: int) -> DocumentError | None:
    here = Made().put(memory)
    for _ in range(depth):
        here = put_index(memory, [shown(here)])
    try:
        walk(memory, here)
    except DocumentError as error:
        return error
    return None


def test_nesting_ends() -> None:
    assert _nested(Memory(), 3) is None
    assert "nested" in str(_nested(Memory(), 4))


def test_an_index_of_too_many_is_refused() -> None:
    memory = Memory()
    raws = [b'{"schemaVersion":2,"config":%s,"layers":[],"annotations":{"n":"%d"}}' for _ in (0,)]
    config = b'{"mediaType":"a/b","digest":"sha256:%s","size":1}' % (b"0" * 64)
    children = [put(memory, raws[0] % (config, n), OCI_MANIFEST) for n in range(1001)]
    with pytest.raises(DocumentError, match="1000 documents"):
        walk(memory, put_index(memory, [shown(child) for child in children]))


def test_documents_of_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory()
    child = shown(put_index(memory, [], annotations={"n": "x" * 1000}))
    top = put_index(memory, [child])
    size = top.size + child["size"]
    monkeypatch.setattr(graph, "MAX_TOGETHER", size)
    assert len(list(walk(memory, top).nodes())) == 2
    monkeypatch.setattr(graph, "MAX_TOGETHER", size - 1)
    with pytest.raises(DocumentError, match="MiB of documents"):
        walk(memory, top)


def test_indexes_that_name_one_another_again_and_again_are_refused() -> None:
    memory = Memory()
    top = put_index(memory, [])
    for _ in range(3):
        top = put_index(memory, [shown(top)] * 200)
    with pytest.raises(DocumentError, match="more than 10000 entries"):
        walk(memory, top)
    assert len(memory.asked("open")) == 4
