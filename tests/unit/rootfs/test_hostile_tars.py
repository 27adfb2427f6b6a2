"""The hostile corpus: each case is refused as it says, or read as it says."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.build.corpus import CASES, FRAMES, Case, Frame
from tests.build.layers import LayerContents, stacked
from tests.build.streams import Dribble
from tests.build.tar import archive, directory, long_name
from tests.build.tree import described, tree

from layersmith.errors import LayerError
from layersmith.rootfs.compression import PieceReader, decompress
from layersmith.rootfs.layer import read_layer
from layersmith.rootfs.tree import Root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layersmith.oci.content import Readable


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_read_the_one_right_way_or_not_at_all(case: Case) -> None:
    if case.error is not None:
        with pytest.raises(case.error):
            stacked(*case.layers)
        return
    assert case.tree is not None
    assert described(stacked(*case.layers)) == described(Root(tree(case.tree), LayerContents({})))


def inflated(frame: Frame) -> bytes:
    """Return the tar in a blob, read as a layer to its end."""
    pieces: list[bytes] = []

    def recorded() -> Iterator[bytes]:
        for piece in decompress(io.BytesIO(frame.blob), frame.compression, len(frame.blob)):
            pieces.append(piece)
            yield piece

    stream = PieceReader(recorded())
    list(read_layer(stream, "layer"))
    stream.readall()
    return b"".join(pieces)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_framing_is_read_the_one_right_way_or_not_at_all(frame: Frame) -> None:
    if frame.tar is None:
        with pytest.raises(LayerError):
            inflated(frame)
        return
    assert inflated(frame) == frame.tar


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
@pytest.mark.parametrize("size", [1, 3])
def test_framing_is_the_same_however_the_network_cuts_it(frame: Frame, size: int) -> None:
    def read(stream: Readable) -> bytes | None:
        try:
            return b"".join(decompress(stream, frame.compression, len(frame.blob)))
        except LayerError:
            return None

    blob = frame.blob[:8192]
    assert read(Dribble(blob, size)) == read(io.BytesIO(blob))


def test_directories_may_be_as_deep_as_a_path_is_long() -> None:
    name = "d/" * 2047
    *_, deepest = described(stacked(archive(long_name(name), directory("d"))))
    assert deepest == name.strip("/")


def test_names_every_case_once() -> None:
    names = Counter([case.name for case in CASES] + [frame.name for frame in FRAMES])
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) >= 500


@pytest.mark.parametrize("case", [c for c in CASES if c.error], ids=lambda case: case.name)
def test_a_refusal_is_one_line_without_control_characters(case: Case) -> None:
    assert case.error is not None
    with pytest.raises(case.error) as caught:
        stacked(*case.layers)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
