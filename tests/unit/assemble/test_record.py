"""What an image says of how it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.image import Made
from tests.fakes.memory import Memory

from layersmith.assemble.inputs import Input, load_input
from layersmith.assemble.places import Place
from layersmith.assemble.record import WHEELS, Record, recorded, recorded_wheels, wheels_record
from layersmith.errors import DocumentError, InvalidInput, RecipeError
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.shape import shape_digest
from layersmith.stores.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path

RECIPE = Recipe(
    target="3.13-debian13",
    env={"A": "b"},
    mirrors={"docker.io": "mirror.example"},
    push=("r.example/x",),
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def loaded(cache: Cache, place: str) -> Input:
    memory = Memory()
    memory.tag("t", Made().put(memory))
    return load_input(memory, Place.parse(place), cache)


def test_what_is_recorded_is_read(cache: Cache) -> None:
    base, builder = loaded(cache, "gcr.io/a/b:t"), loaded(cache, "python:t")
    said = recorded(RECIPE, base, builder)
    assert said["org.opencontainers.image.base.name"] == "gcr.io/a/b:t"
    assert said["dev.layersmith.builder.name"] == "docker.io/library/python:t"
    assert said["dev.layersmith.recipe.digest"] == shape_digest(RECIPE)
    assert "mirror.example" not in str(said)
    assert "r.example" not in str(said)
    record = Record.of(said, "x")
    assert record.recipe == Recipe(target="3.13-debian13", env={"A": "b"})
    assert (record.base, record.builder) == (base.digest, builder.digest)
    assert (record.base_name, record.builder_name) == ("gcr.io/a/b:t", "docker.io/library/python:t")


def test_a_place_of_this_machine_is_not_named(cache: Cache) -> None:
    said = recorded(RECIPE, loaded(cache, "oci:/home/me/base:t"), loaded(cache, "oci:x:t"))
    assert "/home/me" not in str(said)
    assert Record.of(said, "x").base_name == ""


def test_a_recipe_too_large_for_an_annotation(cache: Cache) -> None:
    recipe = Recipe(target="3.13-debian13", env={"A": "b" * 100_000})
    said = recorded(recipe, loaded(cache, "a/b:t"), loaded(cache, "a/c:t"))
    assert sum(map(len, said.values())) < 2000
    with pytest.raises(InvalidInput, match=r"no annotation dev\.layersmith\.recipe") as caught:
        Record.of(said, "x")
    assert "--lock" in caught.value.hint


def test_a_recipe_that_speaks_of_another_base(cache: Cache) -> None:
    recipe = Recipe(annotations={"org.opencontainers.image.base.digest": "mine"})
    said = recorded(recipe, loaded(cache, "a/b:t"), loaded(cache, "a/c:t"))
    with pytest.raises(InvalidInput, match="does not say what its base was"):
        Record.of(said, "x")


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"nothing": 1}', '{"user": "root:0:0"}', '{"push": ["x"]}']
)
def test_a_record_that_is_none(cache: Cache, text: str) -> None:
    said = recorded(RECIPE, loaded(cache, "a/b:t"), loaded(cache, "a/c:t"))
    with pytest.raises((DocumentError, RecipeError)):
        Record.of({**said, "dev.layersmith.recipe": text}, "x")


def test_the_wheels_of_a_builder_image_are_read_again() -> None:
    wheels = {
        "b-1-py3-none-any.whl": "sha256:" + "1" * 64,
        "a-1-py3-none-any.whl": "sha256:" + "2" * 64,
    }
    said = wheels_record(wheels)
    assert recorded_wheels(said, "x") == wheels
    assert said == wheels_record(dict(reversed(wheels.items())))
    many = {f"{number}-1-py3-none-any.whl": "sha256:" + "1" * 64 for number in range(1000)}
    with pytest.raises(InvalidInput, match=r"no annotation dev\.layersmith\.wheels") as caught:
        recorded_wheels(wheels_record(many), "x")
    assert "--lock" in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": "sha256:0"}', '{"a": {}}'])
def test_wheels_that_are_none(text: str) -> None:
    with pytest.raises(DocumentError, match="x: dev"):
        recorded_wheels({WHEELS: text}, "x")
