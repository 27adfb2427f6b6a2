"""What is taken from the builder: CPython whole, less what no application needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.errors import RecipeError
from layersmith.rootfs.entries import Directory
from layersmith.rootfs.tree import glob_pattern

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Sequence

    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Tree

__all__ = ["GROUPS", "LeftOut", "Selection", "select_files"]

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
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Canonical builder path -> reason, for everything that was chosen by name."""

    chosen: dict[str, str]
    left_out: tuple[LeftOut, ...]


def select_files(builder: Tree, include: Sequence[str], exclude: Sequence[str]) -> Selection:
    """Choose files: /usr/local less GROUPS, plus `include`, less `exclude`.

    Raises :class:`RecipeError` for an include that matches nothing.
    """
    wanted = [glob for glob in include if glob not in GROUPS]
    groups = {name: spec for name, spec in GROUPS.items() if name not in include}
    included = [(glob, glob_pattern(glob)) for glob in wanted]
    out: list[tuple[str, str, re.Pattern[str]]] = [
        *(("exclude " + glob, "as asked", glob_pattern(glob)) for glob in exclude),
        *((name, why, pattern) for name, (why, globs) in groups.items()
          for pattern in map(glob_pattern, globs)),
    ]  # fmt: skip
    chosen: dict[str, str] = {}
    dropped: dict[tuple[str, str], list[int]] = {}
    matched: set[str] = set()
    for path, entry in _candidates(builder, everywhere=bool(included)):
        asked = next((glob for glob, pattern in included if pattern.fullmatch(path)), None)
        if asked is not None:
            matched.add(asked)
        elif not path.startswith(PREFIX):
            continue
        rule = next((rule for rule in out if rule[2].fullmatch(path)), None)
        if rule is not None and (asked is None or rule[0].startswith("exclude ")):
            dropped.setdefault(rule[:2], []).append(_size(entry))
        elif not _never(path):
            chosen[path] = f"asked for by --include {asked}" if asked else "CPython"
    _check_all_matched(wanted, matched)
    left_out = tuple(
        LeftOut(name, why, len(sizes), sum(sizes)) for (name, why), sizes in dropped.items()
    )
    return Selection(chosen, left_out)


def _candidates(builder: Tree, *, everywhere: bool) -> Iterator[tuple[str, Entry]]:
    return builder.walk("" if everywhere else PREFIX)


def _size(entry: Entry) -> int:
    return getattr(entry, "size", 0) if not isinstance(entry, Directory) else 0


def _never(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in _NEVER)


def _check_all_matched(wanted: Iterable[str], matched: set[str]) -> None:
    for glob in wanted:
        if glob not in matched:
            raise RecipeError(
                f"--include {glob!r} matches nothing in the builder",
                hint=f"write a path glob like usr/lib/**/name*, or one of: {', '.join(GROUPS)}",
            )
