"""One file or its parts: the same bytes, whole or not at all."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layersmith.errors import DocumentError, NotFound, OutputError
from layersmith.stores.files import OpenFile
from layersmith.stores.parts import Joined, damaged_parts, open_parts, part_names, write_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECES = [b"abc", b"", b"defgh", b"i" * 10]
WHOLE = b"".join(PIECES)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_file(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    assert write_parts(path, PIECES, 0) == [path]
    assert names(tmp_path) == ["x.tar"]
    assert open_parts(path).whole().read() == WHOLE
    assert damaged_parts(path) == []


@pytest.mark.parametrize(("limit", "count"), [(1, 18), (5, 4), (6, 3), (17, 2), (18, 1), (99, 1)])
def test_parts(tmp_path: Path, limit: int, count: int) -> None:
    path = tmp_path / "x.tar"
    *parts, listed = write_parts(path, PIECES, limit)
    assert [part.name for part in parts] == [f"x.tar.{number:03}" for number in range(count)]
    assert b"".join(part.read_bytes() for part in parts) == WHOLE
    assert {part.stat().st_size for part in parts[:-1]} <= {limit}
    assert listed.read_text().splitlines() == [
        f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}" for part in parts
    ]
    for given_ in (path, parts[0], parts[-1], listed):
        assert part_names(given_) == parts
        assert open_parts(given_).whole().read() == WHOLE


def test_fewer_parts_than_before_leave_none_behind(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_parts(path, PIECES, 3)
    write_parts(path, PIECES, 9)
    assert names(tmp_path) == ["x.000", "x.001", "x.sha256"]
    write_parts(path, PIECES, 0)
    assert names(tmp_path) == ["x"]
    write_parts(path, PIECES, 9)
    assert names(tmp_path) == ["x.000", "x.001", "x.sha256"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield WHOLE
        raise RuntimeError

    for limit in (0, 5):
        with pytest.raises(RuntimeError):
            write_parts(tmp_path / "x", breaking(), limit)
        assert names(tmp_path) == []


def test_too_many_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="1000 parts"):
        write_parts(tmp_path / "x", [b"x" * 1001], 1)
    assert names(tmp_path) == []


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_parts(path, PIECES, 6)
    (tmp_path / "x.001").unlink()
    with pytest.raises(NotFound, match=r"x\.001 is missing"):
        open_parts(path)
    with pytest.raises(NotFound, match=r"no file .*/y"):
        open_parts(tmp_path / "y")


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_parts(path, PIECES, 6)
    (tmp_path / "x.001").write_bytes(b"other!")
    assert [part.name for part in damaged_parts(path)] == ["x.001"]


@pytest.mark.parametrize(
    "text",
    ["", "x", f"{'0' * 64}  y.000\n", f"{'0' * 64}  ../x.000\n", f"{'0' * 64}  x.001\n",
     f"{'0' * 63}  x.000\n", f"{'0' * 64}  x.000\n{'0' * 64}  x.000\n"],
)  # fmt: skip
def test_a_list_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.sha256").write_text(text)
    with pytest.raises(DocumentError):
        part_names(tmp_path / "x")


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_any_range_of_any_parts(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], offset: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    for number, part in enumerate(parts):
        (folder / str(number)).write_bytes(part)
    joined = Joined([OpenFile.at(folder / str(number)) for number in range(len(parts))])
    whole = b"".join(parts)
    assert joined.size == len(whole)
    assert joined.pread(size, offset) == whole[offset : offset + size]
    assert joined.whole().read() == whole
