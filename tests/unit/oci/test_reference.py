"""References: Docker's short forms in, full names out, traps refused."""

from __future__ import annotations

import pytest

from layersmith.errors import InvalidInput, InvalidReference
from layersmith.oci.digest import Digest
from layersmith.oci.reference import Reference, is_loopback, valid_registry, valid_tag

DIGEST = Digest.of(b"")


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("python", "docker.io/library/python"),
        ("python:3.13", "docker.io/library/python:3.13"),
        ("al3xos/python", "docker.io/al3xos/python"),
        ("docker.io/python", "docker.io/library/python"),
        ("index.docker.io/python:3", "docker.io/library/python:3"),
        ("registry-1.docker.io/a/b", "docker.io/a/b"),
        ("library/python", "docker.io/library/python"),
        ("gcr.io/distroless/cc-debian13", "gcr.io/distroless/cc-debian13"),
        ("localhost/a", "localhost/a"),
        ("localhost:5000/a:t", "localhost:5000/a:t"),
        ("[::1]:5000/a", "[::1]:5000/a"),
        ("host:5000/a/b/c:T_1.x-y", "host:5000/a/b/c:T_1.x-y"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"python:3@{DIGEST}", f"docker.io/library/python:3@{DIGEST}"),
    ],
)
def test_is_written_in_full(short: str, full: str) -> None:
    assert Reference.parse(short) == full
    assert Reference.parse(full) == full


def test_has_parts() -> None:
    reference = Reference(f"h:1/a/b:t@{DIGEST}")
    assert reference.registry == "h:1"
    assert reference.repository == "a/b"
    assert reference.tag == "t"
    assert reference.digest == DIGEST
    assert reference.name == "h:1/a/b"


def test_a_registry_is_asked_for_the_digest_then_the_tag_then_latest() -> None:
    assert Reference(f"h/a:t@{DIGEST}").identifier == DIGEST
    assert Reference("h/a:t").identifier == "t"
    assert Reference("h/a").identifier == "latest"


def test_a_tag_replaces_tag_and_digest_and_a_digest_keeps_the_tag() -> None:
    assert Reference(f"h/a:t@{DIGEST}").with_tag("u") == "h/a:u"
    assert Reference("h/a:t").with_digest(DIGEST) == f"h/a:t@{DIGEST}"
    assert Reference(f"h/a@{DIGEST}").with_digest(DIGEST) == f"h/a@{DIGEST}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        ":tag",
        "a:",
        "a/",
        "/a",
        "a//b",
        "a b",
        "a\n",
        "UPPER",
        "h.io/UPPER",
        "h.io/a/../../b",
        "h.io/./a",
        "h.io/a_-b",
        "h.io/-a",
        "h.io/a.",
        "h.io/a:tag/..",
        "h.io/a:-t",
        "h.io/a:" + "t" * 129,
        "h.io/" + "a" * 256,
        "https://h.io/a",
        "user@h.io/a",
        "h.io:0/a",
        "h.io:65536/a",
        "h.io:x/a",
        "-h.io/a",
        "h_.io/a",
        "[::1/a",
        "[..]/a",
        "[::1]x/a",
        "h.io/a@sha256:zz",
        "h.io/a@md5:" + "0" * 32,
        f"h.io/a@{DIGEST}@{DIGEST}",
        f"h.io/a@{DIGEST}:t",
        "h.io/a?x=1",
        "h.io/a#x",
        "h.io/\N{CYRILLIC SMALL LETTER A}",
        "..../a",
    ],
)
def test_refuses_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Reference.parse(text)
    assert caught.value.hint
    assert str(caught.value).isprintable()


def test_the_full_form_needs_a_registry() -> None:
    with pytest.raises(InvalidReference):
        Reference("python")


def test_says_that_names_are_lower_case() -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse("Python:3.13")
    assert "lower case" in caught.value.hint


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:5000", "127.9.9.9", "[::1]:5"]
)
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["localhost.evil.io", "127.0.0.1.evil.io", "10.0.0.1", "[::2]", "evil.io", "127.0.0.1x"]
)
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_loopback(host)


def test_registries_and_tags_are_checked_alone_too() -> None:
    assert valid_registry("h.io:443")
    assert valid_registry("[2001:db8::1]")
    assert not valid_registry("h.io/a")
    assert not valid_registry("[1]")
    assert valid_tag("_3.13-debian13")
    assert not valid_tag(".3")
    assert not valid_tag("")
