"""Options that are gathered: where they stand, what is made of them, whose meaning counts."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from layersmith.cli.gathering import Gathered, command_of

Shared = Annotated[str, "shared"]
Mine = Annotated[str, "mine"]


def _inner(*, deep: int = 1) -> int:
    return deep * 10


def _outer(*, left: str = "l", inner: Annotated[int, Gathered(_inner)], right: str = "r") -> str:
    return f"{left}{inner}{right}"


def _mine(both: Mine = "m") -> str:
    return both.upper()


def _ask(first: Shared = "f", both: Shared = "b", other: Shared = "o") -> tuple[str]:
    return (f"{first}{both}{other}",)


def test_gathered_options_stand_where_their_value_does_and_make_it() -> None:
    said: list[Any] = []

    def run(
        asked: str,
        *,
        before: str = "",
        made: Annotated[str, Gathered(_outer)],
        must: str,
        after: str = "",
    ) -> None:
        said.append((asked, before, made, must, after))

    command = command_of(run, _ask, 1)
    names = list(inspect.signature(command).parameters)
    assert names == [
        "must", "first", "both", "other", "before", "left", "deep", "right", "after",
    ]  # fmt: skip
    command(
        must="m", first="1", both="2", other="3", before="b", left="x", deep=4, right="y", after="a"
    )
    assert said == [("123", "b", "x40y", "m", "a")]


def test_an_option_that_is_named_with_the_same_meaning_reaches_both() -> None:
    said: list[Any] = []

    def run(asked: str, both: Shared = "b") -> None:
        said.append((asked, both))

    command = command_of(run, _ask, 1)
    assert list(inspect.signature(command).parameters) == ["first", "both", "other"]
    command(first="1", both="2", other="3")
    assert said == [("123", "2")]


def test_another_meaning_takes_the_place_of_the_shared_one_also_if_it_is_gathered() -> None:
    said: list[Any] = []

    def run(asked: str, *, made: Annotated[str, Gathered(_mine)]) -> None:
        said.append((asked, made))

    command = command_of(run, _ask, 1)
    signature = inspect.signature(command)
    assert list(signature.parameters) == ["first", "other", "both"]
    assert signature.parameters["both"].annotation == Mine
    command(first="1", other="3", both="x")
    assert said == [("1b3", "X")]
