"""The shape of a recipe: what decides the bytes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from layersmith.errors import DocumentError, RecipeError
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.shape import of_shape, parse_shape, shape, shape_digest, shape_json

TARGET = "3.13-debian13"
PLAIN = Recipe(target=TARGET)


@pytest.mark.parametrize(
    "more",
    [
        {"user": "monty:1000:1000"},
        {"output": "oci:x", "push": ("r.example/x",)},
        {"mirrors": {"docker.io": "127.0.0.1:5000"}, "plain_http": ("h.example",)},
        {"platforms": ("linux/arm64",)},
        {"base": "oci:x", "builder": "r.example/y:z"},
        {"cmd": ()},
    ],
    ids=str,
)
def test_what_makes_no_difference(more: dict[str, Any]) -> None:
    assert shape(Recipe(target=TARGET, **more)) == {"target": TARGET}
    assert shape_digest(Recipe(target=TARGET, **more)) == shape_digest(PLAIN)


@pytest.mark.parametrize(
    "more",
    [
        {"target": "3.14-debian13"},
        {"user": "app:5:5"},
        {"env": {"A": ""}},
        {"labels": {"a": "b"}},
        {"annotations": {"a": "b"}},
        {"entrypoint": ()},
        {"entrypoint": ("/x",)},
        {"cmd": ("x",)},
        {"workdir": "/x"},
        {"include": ("pip",)},
        {"exclude": ("pip",)},
        {"allow_unresolved": ("libx*",)},
    ],
    ids=str,
)
def test_what_makes_one(more: dict[str, Any]) -> None:
    recipe = Recipe(**{"target": TARGET, **more})
    assert shape_digest(recipe) != shape_digest(PLAIN)
    assert of_shape(shape(recipe), "x") == recipe
    assert parse_shape(shape_json(recipe), "x") == recipe


def test_order_makes_none() -> None:
    one = Recipe(target=TARGET, include=("a", "b"), env={"X": "1", "Y": "2"})
    two = Recipe(target=TARGET, include=("b", "a", "b"), env={"Y": "2", "X": "1"})
    assert shape_json(one) == shape_json(two)


def test_the_order_of_a_command_does() -> None:
    one, two = (Recipe(target=TARGET, cmd=words) for words in (("a", "b"), ("b", "a")))
    assert shape_digest(one) != shape_digest(two)


@pytest.mark.parametrize(
    "text",
    ["[]", '"x"', '{"push": ["r.example/x"]}', '{"mirrors": {}}', '{"nothing": 1}', '{"env": 3}',
     '{"workdir": "x"}', "{", '{"target": "a", "target": "b"}'],
)  # fmt: skip
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises((RecipeError, DocumentError)):
        parse_shape(text, "x")


def test_our_annotations_are_ours() -> None:
    with pytest.raises(RecipeError, match="layersmith's own"):
        Recipe(annotations={"dev.layersmith.version": "9"}).check()
