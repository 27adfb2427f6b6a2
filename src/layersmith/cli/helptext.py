"""Help texts: plain lines under coloured headings, examples as they are typed.

Typer's own needs rich, which takes longer to load than the rest of ``--help``, and folds
examples in the middle of a command.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Command", "Commands"]

_FENCE: Final = "```"
_WIDTH: Final = 100
_COLUMN: Final = 34  # options longer than this stand on a line of their own


class Command(TyperCommand):
    """A command whose help is written here."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, text, arguments and options by panel."""
        _head(self, ctx, formatter)
        _parameters(self, ctx, formatter)
        _foot(self, formatter)


class Commands(TyperGroup):
    """A group of commands whose help is written here."""

    command_class = Command

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help where no command is given."""
        return super().parse_args(ctx, args or ["--help"])

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, text, the commands and the options."""
        _head(self, ctx, formatter)
        commands = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        rows = [(c.name or "", c.get_short_help_str(_WIDTH)) for c in commands if c is not None]
        _table(formatter, "Commands", rows)
        _parameters(self, ctx, formatter)
        _foot(self, formatter)


def _head(command: Any, ctx: Any, formatter: Any) -> None:
    formatter.width = min(_WIDTH, max(formatter.width, 80))
    pieces = " ".join(command.collect_usage_pieces(ctx))
    formatter.write(f"{_title('Usage:')} {ctx.command_path} {pieces}\n")
    for is_example, text in _paragraphs(command.help or ""):
        formatter.write_paragraph()
        if is_example:
            formatter.write("".join(f"  {line}\n" for line in text.splitlines()))
        else:
            formatter.write_text(text)


def _foot(command: Any, formatter: Any) -> None:
    if command.epilog:
        formatter.write_paragraph()
        formatter.write_text(command.epilog)


def _paragraphs(text: str) -> Iterator[tuple[bool, str]]:
    """Cut a docstring (Markdown) into paragraphs and fenced examples."""
    for number, part in enumerate(text.split(_FENCE)):
        if number % 2:
            yield True, part.strip("\n")
        else:
            yield from ((False, one.strip()) for one in part.split("\n\n") if one.strip())


def _parameters(command: Any, ctx: Any, formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            plain = "Arguments" if parameter.param_type_name == "argument" else "Options"
            panel = getattr(parameter, "rich_help_panel", None) or plain
            panels.setdefault(panel, []).append(record)
    # What every command has comes last.
    for name in sorted(panels, key=lambda name: name == "Options" and len(panels) > 2):
        _table(formatter, name, panels[name])


def _table(formatter: Any, name: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        formatter.write_paragraph()
        formatter.write(f"{_title(f'{name}:')}\n")
        formatter.indent()
        formatter.write_dl(rows, col_max=_COLUMN)
        formatter.dedent()


def _title(text: str) -> str:
    is_plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    if is_plain or not sys.stdout.isatty():
        return text
    return typer.style(text, bold=True, fg=typer.colors.CYAN)
