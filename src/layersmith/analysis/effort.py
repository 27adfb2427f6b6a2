"""How much work a set of objects may cause together.

Each object is small and each rule is cheap, but their product is not: ten thousand needs in
a thousand directories, versions times needs, chains that every program walks anew. So all
that is done for one set is counted, in steps of about a microsecond.
"""

from __future__ import annotations

from typing import Final

from layersmith.errors import ElfError

__all__ = ["MAX_EFFORT", "Effort"]

MAX_EFFORT: Final = 1_000_000  # 10^5 needs, more than any application has, fit into it


class Effort:
    """A budget that everything done for one set of objects is taken from."""

    def __init__(self, limit: int = MAX_EFFORT) -> None:
        self._limit = self._left = limit

    def spend(self, steps: int, path: str) -> None:
        """Take `steps` for something about `path`; raises :class:`ElfError` at the end."""
        self._left -= steps
        if self._left < 0:
            raise ElfError(
                f"the objects take more than {self._limit} steps to resolve",
                path=path,
                hint="no application is like that; were these files made to keep us busy?",
            )
