"""Package URLs, CPEs and identifiers: as their specifications write them, never by chance."""

from __future__ import annotations

import re

import pytest

from layersmith.attest.names import cpe_python, identifier, purl, shown, urn


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("deb", "debian/libstdc++6", "14.2.0-19", {"arch": "amd64", "distro": "debian-13"}),
            "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13",
        ),
        (
            ("deb", "debian/zlib1g", "1:1.3.dfsg+really1.3.1-1~x", {"distro": "", "arch": "all"}),
            "pkg:deb/debian/zlib1g@1:1.3.dfsg%2Breally1.3.1-1~x?arch=all",
        ),
        (("pypi", "flask-x", "1.2+local"), "pkg:pypi/flask-x@1.2%2Blocal"),
        (("generic", "python", "3.13.5"), "pkg:generic/python@3.13.5"),
        (("oci", "a b@c", "sha256:00"), "pkg:oci/a%20b%40c@sha256:00"),
    ],
)
def test_package_urls(arguments: tuple[str, str, str], expected: str) -> None:
    assert purl(*arguments) == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.13.5", "cpe:2.3:a:python:python:3.13.5:*:*:*:*:*:*:*"),
        ("3.14.0rc2", "cpe:2.3:a:python:python:3.14.0:rc2:*:*:*:*:*:*"),
        ("3.13", "cpe:2.3:a:python:python:3.13:*:*:*:*:*:*:*"),
    ],
)
def test_python_has_the_name_of_the_nvd(version: str, expected: str) -> None:
    assert cpe_python(version) == expected
    assert len(re.findall(r"(?<!\\):", expected)) == 12


def test_identifiers_tell_their_parts_apart() -> None:
    made = [
        identifier("File", "a.py", "x/a.py"),
        identifier("File", "a.py", "y/a.py"),
        identifier("file", "a.py", "x/a.py"),
        identifier("File", "a.pyx", "/a.py"),
        identifier("File", "\udcff\n+", "z"),
        identifier("File", "", "z"),
    ]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", one) for one in made)


def test_a_urn_is_a_uuid_made_from_its_parts() -> None:
    assert urn("a", "b") == urn("a", "b") == "urn:uuid:c2633b6d-12db-5dcd-9600-e0ba50f41074"
    assert urn("a", "b") != urn("ab") != urn("a", "c")


def test_bytes_that_are_no_text_are_shown() -> None:
    assert shown(b"\xff/\xc3\xa4".decode("utf-8", "surrogateescape")) == "\\xff/ä"
