"""What a user may write for a place, and what it opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from layersmith.assemble.places import Place
from layersmith.errors import InvalidInput, InvalidReference
from layersmith.oci.digest import Digest
from layersmith.stores.archive import OciArchive
from layersmith.stores.docker_archive import DockerArchive
from layersmith.stores.layout import Layout
from layersmith.stores.registry import Registries

DIGEST = Digest.of(b"x")
LONG = Digest.of(b"x", "sha512")


@pytest.mark.parametrize(
    ("text", "full", "identifier"),
    [
        ("python:3.13", "docker.io/library/python:3.13", "3.13"),
        ("h.example/a/b", "h.example/a/b", "latest"),
        (f"h.example/a/b:t@{DIGEST}", f"h.example/a/b:t@{DIGEST}", DIGEST),
        ("oci:dir", "oci:dir", "latest"),
        ("oci:/a/b:t", "oci:/a/b:t", "t"),
        ("oci:a:b/c", "oci:a:b/c", "latest"),
        ("oci:a:b/", "oci:a:b/", "latest"),
        ("oci:a:b/:t", "oci:a:b:t", "t"),
        (f"oci:dir:t@{DIGEST}", f"oci:dir:t@{DIGEST}", DIGEST),
        (f"oci:dir:t@{LONG}", f"oci:dir:t@{LONG}", LONG),
        ("oci-archive:a.tar", "oci-archive:a.tar", "latest"),
        ("oci-archive:d/a.tar:t", "oci-archive:d/a.tar:t", "t"),
        (f"oci-archive:a.tar@{DIGEST}", f"oci-archive:a.tar@{DIGEST}", DIGEST),
        ("docker-archive:a.tar", "docker-archive:a.tar", "latest"),
        ("docker-archive:a.tar:t", "docker-archive:a.tar:t", "t"),
        (
            "docker-archive:a.tar:team/x:t",
            "docker-archive:a.tar:docker.io/team/x:t",
            "docker.io/team/x:t",
        ),
        (
            "docker-archive:a.tar:x:t",
            "docker-archive:a.tar:docker.io/library/x:t",
            "docker.io/library/x:t",
        ),
        (
            "docker-archive:/a.tar:h:5000/x",
            "docker-archive:/a.tar:h:5000/x:latest",
            "h:5000/x:latest",
        ),
    ],
)
def test_reads_every_form(text: str, full: str, identifier: str) -> None:
    place = Place.parse(text)
    assert str(place) == full
    assert place.identifier == identifier
    assert Place.parse(full) == place


@pytest.mark.parametrize(
    "text",
    [
        "", "oci:", "oci::t", "oci:dir:", "oci:dir:-t", "oci-archive:", "oci-archive::t",
        "oci-archive:a.tar:t t", "docker-archive:", "docker-archive::t", "docker-archive:a.tar:",
        "docker-archive:a.tar:UP/x:t", "docker-archive:a.tar:-", "oci:dir@sha256:12",
        f"docker-archive:a.tar:team/x@{DIGEST}", f"docker-archive:a.tar@{DIGEST}", "Oci:dir", "dir:x/y", "\x1b]0;x",
    ],
)  # fmt: skip
def test_refuses_the_rest_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Place.parse(text)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("oci:d", Layout), ("oci-archive:a", OciArchive), ("docker-archive:a", DockerArchive)],
)
def test_opens_what_it_names(text: str, kind: type[object]) -> None:
    with Registries() as registries:
        assert isinstance(Place.parse(text).source(registries), kind)
        assert isinstance(Place.parse(text).sink(registries), kind)


def test_a_digest_is_no_place_to_write_to() -> None:
    with Registries() as registries:
        for text in (f"h.example/a@{DIGEST}", f"oci:dir@{DIGEST}"):
            with pytest.raises(InvalidReference, match="digest"):
                Place.parse(text).sink(registries)


def test_is_named_under_a_tag() -> None:
    assert Place.parse("h.example/a:t").named("u") == "h.example/a:u"
    assert Place.parse("oci-archive:a.tar").named("u") == "oci-archive:a.tar:u"
    assert Place.parse("docker-archive:a:h/x:t").named("u") == "docker-archive:a:docker.io/h/x:u"
    assert Place.parse("oci:d").path == Path("d")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("docker://h.example/x:1", "without docker://"),
        ("https://h.example/x", "without https://"),
        ("/srv/images/x", "oci:PATH"),
        ("./x", "oci-archive:PATH"),
        ("x:y:z", "host:5000/name"),
    ],
)
def test_what_other_tools_take_has_a_hint(text: str, words: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Place.parse(text)
    assert words in caught.value.hint
