"""What is typed as pairs, as commands, and as what must not be empty."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads the annotations

from layersmith.errors import InvalidInput, RecipeError, typed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["command", "counted", "not_empty", "pairs"]


def not_empty(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """Refuse an option that is given without a value, ``--verify-base "$UNSET"``.

    It would demand, or do, nothing at all, and nobody would notice. Raises
    :class:`InvalidInput`.
    """
    source = context.get_parameter_source(option.name or "")
    if source is not None and source.name == "COMMANDLINE" and not value:
        raise InvalidInput(
            f"{option.opts[0]} is empty", hint="is a variable not set? leave out what is not meant"
        )
    return value


def counted(number: int, noun: str, several: str = "") -> str:
    """Return a number of things: ``1 manifest``, ``2 manifests``."""
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """Read repeated ``K=V``; raises :class:`RecipeError`."""
    found = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise RecipeError(f"{option} {typed(text, 60)!r} is not NAME=VALUE")
        found[key] = value
    return found


def command(text: str | None, option: str) -> tuple[str, ...] | None:
    """Read words, quoted as in a shell, or a JSON list of strings."""
    if text is None:
        return None
    try:
        words = json.loads(text) if text.startswith("[") else shlex.split(text)
    except ValueError as error:
        raise RecipeError(f"{option} {typed(text, 60)!r}: {error}") from None
    if not all(isinstance(word, str) for word in words):
        raise RecipeError(f"{option} {typed(text, 60)!r} is no list of strings")
    return tuple(words)
