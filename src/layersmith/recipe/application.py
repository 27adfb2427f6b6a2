"""The ``[app]`` table of a recipe: what is put on top of a Python image.

Paths are relative to the recipe's directory. What is not the application's own (platforms,
compression, where the result goes) stands in the recipe itself.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

import msgspec

from layersmith.errors import RecipeError, one_line, typed

__all__ = ["App", "owner_of", "start_of"]

_OWNER: Final = re.compile(r"([0-9]{1,10}):([0-9]{1,10})", re.ASCII)
_MODE: Final = re.compile(r"0?[4-7][0-7]{2}", re.ASCII)
# image-spec config.md, "ExposedPorts" and "StopSignal".
_PORT: Final = re.compile(r"([1-9][0-9]{0,4})(?:/(tcp|udp))?", re.ASCII)
_SIGNAL: Final = re.compile(r"SIG[A-Z0-9+-]{2,16}|[1-9][0-9]?", re.ASCII)
_MAX_ID: Final = 2**31 - 1


class App(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """An application. All keys are optional."""

    lock: str = ""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    wheel_dirs: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    debian_packages: tuple[str, ...] = ()
    debian_archives: tuple[str, ...] = ()
    debian_keyring: str = ""
    source: str = ""
    wheel: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    owner: str = ""
    mode: str = ""
    entrypoint: str | None = None
    cmd: tuple[str, ...] | None = None
    workdir: str | None = None
    env: dict[str, str] = {}
    ports: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    stop_signal: str = ""
    bytecode: bool = False

    def over(self, lower: App) -> App:
        """Return `lower` with what this says laid over it."""
        merged: dict[str, Any] = {}
        for field in self.__struct_fields__:
            mine, below = getattr(self, field), getattr(lower, field)
            if isinstance(below, dict):
                merged[field] = {**below, **mine}
            elif field in ("entrypoint", "cmd", "workdir"):
                merged[field] = mine if mine is not None else below
            elif isinstance(below, tuple):
                merged[field] = (*below, *(item for item in mine if item not in below))
            else:
                merged[field] = mine or below
        return App(**merged)

    def check(self) -> App:
        """Return this if its values are sound; raises :class:`RecipeError`."""
        owner_of(self.owner)
        start_of(self.entrypoint)
        if self.mode and _MODE.fullmatch(self.mode) is None:
            raise RecipeError(
                f"{one_line(self.mode, 20)!r} is no mode of files", hint="write it like 0644"
            )
        for port in self.ports:
            match = _PORT.fullmatch(port)
            if match is None or int(match[1]) > 65535:
                raise RecipeError(f"{one_line(port, 20)!r} is no port", hint="write 8000 or 53/udp")
        if self.stop_signal and _SIGNAL.fullmatch(self.stop_signal) is None:
            raise RecipeError(f"{one_line(self.stop_signal, 20)!r} is no signal, like SIGINT")
        if self.source and self.wheel:
            raise RecipeError("source beside wheel", hint="an application is one of the two")
        if (self.debian_archives or self.debian_keyring) and not self.debian_packages:
            raise RecipeError("an archive or a keyring of Debian's, and no package to take")
        if (self.include or self.exclude or self.mode) and not self.source:
            raise RecipeError("include, exclude and mode are for a source, and there is none")
        for text in (
            self.lock, self.source, self.wheel, self.debian_keyring, *self.wheel_dirs,
            *self.debian_archives,
        ):  # fmt: skip
            if "\0" in text:
                raise RecipeError("a path with a NUL in it")
        if self.workdir is not None and not self.workdir.startswith("/"):
            raise RecipeError(f"the workdir {one_line(self.workdir, 60)!r} is not absolute")
        return self

    @property
    def file_mode(self) -> int:
        """The mode of files that nobody executes."""
        return int(self.mode or "644", 8) & 0o666

    def exposed(self) -> tuple[str, ...]:
        """Return the ports as configs name them: ``8000/tcp``."""
        return tuple(port if "/" in port else f"{port}/tcp" for port in self.ports)


def owner_of(text: str) -> tuple[int, int]:
    """Read ``UID:GID``; root's by default, so that no application changes itself.

    Raises :class:`RecipeError`.
    """
    if not text:
        return (0, 0)
    match = _OWNER.fullmatch(text)
    if match is None or max(int(match[1]), int(match[2])) > _MAX_ID:
        raise RecipeError(
            f"{typed(text, 60)!r} is no owner", hint="write UID:GID in numbers, like 1000:1000"
        )
    return int(match[1]), int(match[2])


def start_of(text: str | None) -> tuple[str, ...]:
    """Return the words of an entry point: ``module:function``, ``-m module`` or a script.

    Raises :class:`RecipeError`.
    """
    try:
        words = tuple(shlex.split(text or ""))
    except ValueError as error:
        raise RecipeError(f"entrypoint {typed(text or '', 60)!r}: {error}") from None
    if words and words[0].startswith("-") and (words[0] != "-m" or len(words) < 2):
        raise RecipeError(
            f"entrypoint {typed(text or '', 60)!r} is no start",
            hint="write module:function, -m module, or the name of a script",
        )
    return words
