"""apt's sources in both forms, and which of a host's an image's release has."""

from __future__ import annotations

import pytest

from layersmith.debs.sources import (
    Source,
    fitted,
    parse_deb822,
    parse_line,
    parse_list,
    read_release,
)
from layersmith.errors import InvalidInput

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://m.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
# another
Signed-By: /usr/share/keyrings/a.gpg

Types: deb
URIs: http://m.example/debian-security
Suites: bookworm-security
Components: main
Check-Valid-Until: no

Types: deb
Enabled: no
URIs: http://off.example
Suites: x
Components: main

Types: deb-src
URIs: http://sources.example
Suites: x
Components: main
"""
HOST = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
IMAGE = {"ID": "debian", "VERSION_CODENAME": "trixie"}


def test_paragraphs() -> None:
    main, updates, security = parse_deb822(DEB822, "x.sources")
    keys = ("/usr/share/keyrings/a.gpg",)
    uri = "http://m.example/debian"
    assert main == Source(uri, "bookworm", ("main", "contrib"), keys)
    assert updates.suite == "bookworm-updates"
    assert security == Source(
        "http://m.example/debian-security", "bookworm-security", ("main",), expires=False
    )


def test_a_key_within() -> None:
    block = (
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    (found,) = parse_deb822(
        f"Types: deb\nURIs: http://a.example\nSuites: s\nComponents: main\nSigned-By:\n{block}", "x"
    )
    assert found.keys == ()
    assert found.armored.splitlines()[:3] == ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "", "abc="]
    assert not found.problem


def test_lines() -> None:
    text = (
        "# deb http://no.example x main\ndeb-src http://no.example x main\nnonsense\n"
        "deb [arch=amd64 signed-by=/a.gpg,/b.gpg check-valid-until=no] https://a.example/d trixie "
        "main contrib # why\ndeb\n"
    )
    (found,) = parse_list(text)
    assert found == Source(
        "https://a.example/d", "trixie", ("main", "contrib"), ("/a.gpg", "/b.gpg"), expires=False
    )


def test_what_a_user_types() -> None:
    assert parse_line("http://a.example/d trixie main").components == ("main",)
    assert parse_line("http://[::1]:8080/a~b trixie main").uri == "http://[::1]:8080/a~b"
    assert parse_line("deb [signed-by=/k.gpg] http://a.example s main").keys == ("/k.gpg",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://a.example", "no archive"),
        ("", "no archive"),
        ("ftp://a.example trixie main", "http or https"),
        ("http://u:secret@a.example trixie main", "without a user"),
        ("https://secret@a.example trixie main", "without a user"),
        ("https://u:x@secret@a.example trixie main", "without a user"),
        ("http://[x/debian trixie main", "http or https"),
        ("http://[::::]/debian trixie main", "http or https"),
        ("http://:80/debian trixie main", "http or https"),
        ("http://a:99999/debian trixie main", "http or https"),
        ("http://a:0 trixie main", "http or https"),
        ("http://a.example/?x trixie main", "http or https"),
        ("http://a.example/\N{SNOWMAN} trixie main", "http or https"),
        ("http://a.example trixie", "component"),
        ("http://a.example ./ main", "suite"),
        ("http://a.example ../../x main", "suite"),
        ("http://a.example/../x trixie main", "goes up"),
        ("http://a.example trixie ../main", "component"),
        ("http://a.example trixie a/../main", "goes up"),
        ("[signed-by=0123ABCD] http://a.example trixie main", "fingerprint"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        parse_line(text)
    assert "secret" not in str(caught.value)


def test_no_paragraphs() -> None:
    with pytest.raises(InvalidInput, match="no sources of apt"):
        parse_deb822("deb http://a.example x main\n", "a.sources")
    assert parse_deb822("", "a.sources") == []


def test_a_host_s_archive_has_the_image_s_release() -> None:
    found = fitted(parse_deb822(DEB822, "x"), HOST, IMAGE)
    assert [one.suite for one in found] == ["trixie", "trixie-updates", "trixie-security"]
    assert [one.uri.rpartition("/")[2] for one in found] == ["debian", "debian", "debian-security"]


@pytest.mark.parametrize("suite", ["sid", "nodistro", "bookwormish", "jammy"])
def test_what_is_of_no_release_of_the_host_s(suite: str) -> None:
    assert fitted([Source("http://a.example", suite, ("main",))], HOST, IMAGE) == []


def test_stable_is_what_the_image_is() -> None:
    sources = [Source("http://a.example", suite, ("main",)) for suite in ("stable", "trixie")]
    assert [one.suite for one in fitted(sources, HOST, IMAGE)] == ["trixie"]


@pytest.mark.parametrize("host", [{}, {"ID": "ubuntu", "VERSION_CODENAME": "bookworm"}])
def test_another_system_s_archives_are_not_the_image_s(host: dict[str, str]) -> None:
    assert fitted([Source("http://a.example", "bookworm", ("main",))], host, IMAGE) == []


def test_an_image_that_does_not_say() -> None:
    sources = [Source("http://a.example", "bookworm", ("main",))]
    assert fitted(sources, HOST, {"ID": "debian"}) == []


def test_os_release() -> None:
    text = "ID=debian\nVERSION=\"Debian GNU/Linux 13 (trixie)\"\nNAME='a b'\n# x\nnonsense\n"
    said = read_release(text)
    assert said["ID"] == "debian"
    assert said["NAME"] == "a b"
    assert said["VERSION_CODENAME"] == "trixie"
    assert read_release('VERSION_CODENAME=sid\nVERSION="1 (x)"\n')["VERSION_CODENAME"] == "sid"
