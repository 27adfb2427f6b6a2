"""The program's commands: each is loaded when it is asked for, for a run needs one of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.main import get_command

from layersmith.cli.helptext import Command, Commands

__all__ = ["Program"]


class _Where(NamedTuple):
    """A module of this room, and a function or a group of commands in it."""

    module: str
    name: str
    kind: str = ""  # the class of a command that reads its words in a way of its own


_COMMANDS: Final = {
    "assemble": _Where("assemble", "assemble"),
    "plan": _Where("plan", "plan"),
    "lock": _Where("lock", "lock", "LockCommand"),
    "rebuild": _Where("rebuild", "rebuild"),
    "test": _Where("testing", "try_out"),
    "sbom": _Where("sbom", "sbom"),
    "scan": _Where("scan", "scan"),
    "rebase": _Where("rebase", "rebase"),
    "copy": _Where("copy", "copy"),
    "inspect": _Where("inspect", "inspect"),
    "tags": _Where("tags", "tags"),
    "digest": _Where("digest", "digest"),
    "sign": _Where("sign", "sign"),
    "attest": _Where("sign", "attest"),
    "verify": _Where("verify", "verify"),
    "tree": _Where("around", "tree"),
    "login": _Where("login", "login"),
    "logout": _Where("logout", "logout"),
    "app": _Where("application", "application"),
    "bundle": _Where("bundle", "bundle"),
    "cache": _Where("cache", "cache"),
    "key": _Where("key", "key"),
}


class Program(Commands):
    """The group of all commands."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the library's signature
        """Return their names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, None if there is none of this name."""
        # For a name that is none, the library looks for one like it among those that it knows.
        for name in (cmd_name,) if cmd_name in _COMMANDS else _COMMANDS:
            if name not in self.commands:
                self.commands[name] = _loaded(name, _COMMANDS[name])
        return super().get_command(ctx, cmd_name)


def _loaded(name: str, where: _Where) -> Any:
    module = import_module(f"layersmith.cli.{where.module}")
    found = getattr(module, where.name)
    if isinstance(found, typer.Typer):
        return get_command(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=getattr(module, where.kind) if where.kind else Command)(found)
    return get_command(alone)
