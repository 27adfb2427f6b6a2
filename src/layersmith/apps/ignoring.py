"""Which files of a directory belong to an application: globs, and ``.dockerignore``.

The format of the latter is Docker's ("Dockerfile reference", ".dockerignore files"): patterns
of Go's filepath.Match, ``**`` for any number of directories, ``!`` for exceptions; the last
pattern that matches decides.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from layersmith.errors import RecipeError, one_line
from layersmith.rootfs.tree import glob_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Filter", "make_filter"]

# Nobody's source, and a virtual environment of another machine.
_NEVER: Final = (".git", ".venv", "__pycache__", "*.pyc", ".dockerignore")


@dataclass(frozen=True, slots=True)
class Filter:
    """Decides path by path; what is never taken is not even looked into."""

    include: tuple[re.Pattern[str], ...]
    exclude: tuple[re.Pattern[str], ...]
    ignored: tuple[tuple[bool, re.Pattern[str]], ...] = field(default=())

    def takes(self, path: str) -> bool:
        """Tell whether the file at `path` belongs to the application."""
        if self.include and not any(p.fullmatch(path) for p in self.include):
            return False
        return not (self._excluded(path) or self._is_ignored(path))

    def enters(self, folder: str) -> bool:
        """Tell whether a file below `folder` may belong to it."""
        excepted = any(not ignores for ignores, _ in self.ignored)
        return not (self._excluded(folder) or (not excepted and self._is_ignored(folder)))

    def _excluded(self, path: str) -> bool:
        return any(pattern.fullmatch(path) for pattern in self.exclude)

    def _is_ignored(self, path: str) -> bool:
        ignored = False
        for ignores, pattern in self.ignored:
            if ignores != ignored and pattern.fullmatch(path):
                ignored = ignores
        return ignored


def make_filter(include: Sequence[str], exclude: Sequence[str], dockerignore: str) -> Filter:
    """Return the filter; raises :class:`RecipeError` for a pattern that means nothing."""
    return Filter(
        tuple(map(glob_pattern, include)),
        tuple(map(glob_pattern, (*_NEVER, *exclude))),
        tuple(_ignored(dockerignore)),
    )


def _ignored(text: str) -> Iterator[tuple[bool, re.Pattern[str]]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        said = line.strip()
        if not said or line.startswith("#"):
            continue
        ignores = not said.startswith("!")
        bare = said.removeprefix("!").strip()
        no_pattern = RecipeError(
            f"{one_line(said, 60)!r} is no pattern", place=f".dockerignore:{number}"
        )
        if not bare:
            raise no_pattern
        try:
            # What matches a directory matches all below it.
            path = posixpath.normpath(bare).strip("/")
            yield ignores, re.compile(f"{_regex(path)}(?:/.*)?", re.DOTALL)
        except re.error:
            raise no_pattern from None


def _regex(pattern: str) -> str:
    if pattern == ".":
        return ".*"
    out, at = "", 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            out, at = out + "(?:.*/)?", at + 3
        elif rest.startswith("**"):
            out, at = out + ".*", at + 2
        elif rest[0] == "[" and (end := rest.find("]", 2)) > 0:
            inner = rest[1:end].replace("[", "\\[")
            out, at = out + f"[{inner}]", at + end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            out, at = out + re.escape(rest[1]), at + 2
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(rest[0]) or re.escape(rest[0])
            at += 1
    return out
