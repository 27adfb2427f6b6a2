"""How an application starts: from its entry point to the words of a config."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from layersmith.apps.site import APP, VENV
from layersmith.errors import RecipeError, one_line
from layersmith.recipe.application import start_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["LAUNCHER", "Start", "find_start"]

_PYTHON: Final = f"/{VENV}/bin/python"
# The environment's own names of it.
_PYTHONS: Final = re.compile(r"python(?:3(?:\.[0-9]+)?)?", re.ASCII)
_OF_SHELLS: Final = (".sh", ".bash")
# Where the script is that calls a function.
LAUNCHER: Final = f"{VENV}/bin/layersmith-start"


class Start(NamedTuple):
    """The words to execute; `calls` is module and function where a script must be written."""

    words: tuple[str, ...]
    calls: tuple[str, str] | None = None


class _Modules(Protocol):
    def has(self, name: str, /) -> bool: ...
    def runs(self, name: str, /) -> bool: ...
    def is_hidden(self, name: str, /) -> bool: ...
    def nearest(self, name: str, /) -> str: ...


def find_start(
    text: str | None,
    scripts: Mapping[str, bool],
    files: Collection[str],
    modules: _Modules | None = None,
) -> Start:
    """Return what starts the application; without an entry point that is Python.

    `scripts` are the names in the environment's bin and whether Python runs them, `files` the
    paths of the source. What Python runs is started as its argument: so it needs nobody who
    reads the script's first line (an emulator of one program does not). Where `modules` knows what
    can be imported, it is asked.
    Raises :class:`RecipeError` for what is not there.
    """
    words = start_of(text)
    if not words:
        return Start((_PYTHON,))
    if words[0] == "-m":
        _check_run(words[1], modules)
        return Start((_PYTHON, *words))
    first, rest = words[0], words[1:]
    if calls := _function(first):
        _check_module(calls[0], modules)
        if modules is not None and modules.is_hidden(calls[0]):
            raise RecipeError(
                f"entrypoint: {one_line(first, 60)} would be Python's own module, not the source's",
                hint="call the source's otherwise, or start it with -m or by its path",
            )
        return Start((_PYTHON, f"/{LAUNCHER}", *rest), calls)
    if first in scripts:
        if _PYTHONS.fullmatch(first) and rest[:1] == ("-m",):
            _check_run("".join(rest[1:2]), modules)
        python = (_PYTHON,) if scripts[first] else ()
        return Start((*python, f"/{VENV}/bin/{first}", *rest))
    path = first.removeprefix(f"/{APP}/").removeprefix("./")
    if path in files:
        if path.endswith(_OF_SHELLS):
            raise RecipeError(
                f"entrypoint {one_line(first, 60)!r} is for a shell, and Python would run it",
                hint="write module:function, -m module or a file for Python; "
                "variables stand in [app.env]",
            )
        return Start((_PYTHON, f"/{APP}/{path}", *rest))
    there = ", ".join(sorted(scripts)[:12]) or "none"
    raise RecipeError(
        f"entrypoint {one_line(first, 60)!r}: no such script",
        hint=f"write module:function, -m module, a path of the source or a script: {there}",
    )


def _function(text: str) -> tuple[str, str] | None:
    """Return module and function of ``module:function``; both may be dotted."""
    module, _, attribute = text.partition(":")
    parts = (*module.split("."), *attribute.split("."))
    return (module, attribute) if all(map(str.isidentifier, parts)) else None


def _check_run(name: str, modules: _Modules | None) -> None:
    _check_module(name, modules)
    if modules is not None and not modules.runs(name):
        raise RecipeError(
            f"entrypoint: -m {one_line(name, 60)} is a package without a __main__.py",
            hint="name a module of it, write module:function, or add the file",
        )


def _check_module(name: str, modules: _Modules | None) -> None:
    if modules is None or modules.has(name):
        return
    nearest = modules.nearest(name)
    raise RecipeError(
        f"entrypoint: no module {one_line(name, 60)} in the source, the dependencies or Python",
        hint=f"it is in {one_line(nearest)}/ of the source: should that be the source?"
        if nearest
        else "the source's own directory is what is imported from; include, exclude and "
        ".dockerignore decide what is in it",
    )
