"""The program's entry: errors as one line and an exit code."""

from __future__ import annotations

import gc
import os
import resource
import sys
from contextlib import suppress
from typing import Annotated

import typer

from layersmith import __version__
from layersmith.cli.commands import Program
from layersmith.errors import LayersmithError, typed

__all__ = ["app", "main"]

_USAGE = 2
_OUTPUT = 9
_INTERNAL = 70
_INTERRUPTED = 130
_NO_THREAD = "can't start new thread"  # a RuntimeError: a thread's stack is memory too
_SWITCH = 0.001  # seconds
_NEW_OBJECTS = 50_000
_FILES = 4096  # every layer of every image is open: four images of 500 are allowed

# Typer's own name for "the command line makes no sense"; BadParameter is one of them.
_USAGE_ERROR = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="layersmith",
    help="Assemble distroless Python images from registries: no daemon, no root, no emulator.",
    epilog="Try: layersmith assemble 3.13-debian13 --push registry.example/team/python",
    rich_markup_mode=None,
    cls=Program,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    # A thread that comes back from inflating or hashing waits so long for one that reads headers.
    sys.setswitchinterval(_SWITCH)
    # What there is much of (entries, their metadata) cannot be part of a cycle.
    gc.set_threshold(_NEW_OBJECTS)
    _allow_files()
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except LayersmithError as error:
        _complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except _USAGE_ERROR as error:  # type: ignore[misc]  # a class, but found at run time
        _complain(error.format_message(), "try --help")
        sys.exit(_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted", "")
        sys.exit(_INTERRUPTED)
    except OSError as error:
        _complain(f"the system says: {error}", "is a disk full, or a pipe closed?")
        _forget_output()
        sys.exit(_OUTPUT)
    except Exception as error:
        if isinstance(error, MemoryError) or _NO_THREAD in str(error):
            _complain("the system has no memory left for this", "is it limited (ulimit -v, -u)?")
            sys.exit(_OUTPUT)
        if os.environ.get("LAYERSMITH_DEBUG"):
            raise
        _complain(
            f"a bug in layersmith: {type(error).__name__}: {error}",
            "run again with LAYERSMITH_DEBUG=1 for the traceback, and please report it",
        )
        sys.exit(_INTERNAL)


def _allow_files() -> None:
    """Raise the soft limit of open files, which is low where programs may still use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _forget_output() -> None:
    """Let the interpreter not try again, at its end, to write what could not be written."""
    with suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, hint: str) -> None:
    typer.echo(f"layersmith: error: {typed(message, 4000)}", err=True)
    if hint:
        typer.echo(f"  hint: {typed(hint, 1000)}", err=True)
