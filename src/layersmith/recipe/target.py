"""Targets: ``[builder:]<python>-<debian>[-debug]``, and the images that each stands for.

With ``builder:`` in front it is the image to build in: the official one, whole, with tools on top.
"""

from __future__ import annotations

import difflib
import re
import sys
from dataclasses import dataclass
from typing import Final, Self

from layersmith.errors import InvalidTarget, typed
from layersmith.oci.reference import Reference

__all__ = ["GRAMMAR", "Target"]

GRAMMAR: Final = (
    "[builder:]<python>-<debian>[-debug], like 3.13-debian13, 3.13.5-debian13-debug, "
    "builder:3.13-debian13"
)
_PYTHON: Final = r"3\.(0|[1-9]\d?)(?:\.(?:0|[1-9]\d{0,2}))?"
_PATTERN = re.compile(rf"({_PYTHON})-debian(\d{{2}})(-debug)?", re.ASCII)
_BUILDER: Final = "builder:"
_CODENAMES: Final = {12: "bookworm", 13: "trixie"}
# python:3.N-slim-bookworm and -trixie exist for these; a later minor is let through.
_OLDEST: Final = {12: 9, 13: 9}


@dataclass(frozen=True, slots=True)
class Target:
    """What to assemble: a Python version on a Debian release, plain or debug.

    A builder image has a shell anyway: -debug is only a name there.
    """

    python: str
    debian: int
    debug: bool
    is_builder: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a target; raises :class:`InvalidTarget` with the nearest valid one."""
        match = _PATTERN.fullmatch(text.removeprefix(_BUILDER))
        if match is None or int(match[2]) < _OLDEST.get(int(match[3]), sys.maxsize):
            raise InvalidTarget(
                f"{typed(text, 60)!r} is not a target: {GRAMMAR}",
                hint=f"did you mean {_nearest(text)}?",
            )
        is_builder = text.startswith(_BUILDER)
        return cls(match[1], int(match[3]), match[4] is not None, is_builder)

    def __str__(self) -> str:
        """Return the target as it is typed."""
        return f"{_BUILDER if self.is_builder else ''}{self._tag}"

    @property
    def _tag(self) -> str:
        return f"{self.python}-{self.suffix}"

    @property
    def folder(self) -> str:
        """How a directory for it is called: a colon would start a tag."""
        return str(self).replace(":", "-")

    @property
    def suffix(self) -> str:
        """What stands behind the Python version in every tag: ``debian13-debug``."""
        return f"debian{self.debian}{'-debug' if self.debug else ''}"

    def tags(self, version: str) -> tuple[str, ...]:
        """Return the tags of an image with this full Python version: two, or one."""
        return tuple(dict.fromkeys((self._tag, f"{version}-{self.suffix}")))

    def accepts(self, version: str) -> bool:
        """Tell whether a full Python version is what the target names."""
        return version == self.python or version.startswith(f"{self.python}.")

    @property
    def base(self) -> Reference:
        """The image below: distroless, or the official one for a builder."""
        if self.is_builder:
            return self.builder
        tag = "debug" if self.debug else "latest"
        return Reference(f"gcr.io/distroless/cc-debian{self.debian}:{tag}")

    @property
    def builder(self) -> Reference:
        """The official image that Python is taken from."""
        codename = _CODENAMES[self.debian]
        return Reference(f"docker.io/library/python:{self.python}-slim-{codename}")


def _nearest(text: str) -> str:
    lowered = text.lower()
    kind = _BUILDER if "builder" in lowered else ""
    debug = "-debug" if "debug" in lowered else ""
    wanted = re.search(rf"(?<![\d.]){_PYTHON}(?![\d.])", text, re.ASCII)
    python = wanted[0] if wanted and int(wanted[1]) >= min(_OLDEST.values()) else ""
    choices = [f"{python or f'3.{m}'}-debian{d}{debug}" for d in (13, 12) for m in (13, 14, 12)]
    found = difflib.get_close_matches(lowered.removeprefix(kind), choices, n=1, cutoff=0.5)
    return kind + (found or choices)[0]
