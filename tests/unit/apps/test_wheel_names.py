"""Names of wheels: what none is, however an index spells it."""

from __future__ import annotations

import pytest

from layersmith.apps.choosing import best, named, ranks, same_version
from layersmith.apps.interpreter import Interpreter
from layersmith.apps.pins import Pin, Remote

IMAGE = Interpreter("3.13.5", "x86_64", (2, 41))
DIGITS = "1" * 5000  # more than Python makes a number of


@pytest.mark.parametrize(
    "name",
    [
        "demo.whl",
        f"demo-{DIGITS}-py3-none-any.whl",
        f"demo-1-{DIGITS}-py3-none-any.whl",
        f"demo-1-py3-none-{'a' * 250}.whl",
        "demo-1-" + "-".join(".".join("abcdefghijk") for _ in range(3)) + ".whl",
    ],
)
def test_what_is_no_name_of_a_wheel(name: str) -> None:
    assert named(name) is None


def test_versions_are_compared_whatever_they_are() -> None:
    assert same_version("1.0", "1.0.0")
    assert same_version(DIGITS, DIGITS)
    assert not same_version("1", DIGITS)


def test_a_requires_python_that_cannot_be_read_is_none() -> None:
    file = Remote("demo-1-py3-none-any.whl", "", requires_python=f">={DIGITS}")
    assert best([file], Pin("demo", "1"), IMAGE, ranks(IMAGE)) is file
