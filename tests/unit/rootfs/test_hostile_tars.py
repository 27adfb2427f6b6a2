"""The hostile corpus: each case is refused as it says, or read as it says."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.build.hostile import CASES, Case
from tests.build.layers import LayerContents, stacked
from tests.build.tree import described, tree

from layersmith.rootfs.tree import Root


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_is_read_the_one_right_way_or_not_at_all(case: Case) -> None:
    if case.error is not None:
        with pytest.raises(case.error):
            stacked(*case.layers)
        return
    assert case.tree is not None
    assert described(stacked(*case.layers)) == described(Root(tree(case.tree), LayerContents({})))


def test_names_every_case_once() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", [c for c in CASES if c.error], ids=lambda case: case.name)
def test_a_refusal_is_one_line_without_control_characters(case: Case) -> None:
    assert case.error is not None
    with pytest.raises(case.error) as caught:
        stacked(*case.layers)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
