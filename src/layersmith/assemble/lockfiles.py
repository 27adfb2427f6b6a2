"""Locks of applications: which program wrote one, and how it is read.

``pylock.toml`` and ``requirements.txt`` are read as they are. The locks of uv, poetry and
pipenv have formats of their own, which change: these programs export them, where they are
installed. Each is told to take the lock as it stands, and to leave the project itself out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from packaging.pylock import is_valid_pylock_path

from layersmith.apps.pylock import PylockFile
from layersmith.apps.requirements import parse_requirements
from layersmith.errors import RecipeError, one_line, typed
from layersmith.oci.digest import Digest
from layersmith.userfiles import read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.pins import Locked, Pin
    from layersmith.recipe.application import App

__all__ = ["LockFiles", "Read", "read_locked"]

_MOST: Final = 32 << 20
_LONGEST: Final = 120  # seconds: an export reads one file


@dataclass(frozen=True, slots=True)
class _Exporter:
    """A program, its words, and how it names extras and groups."""

    program: str
    words: tuple[str, ...]
    extra: str
    group: str
    hint: str
    pylock: bool = False
    default: str = ""

    def command(self, path: Path, extras: Sequence[str], groups: Sequence[str]) -> list[str]:
        """Return what to run."""
        words = [self.program, *self.words]
        for option, names in ((self.extra, extras), (self.group, groups)):
            if names and not option:
                raise RecipeError(f"{self.program} exports no extras", place=str(path))
            words += [word for name in names for word in (option, name)]
        if self.default and groups:  # all of them in one word, and what is there without any
            words = [*words[: -2 * len(groups)], self.group, " ".join((self.default, *groups))]
        return words


_EXPORTERS: Final = {
    "uv.lock": _Exporter(
        "uv",
        ("export", "--quiet", "--frozen", "--no-dev", "--no-emit-workspace",
         "--no-header", "--format", "pylock.toml"),
        "--extra", "--group", "install uv, or export the lock yourself: "
        "uv export --format pylock.toml --no-emit-project -o pylock.toml",
        pylock=True,
    ),
    "poetry.lock": _Exporter(
        "poetry",
        ("export", "--no-interaction", "--no-ansi", "--format", "requirements.txt"),
        "--extras", "--with", "install poetry and poetry-plugin-export, or export the lock "
        "yourself: poetry export -o requirements.txt",
    ),
    "Pipfile.lock": _Exporter(
        "pipenv", ("requirements", "--hash"), "", "--categories",
        "install pipenv, or export the lock yourself: pipenv requirements --hash",
        default="packages",
    ),
}  # fmt: skip


# The names of files, and what was in them.
LockFiles: TypeAlias = tuple[tuple[str, Digest], ...]


class Read(NamedTuple):
    """A lock, where the paths in it start, and the files that it was read from."""

    locked: Locked
    folder: Path
    files: LockFiles


def read_locked(app: App, folder: Path) -> Read:
    """Return the lock of an application.

    Raises :class:`RecipeError` for a lock that cannot be read or exported.
    """
    path = folder / app.lock
    raw, where = _read(path), one_line(str(path))
    files = [(path.name, Digest.of(raw))]
    if exporter := _EXPORTERS.get(path.name):
        text = _exported(exporter, path, app)
        if exporter.pylock:
            locked: Locked = PylockFile(text.encode(), where)
        else:
            locked = _requirements(text, where, path.parent, files)
        return Read(_Chosen(locked), path.parent, tuple(files))
    if is_valid_pylock_path(path):
        return Read(PylockFile(raw, where), path.parent, tuple(files))
    if path.suffix == ".toml":
        raise RecipeError(
            f"{where} is no lock by its name", hint="it is pylock.toml, or pylock.NAME.toml"
        )
    locked = _requirements(_text(raw, where), where, path.parent, files)
    return Read(locked, path.parent, tuple(files))


class _Chosen:
    """An exported lock: extras and groups were chosen already."""

    def __init__(self, locked: Locked) -> None:
        self._locked = locked
        self.indexes = locked.indexes

    def pins(
        self, interpreter: Interpreter, extras: Sequence[str], groups: Sequence[str]
    ) -> tuple[Pin, ...]:
        """Return what was exported."""
        del extras, groups
        return self._locked.pins(interpreter, (), ())


def _requirements(text: str, where: str, folder: Path, files: list[tuple[str, Digest]]) -> Locked:
    """Read requirements; what they include is added to `files`."""

    def read(named: str, _by: str) -> tuple[str, str]:
        if "://" in named:
            raise RecipeError(f"{typed(named, 100)!r} is elsewhere", place=where)
        path = folder / named
        raw = _read(path)
        files.append((path.name, Digest.of(raw)))
        return one_line(str(path)), _text(raw, one_line(str(path)))

    return parse_requirements(text, where, os.environ, read)


def _read(path: Path) -> bytes:
    try:
        raw = read_file(path, _MOST)
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror}", place=one_line(str(path))) from None
    if len(raw) > _MOST:
        raise RecipeError(f"larger than {_MOST >> 20} MiB: no lock", place=one_line(str(path)))
    return raw


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecipeError("not UTF-8 text", place=where) from None


def _exported(exporter: _Exporter, path: Path, app: App) -> str:
    command = exporter.command(path, app.extras, app.groups)
    program = shutil.which(exporter.program)
    if program is None:
        raise RecipeError(
            f"{path.name} is read by {exporter.program}, which is not installed",
            hint=exporter.hint,
        )
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program, no shell
            [program, *command[1:]],
            cwd=path.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_LONGEST,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise RecipeError(f"{exporter.program} cannot be run: {type(error).__name__}") from None
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split()) or "it says nothing"
        raise RecipeError(
            f"{exporter.program} does not export {path.name}: {typed(said, 300)}",
            hint=exporter.hint,
        )
    return _text(done.stdout, path.name)
