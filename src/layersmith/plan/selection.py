"""What is taken from the builder: CPython whole, less what no application needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from layersmith.errors import RecipeError
from layersmith.rootfs.entries import Directory
from layersmith.rootfs.tree import glob_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Tree

__all__ = ["GROUPS", "LeftOut", "Selection", "check_matched", "select_files"]

PREFIX: Final = "usr/local"
_LIB: Final = "usr/local/lib/python3.*"

# name -> (why it is left out, what it is). `--include NAME` brings a group back.
GROUPS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "headers": ("only a compiler reads them", ("usr/local/include",)),
    "config": (
        "only a build needs it",
        (f"{_LIB}/config-*", "usr/local/lib/pkgconfig", "usr/local/bin/python*-config"),
    ),
    "static": ("only a linker reads them", ("usr/local/**/*.a", "usr/local/**/*.o")),
    "pip": (
        "an image is not a place to install into",
        (
            "usr/local/bin/pip*",
            "usr/local/bin/wheel",
            *(
                f"{_LIB}/site-packages/{name}{end}"
                for name in ("pip", "setuptools", "wheel")
                for end in ("", "-*.dist-info")
            ),
            f"{_LIB}/site-packages/_distutils_hack",
            f"{_LIB}/site-packages/distutils-precedence.pth",
            f"{_LIB}/site-packages/pkg_resources",
        ),
    ),
    "ensurepip": ("it installs pip", (f"{_LIB}/ensurepip",)),
    "idlelib": ("an editor that needs tkinter", (f"{_LIB}/idlelib", "usr/local/bin/idle*")),
    "tkinter": (
        "a windowing toolkit, whose libraries the official image lacks",
        (f"{_LIB}/tkinter", f"{_LIB}/lib-dynload/_tkinter.*"),
    ),
    "turtle": ("it needs tkinter", (f"{_LIB}/turtle.py",)),
    "turtledemo": ("it needs tkinter", (f"{_LIB}/turtledemo",)),
    "test": (
        "CPython's own tests",
        (
            f"{_LIB}/test",
            f"{_LIB}/**/tests",
            f"{_LIB}/**/idle_test",
            f"{_LIB}/lib-dynload/_test*.so",
            f"{_LIB}/lib-dynload/_ctypes_test*.so",
            f"{_LIB}/lib-dynload/_xxtestfuzz*.so",
            f"{_LIB}/lib-dynload/xx*.so",
        ),
    ),
    "bytecode": ("made for other times of the sources", ("usr/local/**/__pycache__",)),
    "man": ("there is no man", ("usr/local/share/man", "usr/local/man")),
}

# Made anew for the image, or of the builder's machine: never taken.
_NEVER: Final = (
    "dev", "proc", "sys", "etc/ld.so.cache", "etc/ld.so.conf", "etc/passwd", "etc/group",
    "etc/shadow", "etc/gshadow", "etc/hostname", "etc/hosts", "etc/resolv.conf",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files of the builder that were not taken: `name` of the group or glob, and why."""

    name: str
    why: str
    paths: tuple[str, ...]
    size: int


class _Rule(NamedTuple):
    name: str
    why: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Selection:
    """Canonical builder path -> reason, for everything that was chosen by name.

    `unmatched` are the options, as they are typed, that matched nothing here.
    """

    chosen: dict[str, str]
    left_out: tuple[LeftOut, ...]
    unmatched: frozenset[str]


def select_files(builder: Tree, include: Sequence[str], exclude: Sequence[str]) -> Selection:
    """Choose files: /usr/local less GROUPS, plus `include`, less `exclude`.

    What the image makes anew (ld.so.cache, passwd and the like) is never taken.
    """
    wanted = [glob for glob in include if glob not in GROUPS]
    groups = [
        _Rule(name, why, _any_of(globs))
        for name, (why, globs) in GROUPS.items()
        if name not in include
    ]
    excluded = [_Rule(f"exclude {glob}", "as asked", _any_of([glob])) for glob in exclude]
    everything = _any_of([glob for _, globs in GROUPS.values() for glob in globs])
    included = [(glob, glob_pattern(glob)) for glob in wanted]
    chosen: dict[str, str] = {}
    dropped: dict[_Rule, list[tuple[str, int]]] = {}
    matched: set[str] = set()
    for path, entry in _candidates(builder, everywhere=bool(included)):
        if _never(path):
            continue
        hits = [glob for glob, pattern in included if pattern.fullmatch(path)]
        asked = hits[0] if hits else None
        matched.update(f"--include {glob}" for glob in hits)
        if asked is None and not path.startswith(f"{PREFIX}/"):
            continue
        rules = [rule for rule in excluded if rule.pattern.fullmatch(path)]
        matched.update(f"--{rule.name}" for rule in rules)
        rule = rules[0] if rules else None
        if rule is None and asked is None and everything.fullmatch(path):
            rule = next((rule for rule in groups if rule.pattern.fullmatch(path)), None)
        if rule is not None:
            dropped.setdefault(rule, []).append((path, _size(entry)))
        else:
            chosen[path] = _reason(path, asked)
    options = {*(f"--include {glob}" for glob in wanted), *(f"--{rule.name}" for rule in excluded)}
    left_out = tuple(_left_out(rule, files) for rule, files in dropped.items())
    return Selection(chosen, left_out, frozenset(options - matched))


def check_matched(unmatched: Iterable[frozenset[str]]) -> None:
    """Raise :class:`RecipeError` for an option that matched nothing on any platform."""
    for option in sorted(frozenset.intersection(*unmatched)):
        raise RecipeError(
            f"{option} matches nothing in the builder",
            hint=f"write a path glob like usr/lib/**/name*, or include one of: {', '.join(GROUPS)}",
        )


def _reason(path: str, asked: str | None) -> str:
    if asked is not None:
        return f"asked for by --include {asked}"
    return "the builder's site-packages" if "/site-packages/" in path else "CPython"


def _any_of(globs: Iterable[str]) -> re.Pattern[str]:
    """Return one pattern for many globs: one look a path, not thirty."""
    return re.compile("|".join(glob_pattern(glob).pattern for glob in globs), re.DOTALL)


def _left_out(rule: _Rule, files: list[tuple[str, int]]) -> LeftOut:
    paths = tuple(path for path, _ in files)
    return LeftOut(rule.name, rule.why, paths, sum(size for _, size in files))


def _candidates(builder: Tree, *, everywhere: bool) -> Iterator[tuple[str, Entry]]:
    return builder.walk("" if everywhere else PREFIX)


def _size(entry: Entry) -> int:
    return getattr(entry, "size", 0) if not isinstance(entry, Directory) else 0


def _never(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in _NEVER)
