"""Debian's order of versions: what deb-version(7) says, example by example."""

from __future__ import annotations

import random

import pytest

from layersmith.analysis.debversion import debian_key

# Each is before the next.
RISING = [
    "0~~", "0~~a", "0~", "0", "0a", "0a1", "0.0", "1.0~beta1~svn1245", "1.0~beta1", "1.0~rc1-1",
    "1.0", "1.0-0+b1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb13u1", "1.0-1.1", "1.0-2",
    "1.0-10", "1.0a-1", "1.0+dfsg-1", "1.0.1-1", "1.0.9", "1.0.10", "1.1", "1.9", "1.10", "2",
    "1:0~", "1:0", "1:1.0", "2:0", "10:0",
]  # fmt: skip
EQUAL = [
    ("1.0", "1.0-0"), ("1.0", "0:1.0"), ("1.00", "1.0"), ("1.0", "1.0-"[:-1]), ("a", "a0"),
    ("0", "00"), ("0", "0-0"), ("1.001", "1.1"), ("1.0a", "1.0a0"), ("00:1", "1"),
]  # fmt: skip
NONE = ["", ":1", "1:", "x:1", "1.0-", "1 0", "1_0", "-1", "1\n", "é1", "2147483648:1", "9" * 40 + ":1"]  # fmt: skip


def test_the_order() -> None:
    mixed = random.Random(1).sample(RISING, len(RISING))
    assert sorted(mixed, key=debian_key) == RISING
    assert len({debian_key(text) for text in RISING}) == len(RISING)


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_what_is_equal(one: str, other: str) -> None:
    assert debian_key(one) == debian_key(other)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="version"):
        debian_key(text)


def test_numbers_of_any_length() -> None:
    assert debian_key("1." + "9" * 100_000) < debian_key("1.1" + "0" * 100_000)


def test_a_colon_in_the_upstream_version_needs_an_epoch() -> None:
    assert debian_key("0:1:2") < debian_key("0:1:3")
