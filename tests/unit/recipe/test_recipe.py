"""Recipes: typed, without unknown keys, and the command line wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from layersmith.errors import RecipeError
from layersmith.recipe.recipe import Recipe, User, read_recipe

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
target = "3.13-debian13"
base = "gcr.io/distroless/cc-debian13"
builder = "oci:dir:tag"
platforms = ["linux/amd64"]
output = "oci:out"
push = ["h.io/a", "h.io/b:t"]
plain-http = ["h.io:5000"]
user = "me:1001:1002"
include = ["pip"]
exclude = ["**/x"]
entrypoint = ["python", "-m", "app"]
cmd = []
workdir = "/app"
compression = "zstd:3"
allow-unresolved = ["libtk*"]

[mirrors]
"docker.io" = "127.0.0.1:5000"

[env]
A = "1"

[labels]
l = "v"

[annotations]
a = "b"
"""


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "layersmith.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path)


def test_a_file_says_everything_that_the_command_line_can(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == Recipe(
        target="3.13-debian13",
        base="gcr.io/distroless/cc-debian13",
        builder="oci:dir:tag",
        platforms=("linux/amd64",),
        output="oci:out",
        push=("h.io/a", "h.io/b:t"),
        mirrors={"docker.io": "127.0.0.1:5000"},
        plain_http=("h.io:5000",),
        user="me:1001:1002",
        include=("pip",),
        exclude=("**/x",),
        env={"A": "1"},
        labels={"l": "v"},
        annotations={"a": "b"},
        entrypoint=("python", "-m", "app"),
        cmd=(),
        workdir="/app",
        compression="zstd:3",
        allow_unresolved=("libtk*",),
    )


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Recipe()


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ('target = "x"\n\nbuidler = "y"\n', ":3", "unknown key 'buidler'"),
        ('plain_http = ["h"]', ":1", "unknown key 'plain_http'"),
        ("[tool]\nx = 1\n", ":1", "unknown key 'tool'"),
        ("\ntarget = 3.13\n", ":2", "Expected `str`, got `float`"),
        ('platforms = "linux/amd64"\n', ":1", "Expected `array`"),
        ("push = [1]\n", ":1", "Expected `str`, got `int`"),
        ("[env]\nA = 1\n", ":1", "Expected `str`, got `int`"),
        ("target = \n", "", "line 1"),
        ('target = "a"\ntarget = "b"\n', "", "overwrite"),
        ("x = " + "[" * 50_000, "", "recursion"),
        ("x = " + "1" * 5000, "", "digits"),
        ('env = {"" = "x"}', "", "is no name of a variable"),
        ('env = {"A=B" = "x"}', "", "is no name of a variable"),
        ('env = {A = "x\\u0000"}', "", "NUL"),
        ('workdir = "app"', "", "is not absolute"),
        ('user = "root"', "", "is not a user"),
        ('compression = "xz"', "", "is no compression"),
        ('platforms = ["amd64"]', "", "is not a platform"),
        ('plain-http = ["http://h"]', "", "is not a host"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, text: str, place: str, why: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'layersmith.toml'}{place}: ")
    assert why in message
    assert message.isprintable()


def test_an_unknown_key_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, "x = 1")
    assert "allow-unresolved" in caught.value.hint
    assert "plain-http" in caught.value.hint


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "missing.toml")
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        read_recipe(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b'target = "\xff"')
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_recipe(tmp_path / "f")


# the command line over a file


@pytest.mark.parametrize(
    ("lower", "upper", "merged"),
    [
        ({"target": "a"}, {}, {"target": "a"}),
        ({"target": "a"}, {"target": "b"}, {"target": "b"}),
        ({"platforms": ("a", "b")}, {"platforms": ("c",)}, {"platforms": ("c",)}),
        ({"push": ("a",)}, {"push": ("b",)}, {"push": ("b",)}),
        ({"push": ("a",)}, {}, {"push": ("a",)}),
        ({"include": ("a",)}, {"include": ("b", "a")}, {"include": ("a", "b")}),
        ({"env": {"A": "1", "B": "1"}}, {"env": {"B": "2"}}, {"env": {"A": "1", "B": "2"}}),
        ({"entrypoint": ("a",)}, {"entrypoint": ()}, {"entrypoint": ()}),
        ({"entrypoint": ("a",)}, {}, {"entrypoint": ("a",)}),
        ({"cmd": ()}, {"cmd": ("x",)}, {"cmd": ("x",)}),
        ({"workdir": "/a"}, {"workdir": "/b"}, {"workdir": "/b"}),
        ({"user": "nonroot"}, {"user": ""}, {"user": "nonroot"}),
        ({"compression": "none"}, {"compression": "zstd"}, {"compression": "zstd"}),
        ({"compression": "none"}, {}, {"compression": "none"}),
    ],
)
def test_the_command_line_wins(
    lower: dict[str, Any], upper: dict[str, Any], merged: dict[str, Any]
) -> None:
    assert Recipe(**upper).over(Recipe(**lower)) == Recipe(**merged)


def test_nothing_over_a_recipe_is_that_recipe(tmp_path: Path) -> None:
    recipe = read(tmp_path, WHOLE)
    assert Recipe().over(recipe) == recipe
    assert recipe.over(Recipe()) == recipe
    assert recipe.over(recipe) == recipe


# values


def test_both_platforms_are_the_default_and_none_is_there_twice() -> None:
    assert [str(p) for p in Recipe().chosen_platforms()] == ["linux/amd64", "linux/arm64"]
    twice = Recipe(platforms=("linux/arm64/v8", "linux/amd64", "linux/arm64"))
    assert [str(p) for p in twice.chosen_platforms()] == ["linux/arm64", "linux/amd64"]


def test_the_default_user_is_monty() -> None:
    assert Recipe().chosen_user() == User("monty", 1000, 1000)


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("monty:1000:1000", User("monty", 1000, 1000)),
        ("_a-b9:1:2147483647", User("_a-b9", 1, 2**31 - 1)),
        ("nonroot", User("nonroot")),
        ("nonroot:65532:65532", User("nonroot", 65532, 65532)),
    ],
)
def test_a_user_is_a_name_and_two_numbers(text: str, user: User) -> None:
    assert User.parse(text) == user


@pytest.mark.parametrize(
    "text",
    [
        "",
        "monty",
        "monty:1000",
        "monty:1000:",
        "monty:1000:1000:x",
        "monty:0:1000",
        "monty:1000:0",
        "monty:-1:1000",
        "monty:2147483648:1",
        "monty:1:" + "1" * 5000,
        "monty:\N{ARABIC-INDIC DIGIT ONE}:1",
        "monty:0x1:1",
        "Monty:1000:1000",
        "1monty:1:1",
        "a" * 33 + ":1:1",
        "mon\nty:1:1",
        "a/b:1:1",
        "..:1:1",
    ],
)
def test_what_is_no_user_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="is not a user") as caught:
        User.parse(text)
    assert "monty:1000:1000" in caught.value.hint


@pytest.mark.parametrize("field", ["env", "labels", "annotations"])
def test_what_no_document_can_hold_is_refused(field: str) -> None:
    wrong: dict[str, Any] = {field: {"a": "\udcff"}}
    with pytest.raises(RecipeError, match="is not UTF-8"):
        Recipe(**wrong).check()
    with pytest.raises(RecipeError, match="is not UTF-8"):
        Recipe(cmd=("\udcff",)).check()


def test_a_directory_may_be_named_by_any_bytes() -> None:
    assert Recipe(output="oci:caf\udce9").check()
