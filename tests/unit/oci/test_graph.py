"""What is below an index: read once, bounded, unknown things kept as leaves."""

from __future__ import annotations

import pytest
from tests.build.image import AMD64, ARM64, Made, for_platform, put, put_index, shown
from tests.fakes.memory import Memory

from layersmith.errors import DocumentError, NotFound, SizeMismatch, VerificationError
from layersmith.oci import graph
from layersmith.oci.documents import OCI_INDEX, OCI_MANIFEST
from layersmith.oci.graph import find_below, walk


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


def test_what_is_below_an_index_has_nothing_of_what_the_index_says() -> None:
    memory = Memory()
    one = Made().put(memory)
    said = {**for_platform(one, ARM64), "annotations": {"a": "lie"}}
    assert find_below(memory, [put_index(memory, [said])], one.digest) == one
    assert find_below(memory, [one], one.digest) is None


def test_what_is_not_there_is_not_below() -> None:
    memory = Memory()
    one, two = Made().put(memory), Made(platform=ARM64).put(memory)
    gone = put_index(memory, [shown(one)])
    top = put_index(memory, [shown(one), shown(two)])
    del memory.blobs[one.digest], memory.blobs[gone.digest]
    assert find_below(memory, [gone, top], one.digest) is None
    assert find_below(memory, [gone, top], two.digest) == two


def test_what_is_wrong_beside_does_not_matter_where_it_is_found() -> None:
    memory = Memory()
    one = Made().put(memory)
    lie = put_index(memory, [{**shown(one), "size": one.size + 1}])
    rotten, right = put(memory, b"{", OCI_INDEX), put_index(memory, [shown(one)])
    assert find_below(memory, [lie, rotten, right], one.digest) == one
    with pytest.raises(SizeMismatch):
        find_below(memory, [lie, rotten], one.digest)
    with pytest.raises(DocumentError):
        find_below(memory, [rotten, lie], one.digest)
    memory.blobs[rotten.digest] = b"}"
    with pytest.raises(VerificationError):
        find_below(memory, [rotten], one.digest)


def test_a_layout_of_many_images_is_searched() -> None:
    memory = Memory()
    one = Made().put(memory)
    tops = [put_index(memory, [], annotations={"n": str(n)}) for n in range(1500)]
    assert find_below(memory, [*tops, put_index(memory, [shown(one)])], one.digest) == one


def test_a_digest_that_is_named_again_and_again_is_not_read_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = Memory()
    one = Made().put(memory)
    top = put_index(memory, [{**shown(one), "size": one.size + n} for n in range(1, 100)])
    monkeypatch.setattr(graph, "MAX_TOGETHER", top.size + 10 * one.size)
    with pytest.raises(DocumentError, match="MiB of documents"):
        find_below(memory, [top], one.digest)
    assert memory.asked("open").count(one.digest) < 10
