"""Entries of the OSV schema: what is read, and what is refused with one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.build.osv import affected, between, debian, entry

from layersmith.errors import DocumentError
from layersmith.scan.entries import MAX_ENTRY, glance, read

GOOD = debian("CVE-2025-1", "gcc-14", "14.2.0-20", aliases=["X-1"])


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_an_entry_is_read_twice_alike() -> None:
    assert glance(encoded(GOOD)) == read(encoded(GOOD))
    found = read(encoded(GOOD))
    assert found.names == ("DEBIAN-CVE-2025-1", "X-1", "CVE-2025-1")
    assert found.moment.isoformat() == "2025-11-20T10:11:12+00:00"


def test_of_several_that_an_advisory_is_made_from_none_is_it() -> None:
    assert read(encoded(entry("DSA-1", upstream=["CVE-1", "CVE-2"]))).names == ("DSA-1",)


def test_null_is_absent_where_the_schema_allows_it() -> None:
    nulls: dict[str, Any] = dict.fromkeys(
        ("withdrawn", "aliases", "upstream", "summary", "severity", "affected", "database_specific")
    )
    found = read(encoded({"id": "X-1", "modified": "2025-01-01T00:00:00Z", **nulls}))
    assert found.names == ("X-1",)
    about = {"package": None, "ranges": None, "versions": None, "severity": None}
    assert read(encoded(entry("X-1", about))).affected


BAD: dict[str, Any] = {
    "no object": [],
    "no id": {"modified": "2025-01-01T00:00:00Z"},
    "no modified": {"id": "X-1"},
    "empty modified": {"id": "X-1", "modified": ""},
    "an id that is none": {**GOOD, "id": "X\x1b[2J"},
    "an empty id": {**GOOD, "id": ""},
    "an id with a space": {**GOOD, "id": "X 1"},
    "a long id": {**GOOD, "id": "X" * 300},
    "an alias that is none": {**GOOD, "aliases": ["\n"]},
    "an upstream that is none": {**GOOD, "upstream": [""]},
    "an alias of another type": {**GOOD, "aliases": [1]},
    "a day that is none": {**GOOD, "modified": "2025-02-30T00:00:00Z"},
    "a local time": {**GOOD, "modified": "2025-02-03T00:00:00+01:00"},
    "a number for a time": {**GOOD, "modified": 1},
    "withdrawn at no time": {**GOOD, "withdrawn": "yes"},
    "withdrawn without a time": {**GOOD, "withdrawn": ""},
    "affected is no list": {**GOOD, "affected": {}},
    "a package without a name": {**GOOD, "affected": [{"package": {"ecosystem": "PyPI"}}]},
    "a version that is a number": {**GOOD, "affected": [affected("PyPI", "x") | {"versions": [1]}]},
    "events of another type": {
        **GOOD, "affected": [{"ranges": [{"type": "GIT", "events": {"introduced": "0"}}]}],
    },
    "an event of another type": {
        **GOOD, "affected": [affected("PyPI", "x", {"introduced": 0})],  # type: ignore[dict-item]
    },
    "a range of no type": {**GOOD, "affected": [{"ranges": [{"events": between()}]}]},
    "a severity without a score": {**GOOD, "severity": [{"type": "CVSS_V3"}]},
    "specifics that are no object": {**GOOD, "database_specific": "x"},
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_wrong_types(what: str) -> None:
    for reader in (glance, read):
        with pytest.raises(DocumentError) as caught:
            reader(encoded(BAD[what]))
        assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"\xff", b"nul", encoded(GOOD) + b"x", b'{"id":"\\ud800","modified":""}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b" " * (MAX_ENTRY + 1),
    ],
)  # fmt: skip
def test_bytes_that_are_no_entry(raw: bytes) -> None:
    for reader in (glance, read):
        with pytest.raises(DocumentError) as caught:
            reader(raw)
        assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "raw",
    [
        encoded(GOOD)[:-1] + b',"id":"X-2"}',
        encoded(GOOD)[:-1] + b',"x":NaN}',
        encoded(GOOD)[:-1] + b',"x":' + b"[" * 70 + b"]" * 70 + b"}",
    ],
)
def test_what_two_readers_take_differently_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        read(raw)
