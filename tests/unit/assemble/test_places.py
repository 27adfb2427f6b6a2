"""Places: what a user writes for a registry's repository or a layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from layersmith.assemble.places import Place
from layersmith.errors import InvalidInput, InvalidReference
from layersmith.oci.digest import Digest
from layersmith.stores.layout import Layout
from layersmith.stores.registry import Registries, RegistryOptions

DIGEST = Digest.of(b"")


@pytest.mark.parametrize(
    ("text", "directory", "tag"),
    [
        ("oci:out", "out", None),
        ("oci:out:3.13-debian13", "out", "3.13-debian13"),
        ("oci:/abs/out:t", "/abs/out", "t"),
        ("oci:./a:b/c", "./a:b/c", None),
        ("oci:./a:b/c:t", "./a:b/c", "t"),
        ("oci:.", ".", None),
        ("oci:caf\udce9:t", "caf\udce9", "t"),
    ],
)
def test_a_layout_is_a_directory_and_perhaps_a_tag(
    text: str, directory: str, tag: str | None
) -> None:
    assert Place.parse(text) == Place(None, Path(directory), tag)
    assert Place.parse(text).identifier == (tag or "latest")


@pytest.mark.parametrize(
    ("text", "full", "tag", "identifier"),
    [
        ("python", "docker.io/library/python", None, "latest"),
        ("h.io:5000/a:t", "h.io:5000/a:t", "t", "t"),
        (f"h.io/a:t@{DIGEST}", f"h.io/a:t@{DIGEST}", "t", DIGEST),
        ("oci.example/a", "oci.example/a", None, "latest"),
    ],
)
def test_anything_else_is_a_reference(
    text: str, full: str, tag: str | None, identifier: str
) -> None:
    place = Place.parse(text)
    assert str(place) == full
    assert place.directory is None
    assert (place.tag, place.identifier) == (tag, identifier)


@pytest.mark.parametrize(
    "text", ["oci:", "oci::t", "oci:out:", "oci:out:-t", "oci:out:a b", "", "UPPER"]
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Place.parse(text)
    assert caught.value.hint
    assert str(caught.value).isprintable()


def test_a_place_prints_in_full_and_names_what_is_in_it() -> None:
    assert str(Place.parse("oci:out:t")) == "oci:out:t"
    assert str(Place.parse("oci:out")) == "oci:out"
    assert Place.parse("oci:out").named("u") == "oci:out:u"
    assert Place.parse("python:3").named("4") == "docker.io/library/python:4"


def test_a_layout_is_opened_without_any_registry(tmp_path: Path) -> None:
    place = Place.parse(f"oci:{tmp_path}/new")
    with Registries(RegistryOptions()) as registries:
        assert isinstance(place.source(registries), Layout)
        assert place.sink(registries).name == f"oci:{tmp_path}/new"
    assert not (tmp_path / "new").exists()


def test_nobody_can_push_to_a_digest() -> None:
    with (
        Registries(RegistryOptions()) as registries,
        pytest.raises(InvalidReference, match="names a digest") as caught,
    ):
        Place.parse(f"h.io/a@{DIGEST}").sink(registries)
    assert "tag" in caught.value.hint
