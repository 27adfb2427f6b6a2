"""Locks: one text for one value, and nothing else is read."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from tests.build.locks import digest, lock

from layersmith.errors import RecipeError
from layersmith.recipe.lock import (
    parse_lock,
    read_lock,
    write_lock,
)
from layersmith.recipe.lockdiff import changes
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.toml import write_toml

if TYPE_CHECKING:
    from pathlib import Path


def test_a_lock_is_read_as_it_was_written() -> None:
    written = write_lock(lock())
    assert parse_lock(written, "x") == lock()
    assert write_lock(parse_lock(written, "x")) == written


def test_the_order_of_platforms_and_packages_is_not_told() -> None:
    platforms = dict(reversed(lock().platforms.items()))
    assert write_lock(lock(platforms=platforms)) == write_lock(lock())


def test_a_lock_says_how_it_is_moved_and_names_no_host_besides() -> None:
    recipe = Recipe(target="3.13-debian13", mirrors={"docker.io": "mirror.example"})
    text = write_lock(lock(recipe)).decode()
    assert text.startswith("# Made by layersmith 0.1.0")
    assert "layersmith lock --update" in text
    assert "mirror.example" not in text


def test_what_the_lock_wishes_for_is_the_recipe_with_its_inputs() -> None:
    wish = lock().wish
    assert (wish.target, wish.env) == ("3.13-debian13", {"TZ": "UTC"})
    assert wish.base == "gcr.io/distroless/cc-debian13:latest"
    assert wish.platforms == ("linux/amd64", "linux/arm64")


def edited(old: str, new: str) -> bytes:
    text = write_lock(lock()).decode()
    assert old in text
    return text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (edited("UTC", "CET"), "it was edited"),
        (edited("version = 1", "version = 2"), "version 2 of locks"),
        (edited("version = 1\n", ""), "version None of locks"),
        (edited("size = 508", "size = -1"), "size"),
        (edited("epoch = 3", "epoch = 99999999999999"), "epoch"),
        (edited("epoch = 3", "epoch = 3\nmore = 4"), "more"),
        (edited("sha256:", "sha257:"), "not a digest"),
        (edited("linux/arm64", "linux/arm64/v8"), "how a platform is written"),
        (edited('TZ = "UTC"', 'TZ = "UTC"\nTZ = "UTC"'), "overwrite"),
        (b"\xff", "utf-8"),
        (b"x" * (1 << 21), "no lock"),
        (b"a = [" * 9000, "."),
        (b"", "version None"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(RecipeError, match=why) as caught:
        parse_lock(raw, "some.lock")
    assert str(caught.value).startswith("some.lock: ")
    assert caught.value.hint


def test_a_recipe_without_a_target_has_no_lock() -> None:
    with pytest.raises(RecipeError, match="names a target"):
        parse_lock(write_lock(lock(Recipe())), "x")


def test_no_platform_is_no_lock() -> None:
    with pytest.raises(RecipeError, match="platform"):
        parse_lock(write_lock(lock(platforms={})), "x")


def test_a_lock_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read") as caught:
        read_lock(tmp_path / "layersmith.lock")
    assert "layersmith lock" in caught.value.hint


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
tables = st.recursive(
    st.dictionaries(texts, texts | st.integers(0, 2**53) | st.lists(texts, max_size=3), max_size=4),
    lambda inner: st.dictionaries(texts, inner | texts, max_size=4),
    max_leaves=6,
)


@given(tables)
def test_any_table_is_toml(table: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(table)) == table


@given(st.dictionaries(texts.filter(lambda t: t and "=" not in t), texts, max_size=3))
def test_any_recipe_survives_its_lock(env: dict[str, str]) -> None:
    made = lock(Recipe(target="3.13-debian13", env=env).check())
    assert parse_lock(write_lock(made), "x") == made


def test_changes_are_told_once_for_all_platforms() -> None:
    old = lock()
    moved = {
        name: structs.replace(
            platform,
            builder_packages={"libffi8": "3.5-1", "libb": "2"},
            libraries={"libffi.so.9": "/usr/lib/libffi.so.9"},
        )
        for name, platform in old.platforms.items()
    }
    moved["linux/arm64"] = structs.replace(moved["linux/arm64"], epoch=4)
    builder = structs.replace(old.builder, digest=digest("new"))
    new = lock(python="3.13.6", builder=builder, platforms=moved)
    both = "  (linux/amd64, linux/arm64)"
    assert list(map(str, changes(old, new))) == [
        "Python: 3.13.5 -> 3.13.6",
        (
            f"builder: docker.io/library/python:3.13 {digest('p')} -> "
            f"docker.io/library/python:3.13 {digest('new')}"
        ),
        f"builder package liba: gone, was 1{both}",
        f"builder package libffi8: 3.4.8-2 -> 3.5-1{both}",
        f"library libffi.so.8: gone, was /usr/lib/libffi.so.8.1.4{both}",
        f"builder package libb: new, 2{both}",
        f"library libffi.so.9: new, /usr/lib/libffi.so.9{both}",
        "epoch: 3 -> 4  (linux/arm64)",
    ]


def test_nothing_changed() -> None:
    assert changes(lock(), parse_lock(write_lock(lock()), "x")) == []
