"""The program's entry: commands, and errors as one line and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from layersmith import __version__
from layersmith.cli import application as application_commands
from layersmith.cli import around as around_command
from layersmith.cli import assemble as assemble_command
from layersmith.cli import bundle as bundle_commands
from layersmith.cli import cache as cache_commands
from layersmith.cli import copy as copy_command
from layersmith.cli import digest as digest_command
from layersmith.cli import inspect as inspect_command
from layersmith.cli import key as key_commands
from layersmith.cli import lock as lock_command
from layersmith.cli import login as login_command
from layersmith.cli import logout as logout_command
from layersmith.cli import plan as plan_command
from layersmith.cli import rebase as rebase_command
from layersmith.cli import rebuild as rebuild_command
from layersmith.cli import sbom as sbom_command
from layersmith.cli import scan as scan_command
from layersmith.cli import sign as sign_commands
from layersmith.cli import tags as tags_command
from layersmith.cli import testing as test_command
from layersmith.cli import verify as verify_command
from layersmith.cli.helptext import Command, Commands
from layersmith.errors import LayersmithError, typed

__all__ = ["app", "main"]

_USAGE = 2
_OUTPUT = 9
_INTERNAL = 70
_INTERRUPTED = 130
_SWITCH = 0.001  # seconds
_NEW_OBJECTS = 50_000

# Typer's own name for "the command line makes no sense"; BadParameter is one of them.
_USAGE_ERROR = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="layersmith",
    help="Assemble distroless Python images from registries: no daemon, no root, no emulator.",
    epilog="Try: layersmith assemble 3.13-debian13 --push registry.example/team/python",
    rich_markup_mode=None,
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("assemble", cls=Command)(assemble_command.assemble)
app.command("plan", cls=Command)(plan_command.plan)
app.command("lock", cls=lock_command.LockCommand)(lock_command.lock)
app.command("rebuild", cls=Command)(rebuild_command.rebuild)
app.command("test", cls=Command)(test_command.try_out)
app.command("sbom", cls=Command)(sbom_command.sbom)
app.command("scan", cls=Command)(scan_command.scan)
app.add_typer(application_commands.application)
app.command("rebase", cls=Command)(rebase_command.rebase)
app.command("copy", cls=Command)(copy_command.copy)
app.command("inspect", cls=Command)(inspect_command.inspect)
app.command("tags", cls=Command)(tags_command.tags)
app.command("digest", cls=Command)(digest_command.digest)
app.command("sign", cls=Command)(sign_commands.sign)
app.command("attest", cls=Command)(sign_commands.attest)
app.command("verify", cls=Command)(verify_command.verify)
app.command("tree", cls=Command)(around_command.tree)
app.command("login", cls=Command)(login_command.login)
app.command("logout", cls=Command)(logout_command.logout)
app.add_typer(bundle_commands.bundle)
app.add_typer(cache_commands.cache)
app.add_typer(key_commands.key)


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
        if os.environ.get("LAYERSMITH_DEBUG"):
            raise
        _complain(
            f"a bug in layersmith: {type(error).__name__}: {error}",
            "run again with LAYERSMITH_DEBUG=1 for the traceback, and please report it",
        )
        sys.exit(_INTERNAL)


def _forget_output() -> None:
    """Let the interpreter not try again, at its end, to write what could not be written."""
    with suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, hint: str) -> None:
    typer.echo(f"layersmith: error: {typed(message, 4000)}", err=True)
    if hint:
        typer.echo(f"  hint: {typed(hint, 1000)}", err=True)
