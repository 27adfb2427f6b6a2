"""[[test]] tables: typed, without unknown keys, and refused where they cannot be meant so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from layersmith.errors import RecipeError
from layersmith.oci.documents import Platform
from layersmith.recipe.recipe import read_recipe
from layersmith.recipe.shape import shape_digest
from layersmith.recipe.trials import Http, Trial, ids_of

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
[[test]]
name = "says hello"
command = ["python", "-c", "print('hello')"]
exit = 3
stdout = "hello\\n"
stdout-contains = "hell"
stdout-matches = "^h.*"
stderr-contains = "x"
env = {A = "1"}
stdin = "in"
user = "5:6"
network = true
writable = ["/home/me"]
timeout = 2.5
platforms = ["linux/amd64"]

[[test]]
http = {port = 8000, path = "/health", status = 204, contains = "ok"}

[[test]]
imports = ["shop.*"]
except = ["shop.windows"]
"""


def read(tmp_path: Path, text: str) -> tuple[Trial, ...]:
    path = tmp_path / "layersmith.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path).test


def test_a_recipe_says_what_is_to_be_tried(tmp_path: Path) -> None:
    assert read(tmp_path, WHOLE) == (
        Trial(
            name="says hello",
            command=("python", "-c", "print('hello')"),
            exit=3,
            stdout="hello\n",
            stdout_contains="hell",
            stdout_matches="^h.*",
            stderr_contains="x",
            env={"A": "1"},
            stdin="in",
            user="5:6",
            network=True,
            writable=("/home/me",),
            timeout=2.5,
            platforms=("linux/amd64",),
        ),
        Trial(http=Http(port=8000, path="/health", status=204, contains="ok")),
        Trial(imports=("shop.*",), except_=("shop.windows",)),
    )


def test_how_an_image_is_tested_does_not_change_its_bytes(tmp_path: Path) -> None:
    for name, text in (("a", 'target = "3.13-debian13"\n'), ("b", WHOLE)):
        (tmp_path / name).write_text(f'target = "3.13-debian13"\n{text}' if name == "b" else text)
    a, b = (read_recipe(tmp_path / name) for name in "ab")
    assert shape_digest(a) == shape_digest(b)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("comand = []", "unknown key 'comand'"),
        ("stdout_contains = 'x'", "unknown key 'stdout_contains'"),
        ("http = {port = 1, pth = '/'}", "unknown key 'pth'"),
        ("http = {}", "port"),
        ("http = {port = 0}", "0 is no port"),
        ("http = {port = 65536}", "is no port"),
        ("http = {port = 80, path = 'x'}", "is no path"),
        ("http = {port = 80, path = '/a b'}", "is no path"),
        ("http = {port = 80, path = '/\\r\\nX: y'}", "is no path"),
        ("http = {port = 80, status = 99}", "is no status"),
        ("http = {port = 80}\nstdin = 'x'", "beside http"),
        ("http = {port = 80}\nimports = ['*']", "two tests"),
        ("command = ['a']\nargs = ['b']", "one of the three"),
        ("command = ['a']\nimports = ['b']", "one of the three"),
        ("imports = ['a']\nstdout = ''", "two tests"),
        ("except = ['a']", "nothing is imported"),
        ("exit = 256", "no program ends"),
        ("exit = -1", "no program ends"),
        ("exit = '0'", "Expected `int"),
        ("user = 'me'", "is no user"),
        ("user = '1:2:3'", "is no user"),
        ("user = '9999999999'", "is no user"),
        ("timeout = -1", "timeout"),
        ("timeout = nan", "timeout"),
        ("timeout = inf", "timeout"),
        ("stdout-matches = '('", "stdout-matches"),
        ("platforms = ['arm64']", "is not a platform"),
        ("writable = ['tmp']", "is not absolute"),
        ("env = {'A=B' = 'x'}", "is no variable"),
        ('command = ["a\\u0000b"]', "NUL"),
    ],
)
def test_a_fault_is_named(keys: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, f"[[test]]\n{keys}\n")
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


def test_the_keys_of_the_table_are_named_where_one_is_unknown(tmp_path: Path) -> None:
    cases = {"[[test]]\nx = 1": "stdout-contains", "[[test]]\nhttp = {x = 1, port = 1}": "contains"}
    for text, known in cases.items():
        with pytest.raises(RecipeError) as caught:
            read(tmp_path, text)
        assert known in caught.value.hint
        assert "target" not in caught.value.hint


def test_a_test_at_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="test number 2: no program ends with 300"):
        read(tmp_path, "[[test]]\n[[test]]\nexit = 300\n")
    with pytest.raises(RecipeError, match="test b: no program"):
        read(tmp_path, '[[test]]\n[[test]]\nname = "b"\nexit = 300\n')
    with pytest.raises(RecipeError, match="two tests are called"):
        read(tmp_path, '[[test]]\nname = "b"\n[[test]]\nname = "b"\n')


def test_a_test_may_be_for_some_platforms() -> None:
    arm, amd = Platform.parse("linux/arm64"), Platform.parse("linux/amd64")
    assert Trial().is_for(arm)
    assert Trial(platforms=("linux/arm64/v8",)).is_for(arm)
    assert not Trial(platforms=("linux/arm64",)).is_for(amd)


def test_a_user_is_one_number_or_two() -> None:
    assert ids_of("5") == (5, 5)
    assert ids_of("0:7") == (0, 7)
