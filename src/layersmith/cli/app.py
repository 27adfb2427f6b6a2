"""The program's entry: commands, and errors as one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from layersmith import __version__
from layersmith.cli import assemble as assemble_command
from layersmith.cli import plan as plan_command
from layersmith.errors import LayersmithError, one_line

__all__ = ["app", "main"]

_INTERNAL = 70
_INTERRUPTED = 130

app = typer.Typer(
    name="layersmith",
    help="Assemble distroless Python images from registries: no daemon, no root, no emulator.",
    epilog="Try: layersmith assemble 3.13-debian13 --push registry.example/team/python",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("assemble")(assemble_command.assemble)
app.command("plan")(plan_command.plan)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"layersmith {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Assemble distroless Python images from registries: no daemon, no root, no emulator."""


def main() -> None:
    """Run the program; every failure becomes one line on stderr and its exit code."""
    try:
        app()
    except LayersmithError as error:
        _complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("interrupted", "")
        sys.exit(_INTERRUPTED)
    except Exception as error:
        if os.environ.get("LAYERSMITH_DEBUG"):
            raise
        _complain(
            f"a bug in layersmith: {type(error).__name__}: {error}",
            "run again with LAYERSMITH_DEBUG=1 for the traceback, and please report it",
        )
        sys.exit(_INTERNAL)


def _complain(message: str, hint: str) -> None:
    typer.echo(f"layersmith: error: {one_line(message, 4000)}", err=True)
    if hint:
        typer.echo(f"  hint: {one_line(hint, 1000)}", err=True)
