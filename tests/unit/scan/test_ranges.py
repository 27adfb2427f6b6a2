"""Ranges and lists of versions, by the OSV schema's rules, and in words."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import convert
from tests.build.osv import affected, between

from layersmith.scan.entries import Affected
from layersmith.scan.ranges import ORDERS, Matched, UnjudgedError, match


def judged(
    version: str, *events: dict[str, str], ecosystem: str = "PyPI", **more: Any
) -> Matched | None:
    about = affected(ecosystem, "x", *events, **more)
    return match(convert(about, Affected), version, ORDERS[ecosystem])


def affects(version: str, *events: dict[str, str], **more: Any) -> bool:
    return judged(version, *events, **more) is not None


TWICE = [*between("1.0", "1.5"), *between("2.0", "2.5")]


@pytest.mark.parametrize(
    ("version", "why", "fixed"),
    [
        ("1.0", "from 1.0 to before 1.5", "1.5"),
        ("1.4.9", "from 1.0 to before 1.5", "1.5"),
        ("2.1", "from 2.0 to before 2.5", "2.5"),
    ],
)
def test_in_a_range(version: str, why: str, fixed: str) -> None:
    for events in (TWICE, TWICE[::-1]):  # the order in which events are written does not matter
        assert judged(version, *events) == Matched(why, fixed)


@pytest.mark.parametrize("version", ["0.9", "1.0rc1", "1.5", "1.9", "2.5", "3"])
def test_outside(version: str) -> None:
    assert not affects(version, *TWICE)


def test_zero_is_before_all_others() -> None:
    assert judged("0.0.dev0", *between("0", "1")) == Matched(
        "from the first version to before 1", "1"
    )
    assert judged("0~~", *between(), ecosystem="Debian") == Matched("from the first version on", "")


def test_orders_are_the_ecosystems() -> None:
    tilde = between("0", "1.0-1~deb13u1")
    assert affects("1.0-1~", *tilde, ecosystem="Debian")
    assert not affects("1.0-1", *tilde, ecosystem="Debian")
    assert affects("1.0.post1", *between("0", "1.1.dev1"))
    assert not affects("1!0.1", *between("0", "9"))


def test_last_affected_is_affected() -> None:
    events = ({"introduced": "1"}, {"last_affected": "2"})
    assert judged("2", *events) == Matched("from 1 up to 2", "")
    assert not affects("2.0.post1", *events)
    assert affects("1", {"introduced": "1"}, {"last_affected": "1"})


def test_a_range_of_one_version_may_be_written_backwards() -> None:
    events = (*between("0", "1"), {"last_affected": "2"}, {"introduced": "2"})
    assert affects("2", *events)
    assert not affects("1.5", *events)


def test_limits_bound_a_range() -> None:
    assert affects("1.9", *between(), {"limit": "2"})
    assert not affects("2", *between(), {"limit": "2"})
    assert affects("2", *between(), {"limit": "2"}, {"limit": "*"})
    assert affects("2", *between(), {"limit": "1"}, {"limit": "3"})


def test_a_range_that_only_ends_begins_with_the_first_version() -> None:
    assert affects("1", {"fixed": "2"})
    assert not affects("2", {"fixed": "2"})


def test_at_one_version_the_entrys_own_order_counts() -> None:
    assert not affects("1", {"introduced": "0"}, {"fixed": "0"})
    assert affects("3", {"introduced": "0"}, {"fixed": "2"}, {"introduced": "2"})


def test_lists_of_versions() -> None:
    assert judged("1.0", versions=["1.0.0"]) == Matched("the list of versions names 1.0", "")
    assert not affects("1.0", versions=["1.0.1", "not-a-version"])
    assert affects("1.0-0", versions=["1.0"], ecosystem="Debian")
    # What is listed is affected, whatever the ranges say; and the other way round.
    assert judged("3", *between("1", "4"), versions=["1"]) == Matched("from 1 to before 4", "4")
    assert judged("5", *between("1", "4"), *between("6", "7"), versions=["5"]) == Matched(
        "the list of versions names 5", "7"
    )


def test_neither_ranges_nor_versions_means_every_version() -> None:
    assert judged("1") == Matched("every version: the entry names none", "")


def test_commits_say_nothing_about_versions() -> None:
    assert not affects("1", *between("0", "a" * 40), kind="GIT")
    assert affects("1", *between("0", "a" * 40), kind="GIT", versions=["1"])


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        (between("0", "not a version"), "ECOSYSTEM"),
        ([{"introduced": "0"}, {}], "ECOSYSTEM"),
        ([{"introduced": "0"}, {"last_affected": "-"}], "ECOSYSTEM"),
        ([{"introduced": "0"}, {"limit": "-"}], "ECOSYSTEM"),
        ([{"limit": "*"}], "ECOSYSTEM"),
        (between("0", "1.0.0"), "SEMVER"),
        (between("0", "1.0.0"), "\x1b"),
    ],
)
def test_what_cannot_be_judged_is_said(events: list[dict[str, str]], kind: str) -> None:
    with pytest.raises(UnjudgedError) as caught:
        affects("0.1", *events, kind=kind)
    assert str(caught.value).isprintable()


def test_a_range_without_events_cannot_be_judged() -> None:
    about = convert({"ranges": [{"type": "ECOSYSTEM", "events": []}]}, Affected)
    with pytest.raises(UnjudgedError):
        match(about, "1", ORDERS["PyPI"])
