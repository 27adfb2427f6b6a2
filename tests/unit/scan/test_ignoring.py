"""Decisions not to act: what they are about, how long they hold, and what is wrong with a file."""

from __future__ import annotations

from datetime import date

import pytest
from tests.build.osv import debian, raw

from layersmith.errors import RecipeError
from layersmith.scan.database import collect
from layersmith.scan.ignoring import Applied, apply, parse_ignores
from layersmith.scan.matching import scan
from layersmith.scan.subjects import Place, subject

TODAY = date(2025, 11, 22)
PURL = "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13"
SUBJECT = subject(
    "debian", "libstdc++6", "14.2.0-19", PURL, ("gcc-14", "14.2.0-19"), Place("linux/amd64", "x")
)  # fmt: skip


def applied(text: str, today: date = TODAY) -> Applied:
    records = raw(debian("CVE-2025-1", "gcc-14"), debian("CVE-2025-2", "gcc-14"))
    findings = scan([SUBJECT], [collect("db", "", records, [SUBJECT])]).findings
    return apply(findings, parse_ignores(text.encode(), "ignore.toml"), today)


def ignored(more: str, name: str = "CVE-2025-1") -> list[str]:
    text = f'[[ignore]]\nid = "{name}"\nreason = "not reachable"\n{more}\n'
    return [one.id for one in applied(text).findings if one.ignored]


@pytest.mark.parametrize(
    "more",
    [
        "", 'package = "libstdc++6"', 'package = "gcc-14"', 'purl = "pkg:deb/debian/libstdc++6"',
        'purl = "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19"', f'purl = "{PURL}"',
        "expires = 2025-11-22", 'expires = "2025-12-01"',
    ],
)  # fmt: skip
def test_what_it_is_about(more: str) -> None:
    assert ignored(more) == ["DEBIAN-CVE-2025-1"]
    assert ignored(more, "DEBIAN-CVE-2025-1") == ["DEBIAN-CVE-2025-1"]


@pytest.mark.parametrize(
    "more",
    [
        'package = "gcc"', 'purl = "pkg:deb/debian/libstdc++"', 'purl = "pkg:deb/debian/gcc-14"',
        'purl = "pkg:deb/debian/libstdc++6@14.2.0-20"', 'package = "gcc-14"\npurl = "pkg:pypi/x"',
        "expires = 2025-11-21",
    ],
)  # fmt: skip
def test_what_it_is_not_about(more: str) -> None:
    assert not ignored(more)


def test_what_is_over_and_what_is_of_no_use_is_said() -> None:
    text = """
        [[ignore]]
        id = "CVE-2025-1"
        reason = "a fix is on its way"
        expires = 2025-11-21
        [[ignore]]
        id = "CVE-2025-9"
        package = "openssl"
        reason = "?"
    """
    found = applied(text)
    assert not any(one.ignored for one in found.findings)
    assert [str(one) for one in found.expired] == ["CVE-2025-1"]
    assert [str(one) for one in found.unused] == ["CVE-2025-9 of openssl"]
    (held, _) = applied(text, date(2025, 11, 21)).findings
    assert held.ignored is not None
    assert held.ignored.reason == "a fix is on its way"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "ignore.toml: "),
        ("[ignore]\nid = 'X'", "tables [[ignore]]"),
        ("other = 1", "'other' is none"),
        ("[[ignore]]\nreason = 'x'", "[[ignore]] 1: "),
        ("[[ignore]]\nid = 'X'", "`reason`"),
        ("[[ignore]]\nid = 'X'\nreason = ' '", "must say something"),
        ("[[ignore]]\nid = 'X'\nreason = 'r'\nexpire = 2025-01-01", "`expire`"),
        ("[[ignore]]\nid = 'X'\nreason = 'r'\nexpires = 'soon'", "expires"),
        ("[[ignore]]\nid = 'X'\nreason = 'r'\nexpires = '2025-02-30'", "expires"),
        ("[[ignore]]\nid = 'X'\nreason = 'r'\nexpires = 2025-01-01T00:00:00Z", "expires"),
        ("[[ignore]]\nid = 1\nreason = 'r'", "`str`"),
        ("ignore = [1]", "[[ignore]] 1: "),
        ("[[ignore]]\nid = 'X'\nreason = 'r'\n[[ignore]]\nid = 'Y'", "[[ignore]] 2: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_ignores(text.encode(), "ignore.toml")
    assert said in caught.value.message
    assert caught.value.message.isprintable()


def test_a_file_that_is_no_text() -> None:
    with pytest.raises(RecipeError, match="UTF-8"):
        parse_ignores(b"\xff", "ignore.toml")
