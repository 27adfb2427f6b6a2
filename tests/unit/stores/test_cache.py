"""The cache: content is verified whenever it is read, and what rotted is fetched again."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from tests.build.image import descriptor, put
from tests.fakes.memory import Memory

from layersmith.errors import DigestMismatch, InvalidDigest, OutputError, VerificationError
from layersmith.oci.digest import Digest
from layersmith.stores.cache import Cache, CachedSource

if TYPE_CHECKING:
    from pathlib import Path

    from layersmith.oci.documents import Descriptor

BLOB = bytes(range(256)) * 10_001  # more than one read, and not a whole number of them
WANTED = descriptor(BLOB)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def memory() -> Memory:
    memory = Memory()
    put(memory, BLOB)
    memory.log.clear()
    return memory


def rot(cache: Cache, wanted: Descriptor, at: int = 0) -> None:
    path = cache.blob_path(wanted.digest)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def read(source: Cache | CachedSource, wanted: Descriptor = WANTED) -> bytes:
    with source.open(wanted) as stream:
        return stream.read()


def files(cache: Cache) -> list[str]:
    return sorted(
        p.relative_to(cache.root).as_posix() for p in cache.root.rglob("*") if p.is_file()
    )


def test_a_blob_is_kept_under_its_digest(cache: Cache) -> None:
    assert not cache.has(WANTED)
    cache.put(WANTED, [BLOB[:1000], b"", BLOB[1000:]])
    assert cache.has(WANTED)
    assert cache.intact(WANTED)
    assert read(cache) == BLOB
    assert files(cache) == [f"blobs/sha256/{WANTED.digest.encoded}"]


def test_a_blob_whose_chunks_break_off_is_not_kept(cache: Cache) -> None:
    def chunks() -> object:
        yield BLOB[:1000]
        raise DigestMismatch("w", expected="a", got="b")

    with pytest.raises(DigestMismatch):
        cache.put(WANTED, chunks())  # type: ignore[arg-type]
    assert files(cache) == []


@pytest.mark.parametrize("at", [0, 1000, len(BLOB) - 1])
def test_a_rotten_blob_is_an_error_when_it_is_read(cache: Cache, at: int) -> None:
    cache.put(WANTED, [BLOB])
    rot(cache, WANTED, at)
    with pytest.raises(DigestMismatch, match="the cache"):
        read(cache)


@pytest.mark.parametrize("at", [0, len(BLOB) - 1])
def test_a_rotten_blob_is_dropped_when_it_is_looked_at(cache: Cache, at: int) -> None:
    cache.put(WANTED, [BLOB])
    rot(cache, WANTED, at)
    assert cache.has(WANTED)
    assert not cache.intact(WANTED)
    assert not cache.has(WANTED)
    assert not cache.intact(WANTED)


def test_a_torn_blob_is_not_had(cache: Cache) -> None:
    cache.put(WANTED, [BLOB])
    cache.blob_path(WANTED.digest).write_bytes(BLOB[:-1])
    assert not cache.has(WANTED)


def test_dropping_what_another_process_dropped_is_fine(cache: Cache) -> None:
    cache.put(WANTED, [BLOB])
    cache.drop(cache.blob_path(WANTED.digest))
    cache.drop(cache.blob_path(WANTED.digest))
    cache.drop(cache.root / "never/there")
    assert files(cache) == []


def test_a_place_that_is_no_directory_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file")
    with pytest.raises(OutputError, match="writing the cache"):
        cache.put(WANTED, [BLOB])
    assert not cache.has(WANTED)
    assert cache.recall("q") is None
    with pytest.raises(OutputError, match="reading the cache"):
        read(cache)


# blobs whose digest is known at the end


def test_a_new_blob_appears_under_the_digest_that_it_gets(cache: Cache) -> None:
    with cache.new_blob() as new:
        new.file.write(BLOB)
        assert not cache.has(WANTED)
        new.digest = WANTED.digest
    assert cache.intact(WANTED)


def test_a_new_blob_without_a_digest_does_not_appear(cache: Cache) -> None:
    with pytest.raises(InvalidDigest), cache.new_blob() as new:
        new.file.write(BLOB)
    assert files(cache) == []


# memos


def test_an_answer_is_remembered_by_its_question(cache: Cache) -> None:
    assert cache.recall("q") is None
    cache.remember("q", b"answer")
    cache.remember("other", b"")
    assert cache.recall("q") == b"answer"
    assert cache.recall("other") == b""
    cache.remember("q", b"better")
    assert cache.recall("q") == b"better"


@pytest.mark.parametrize("damage", [b"", b"x", b"0" * 64, b"\xff" * 70])
def test_a_rotten_answer_is_forgotten(cache: Cache, damage: bytes) -> None:
    cache.remember("q", b"answer")
    (memo,) = (cache.root / "memo").iterdir()
    memo.write_bytes(damage)
    assert cache.recall("q") is None
    assert files(cache) == []


def test_an_answer_to_another_question_is_none(cache: Cache) -> None:
    cache.remember("q", b"answer")
    (memo,) = (cache.root / "memo").iterdir()
    memo.rename(memo.with_name(Digest.of(b"other").encoded))
    assert cache.recall("other") is None


# behind a source


def test_a_source_is_asked_once(cache: Cache, memory: Memory) -> None:
    source = CachedSource(memory, cache)
    assert read(source) == BLOB
    assert read(source) == BLOB
    assert memory.asked("open") == [WANTED.digest]


def test_what_another_run_kept_is_not_fetched(cache: Cache, memory: Memory) -> None:
    cache.put(WANTED, [BLOB])
    assert read(CachedSource(memory, cache)) == BLOB
    assert memory.log == []


def test_a_rotten_blob_is_fetched_again(cache: Cache, memory: Memory) -> None:
    source = CachedSource(memory, cache)
    read(source)
    rot(cache, WANTED, 5)
    assert read(source) == BLOB
    assert len(memory.asked("open")) == 2
    assert cache.intact(WANTED)


def test_damaged_bytes_of_a_source_are_never_kept(cache: Cache, memory: Memory) -> None:
    memory.blobs[WANTED.digest] = BLOB[:-1] + b"x"
    with pytest.raises(VerificationError, match="memory"):
        read(CachedSource(memory, cache))
    assert files(cache) == []


def test_tags_are_never_cached(cache: Cache, memory: Memory) -> None:
    source = CachedSource(memory, cache)
    memory.tag("t", WANTED)
    assert source.resolve("t") == WANTED
    memory.tag("t", descriptor(b"moved"))
    assert source.resolve("t").digest == Digest.of(b"moved")
    assert source.name == memory.name


def test_streaming_keeps_nothing(cache: Cache, memory: Memory) -> None:
    with CachedSource(memory, cache).stream(WANTED) as stream:
        assert stream.read() == BLOB
    assert files(cache) == []


def test_streaming_takes_what_is_cached_and_intact(cache: Cache, memory: Memory) -> None:
    source = CachedSource(memory, cache)
    cache.put(WANTED, [BLOB])
    with source.stream(WANTED) as stream:
        assert stream.read() == BLOB
    assert memory.log == []
    rot(cache, WANTED)
    with source.stream(WANTED) as stream:
        assert stream.read() == BLOB
    assert memory.asked("open") == [WANTED.digest]
    assert files(cache) == []


def test_a_blob_can_be_read_while_it_is_replaced(cache: Cache) -> None:
    cache.put(WANTED, [BLOB])
    with cache.open(WANTED) as stream:
        first = stream.read(100)
        cache.put(WANTED, [BLOB])
        assert first + io.BufferedReader(stream).read() == BLOB  # type: ignore[type-var]


def test_a_new_blob_can_be_read_whatever_becomes_of_its_file(cache: Cache) -> None:
    with cache.new_blob() as new:
        new.file.write(BLOB)
        new.digest = WANTED.digest
    cache.drop(cache.blob_path(WANTED.digest))
    with cache.open(WANTED) as stream:
        assert stream.read() == BLOB


def test_a_blob_that_is_kept_stays_readable_and_is_verified_then(cache: Cache) -> None:
    assert not cache.keep(WANTED)
    cache.put(WANTED, [BLOB])
    assert cache.keep(WANTED)
    assert cache.kept() == (WANTED,)
    cache.drop(cache.blob_path(WANTED.digest))  # somebody prunes
    assert read(cache) == BLOB
    cache.put(WANTED, [BLOB])
    rot(cache, WANTED)
    assert cache.keep(WANTED)  # it is not looked into,
    with pytest.raises(DigestMismatch):  # until it is read
        read(cache)
    cache.blob_path(WANTED.digest).write_bytes(BLOB[:-1])
    assert not cache.keep(WANTED)
