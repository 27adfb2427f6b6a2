"""Errors: what a person reads, and what the program exits with."""

from __future__ import annotations

import pytest

from layersmith import errors
from layersmith.errors import (
    ClosureError,
    DigestMismatch,
    InvalidInput,
    LayerError,
    LayersmithError,
    MalformedTar,
    NotFound,
    RecipeError,
    SizeMismatch,
    intention,
    one_line,
    typed,
)


def test_intentions_build_up_from_the_inside() -> None:
    with (
        pytest.raises(NotFound, match=r"^pulling: reading the index: gone$") as caught,
        intention("pulling"),
        intention("reading the index"),
    ):
        raise NotFound("gone", hint="look elsewhere")
    assert caught.value.hint == "look elsewhere"


def test_an_intention_leaves_other_errors_alone() -> None:
    with pytest.raises(KeyError), intention("pulling"):
        raise KeyError("k")


def test_one_line_shows_no_control_characters() -> None:
    assert one_line("a\x1b[31m\r\nb\u202e") == "a\ufffd[31m\ufffd\ufffdb\ufffd"


def test_one_line_is_as_long_as_it_may_be() -> None:
    assert one_line("x" * 10, 10) == "x" * 10
    assert one_line("x" * 11, 10) == "x" * 9 + "…"


def test_a_size_says_at_least_only_where_there_is_more() -> None:
    assert "at least 6 bytes, expected 5" in str(SizeMismatch("w", expected=5, got=6))
    assert "w: 4 bytes, expected 5" in str(SizeMismatch("w", expected=5, got=4))


def test_a_digest_mismatch_names_both() -> None:
    error = DigestMismatch("the blob", expected="sha256:a", got="sha256:b")
    assert str(error) == "the blob: the digest is sha256:b, expected sha256:a"


def test_a_layer_error_names_its_path_and_a_recipe_error_its_place() -> None:
    assert str(MalformedTar("broken", path="a\n")) == "'a\\n': broken"
    assert str(MalformedTar("broken")) == "broken"
    assert str(RecipeError("no", place="f.toml:3")) == "f.toml:3: no"


def test_an_elf_error_names_its_path() -> None:
    assert str(errors.ElfError("damaged", path="usr/lib/x.so")) == "usr/lib/x.so: damaged"
    assert str(errors.ElfError("damaged")) == "damaged"


def test_a_closure_error_says_all_problems() -> None:
    assert str(ClosureError("missing", problems=("a", "b"))) == "missing; a; b"


def test_every_error_has_the_exit_code_that_the_drawing_says() -> None:
    codes: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        rest = line.partition("   ")[2]
        words = [w.strip(" │├─└,") for w in line.split("  ") if w.strip(" │├─└")]
        for word in words[:1]:
            for name in word.split(", "):
                kind = getattr(errors, name, None)
                digits = [w for w in rest.split() if w.isdigit()]
                if isinstance(kind, type) and digits:
                    codes[name] = int(digits[0])
    assert {name: getattr(errors, name).exit_code for name in codes} == codes
    assert len(codes) >= 10


@pytest.mark.parametrize("kind", [errors.InvalidDigest, errors.InvalidReference])
def test_what_a_user_typed_wrong_exits_with_2(kind: type[InvalidInput]) -> None:
    assert kind.exit_code == 2


def test_all_errors_are_of_one_family() -> None:
    kinds = [kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)]
    assert all(issubclass(kind, LayersmithError) for kind in kinds)
    assert issubclass(MalformedTar, LayerError)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("u:secret@host/a:1", "***@host/a:1"),
        ("docker.io=https://u:se/cr@et@host", "docker.io=https://***@host"),
        (f"u:{'x' * 90}@host", "***@host"),
        ("host:5000/a@sha256:12", "host:5000/a@sha256:12"),
        ("host/a:1@sha512:12", "host/a:1@sha512:12"),
        ("https://host/a", "https://host/a"),
    ],
)
def test_what_was_typed_is_shown_without_passwords(text: str, shown: str) -> None:
    assert typed(text, 60) == shown
