"""The ``[[test]]`` tables of a recipe: what an image has to do once it is made.

A test runs a command in the image and looks at how it ends, or starts a server and asks
it, or imports modules. What it is run in is no business of the recipe's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.errors import LayersmithError, RecipeError, one_line, typed
from layersmith.oci.documents import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Http", "Trial", "check_trials", "ids_of"]

_IDS: Final = re.compile(r"([0-9]{1,10})(?::([0-9]{1,10}))?", re.ASCII)
_PATH: Final = re.compile(r"/[!-~]*", re.ASCII)
_MAX_ID: Final = 2**31 - 1
_LONGEST: Final = 24 * 3600.0
_LARGEST: Final = 1 << 20


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What is asked of a server, on loopback, and what it has to answer."""

    port: int
    path: str = "/"
    status: int = 200
    contains: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One test; without a command it runs what the image starts. All keys are optional.

    A server's `exit` is how it ends once it is told to, by the image's stop signal.
    """

    name: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    http: Http | None = None
    imports: tuple[str, ...] = ()
    except_: tuple[str, ...] = msgspec.field(default=(), name="except")
    exit: int | None = None
    stdout: str | None = None
    stdout_contains: str = ""
    stdout_matches: str = ""
    stderr_contains: str = ""
    env: dict[str, str] = {}
    stdin: str = ""
    user: str = ""
    network: bool = False
    writable: tuple[str, ...] = ()
    timeout: float = 0.0
    platforms: tuple[str, ...] = ()

    def check(self) -> Trial:
        """Return this if its values are sound; raises :class:`RecipeError`."""
        if sum(map(bool, (self.command, self.args, self.imports))) > 1:
            raise RecipeError("command, args and imports: a test is one of the three")
        if self.except_ and not self.imports:
            raise RecipeError("except, but nothing is imported", hint='imports = ["*"]')
        if self.imports and (self.http or self._looks_at_the_end()):
            raise RecipeError("imports beside http, exit, stdin or output: write two tests")
        if self.http is not None:
            self._check_http(self.http)
        if self.user:
            ids_of(self.user)
        if not 0 <= self.timeout <= _LONGEST:
            raise RecipeError(f"a timeout of {self.timeout:g} seconds")
        if self.exit is not None and not 0 <= self.exit <= 255:
            raise RecipeError(f"no program ends with {self.exit}", hint="0 to 255")
        try:
            re.compile(self.stdout_matches)
        except (re.error, RecursionError, OverflowError) as error:
            raise RecipeError(f"stdout-matches: {one_line(str(error), 200)}") from None
        self._check_texts()
        for platform in self.platforms:
            try:
                Platform.parse(platform)
            except LayersmithError as error:
                raise RecipeError(error.message, hint=error.hint) from None
        for folder in self.writable:
            if not folder.startswith("/"):
                raise RecipeError(f"writable: {typed(folder, 60)!r} is not absolute")
        return self

    def is_for(self, platform: Platform) -> bool:
        """Tell whether it is to be run on `platform`."""
        named = {Platform.parse(text).key for text in self.platforms}
        return not named or platform.key in named

    def _looks_at_the_end(self) -> bool:
        outputs = self.stdout_contains, self.stdout_matches, self.stderr_contains, self.stdin
        return self.exit is not None or self.stdout is not None or any(outputs)

    def _check_http(self, http: Http) -> None:
        if self.stdin:
            raise RecipeError("stdin beside http: nobody types to a server")
        if not 0 < http.port < 1 << 16:
            raise RecipeError(f"{http.port} is no port")
        if _PATH.fullmatch(http.path) is None:
            raise RecipeError(f"{typed(http.path, 60)!r} is no path of a URL, like /health")
        if not 100 <= http.status <= 599:
            raise RecipeError(f"{http.status} is no status of an answer")

    def _check_texts(self) -> None:
        for name, value in self.env.items():
            if not name or "=" in name or "\0" in name + value:
                raise RecipeError(f"{one_line(name, 60)!r} is no variable, or has a NUL")
        for word in (*self.command, *self.args, *self.writable):
            if "\0" in word:
                raise RecipeError("a word with a NUL in it")
        try:
            size = len(msgspec.json.encode(self))
        except UnicodeEncodeError:
            raise RecipeError("a value is not UTF-8 text") from None
        if size > _LARGEST:
            raise RecipeError(f"larger than {_LARGEST >> 20} MiB: no test")


def ids_of(text: str) -> tuple[int, int]:
    """Read ``UID`` or ``UID:GID``, the same number by default; raises :class:`RecipeError`."""
    match = _IDS.fullmatch(text)
    ids = (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)
    if not 0 <= min(ids) <= max(ids) <= _MAX_ID:
        raise RecipeError(f"{typed(text, 60)!r} is no user", hint="write UID or UID:GID in numbers")
    return ids


def check_trials(trials: Sequence[Trial]) -> None:
    """Raise :class:`RecipeError` for a test that is not sound, or two of one name."""
    seen = set()
    for number, trial in enumerate(trials, 1):
        name = trial.name or f"number {number}"
        try:
            trial.check()
        except RecipeError as error:
            message = f"test {typed(name, 60)}: {error.message}"
            raise RecipeError(message, hint=error.hint) from None
        if trial.name and trial.name in seen:
            raise RecipeError(f"two tests are called {typed(name, 60)!r}")
        seen.add(trial.name)
