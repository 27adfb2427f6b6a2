"""Laws of orders, ranges and scores."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert
from tests.build.osv import affected

from layersmith.analysis.debversion import debian_key
from layersmith.scan.cvss import base_score
from layersmith.scan.entries import Affected
from layersmith.scan.ranges import ORDERS, UnjudgedError, match

if TYPE_CHECKING:
    from layersmith.scan.ranges import Matched

upstreams = st.text("0019az.+~-", min_size=1, max_size=8)
revisions = st.text("0019az.+~", max_size=5)
epochs = st.sampled_from(["", "0:", "1:", "01:"])


@st.composite
def debian_versions(draw: st.DrawFn) -> str:
    revision = draw(revisions)
    text = draw(epochs) + draw(upstreams) + (f"-{revision}" if revision else "")
    return text if re.search(r"(^|:)-|-$", text) is None else "1"


@given(debian_versions())
def test_a_tilde_makes_it_earlier_and_anything_else_later(text: str) -> None:
    upstream = text.partition("-")[0]
    assert debian_key(f"{text}~") < debian_key(text) < debian_key(f"{text}+1")
    assert debian_key(f"{upstream}~x") < debian_key(upstream) < debian_key(f"{upstream}.1")


@given(debian_versions(), st.integers(0, 5))
def test_leading_zeros_of_numbers_do_not_count(text: str, zeros: int) -> None:
    padded = re.sub(r"(?<!\d)(?=\d)", "0" * zeros, text)
    assert debian_key(padded) == debian_key(text)


@given(debian_versions(), debian_versions())
def test_an_epoch_outweighs_everything(one: str, other: str) -> None:
    plain, rest = one.rpartition(":")[2], other.rpartition(":")[2]
    assert debian_key(f"0:{plain}") < debian_key(f"1:{rest}")


@given(st.text(max_size=12))
def test_any_text_is_a_version_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert debian_key(text) == debian_key(text)


versions = st.sampled_from(["0", "0.5", "1", "1.1", "2", "2.5", "3", "4", "10"])
cuts = st.lists(versions.filter(lambda v: v != "0"), min_size=1, max_size=6, unique=True)


def judged(version: str, events: list[dict[str, str]], ecosystem: str) -> Matched | None:
    about = convert(affected(ecosystem, "x", *events), Affected)
    return match(about, version, ORDERS[ecosystem])


@pytest.mark.parametrize("ecosystem", ["Debian", "PyPI"])
@given(cuts=cuts, version=versions, data=st.data())
def test_events_cut_the_line_of_versions(
    ecosystem: str, cuts: list[str], version: str, data: st.DataObject
) -> None:
    """Between cuts it is affected by turns, whatever the order in which the events are written."""
    order = ORDERS[ecosystem]
    line = sorted(cuts, key=order)
    kinds = ("introduced", "fixed")
    events = [{kinds[number % 2]: cut} for number, cut in enumerate(line)]
    passed = sum(order(cut) <= order(version) for cut in line)
    found = judged(version, data.draw(st.permutations(events)), ecosystem)
    assert (found is not None) == (passed % 2 == 1)
    if found is not None and found.fixed:
        assert order(found.fixed) > order(version)
        assert judged(found.fixed, events, ecosystem) is None


texts = st.one_of(versions, st.text(max_size=6))


@given(st.lists(st.dictionaries(st.sampled_from(["introduced", "fixed", "last_affected", "limit"]), texts), max_size=4))  # fmt: skip
def test_any_events_are_judged_or_said_not_to_be(events: list[dict[str, str]]) -> None:
    for ecosystem in ORDERS:
        with suppress(UnjudgedError):
            judged("1", events, ecosystem)


metrics = st.tuples(
    *(st.sampled_from(values) for values in ("NALP", "LH", "NLH", "NR", "UC", "HLN", "HLN", "HLN"))
)
NAMES = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")


@given(metrics)
def test_scores(values: tuple[str, ...]) -> None:
    """Between 0 and 10 with one decimal; no worse for more privileges; 0 without any impact."""
    said = dict(zip(NAMES, values, strict=True))

    def score(**changed: str) -> float:
        found = base_score(
            "CVSS:3.1/" + "/".join(f"{k}:{v}" for k, v in {**said, **changed}.items())
        )
        assert found is not None
        return found

    assert 0 <= score() <= 10
    assert round(score(), 1) == score()
    assert score(PR="H") <= score(PR="L") <= score(PR="N")
    assert score(A="N") <= score(A="L") <= score(A="H")
    assert score(C="N", I="N", A="N") == 0
