"""Targets: the grammar, the two images, and what was probably meant."""

from __future__ import annotations

import pytest

from layersmith.errors import InvalidTarget
from layersmith.recipe.target import Target


@pytest.mark.parametrize(
    ("text", "base", "builder"),
    [
        ("3.13-debian13", "cc-debian13:latest", "3.13-slim-trixie"),
        ("3.14-debian13", "cc-debian13:latest", "3.14-slim-trixie"),
        ("3.13.15-debian13", "cc-debian13:latest", "3.13.15-slim-trixie"),
        ("3.12-debian12", "cc-debian12:latest", "3.12-slim-bookworm"),
        ("3.13-debian13-debug", "cc-debian13:debug", "3.13-slim-trixie"),
        ("3.9.0-debian12-debug", "cc-debian12:debug", "3.9.0-slim-bookworm"),
        ("3.9-debian13", "cc-debian13:latest", "3.9-slim-trixie"),
    ],
)
def test_a_target_stands_for_two_images(text: str, base: str, builder: str) -> None:
    target = Target.parse(text)
    assert target.base == f"gcr.io/distroless/{base}"
    assert target.builder == f"docker.io/library/python:{builder}"
    assert str(target) == text


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("builder:3.13-debian13", "3.13-slim-trixie"),
        ("builder:3.12.4-debian12", "3.12.4-slim-bookworm"),
        ("builder:3.14-debian13-debug", "3.14-slim-trixie"),
    ],
)
def test_a_builder_stands_for_one_image(text: str, image: str) -> None:
    target = Target.parse(text)
    assert target.is_builder
    assert target.base == target.builder == f"docker.io/library/python:{image}"
    assert str(target) == text
    assert target.folder == text.replace(":", "-")
    assert str(Target.parse(text.removeprefix("builder:"))) == text.removeprefix("builder:")


def test_the_tags_of_a_builder_do_not_say_so() -> None:
    target = Target.parse("builder:3.13-debian13-debug")
    assert target.tags("3.13.5") == ("3.13-debian13-debug", "3.13.5-debian13-debug")
    assert Target.parse("builder:3.13.5-debian13").tags("3.13.5") == ("3.13.5-debian13",)


def test_a_target_has_parts() -> None:
    assert Target.parse("3.13.5-debian13-debug") == Target("3.13.5", 13, debug=True)
    assert Target.parse("3.13-debian13-debug").suffix == "debian13-debug"
    assert Target.parse("3.13-debian13").suffix == "debian13"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", "3.13-debian13"),
        ("latest", "3.13-debian13"),
        ("3.13", "3.13-debian13"),
        ("3.14", "3.14-debian13"),
        ("3.13.5", "3.13.5-debian13"),
        ("python3.14-debian13", "3.14-debian13"),
        ("3.13-debian", "3.13-debian13"),
        ("3.12-bookworm", "3.12-debian13"),
        ("3.13-trixie", "3.13-debian13"),
        ("3.13-Debian13", "3.13-debian13"),
        ("3.13-debian13-DEBUG", "3.13-debian13-debug"),
        ("3.13-debug", "3.13-debian13-debug"),
        ("3.13-debian13 ", "3.13-debian13"),
        ("3.13-debian13\n", "3.13-debian13"),
        ("3.13-debian11", "3.13-debian13"),
        ("3.13_debian12", "3.13-debian12"),
        ("3.8-debian12", "3.14-debian12"),
        ("2.7-debian12", "3.14-debian12"),
        ("3.99-debian14", "3.99-debian13"),
        ("3.013-debian13", "3.13-debian13"),
        ("3.13.05-debian13", "3.13-debian13"),
        ("3.\N{ARABIC-INDIC DIGIT NINE}-debian13", "3.14-debian13"),
        ("x" * 2000, "3.13-debian13"),
        ("builder", "builder:3.13-debian13"),
        ("builder:3.14", "builder:3.14-debian13"),
        ("builder:builder:3.14-debian12", "builder:3.14-debian12"),
        ("Builder:3.13-debian13", "builder:3.13-debian13"),
        ("builder:", "builder:3.13-debian13"),
        ("builders:3.13-debian13", "builder:3.13-debian13"),
    ],
)
def test_anything_else_is_refused_with_the_grammar_and_what_was_meant(
    text: str, meant: str
) -> None:
    with pytest.raises(InvalidTarget, match=r"<python>-<debian>\[-debug\]") as caught:
        Target.parse(text)
    assert caught.value.hint == f"did you mean {meant}?"
    assert str(Target.parse(meant)) == meant
    assert len(str(caught.value)) < 250
