"""What packages say of each other: ``libc6 (>= 2.38) | libc6-compat`` (Debian Policy, 7.1)."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from layersmith.analysis.debversion import DebianKey, debian_key
from layersmith.errors import PackageError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Clause", "Relation", "parse_relations"]

_RELATION: Final = re.compile(
    r"([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?"
    r"(?:\s*\(\s*(<<|<=|=|>=|>>|<|>)\s*([0-9A-Za-z.+:~-]+)\s*\))?"
    r"(?:\s*\[[^\]]*\])?(?:\s*<[^>]*>)*",
    re.ASCII,
)
_MOST: Final = 2000
# An old "<" means "<=" (Policy, 7.1).
_ORDERS: Final[dict[str, Callable[[DebianKey, DebianKey], bool]]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "<": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.ge,
    ">>": operator.gt,
}


class Relation(NamedTuple):
    """One alternative: a package, and which versions of it; without an order, all."""

    name: str
    order: str = ""
    version: str = ""

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.name} ({self.order} {self.version})" if self.order else self.name

    def accepts(self, version: str) -> bool:
        """Tell whether a version will do; "" is one that nobody has said."""
        if not self.order:
            return True
        return bool(version) and _ORDERS[self.order](debian_key(version), debian_key(self.version))


Clause: TypeAlias = tuple[Relation, ...]


def parse_relations(text: str, place: str) -> tuple[Clause, ...]:
    """Read a field of relations; raises :class:`PackageError`."""
    clauses = [part.strip() for part in text.replace("\n", " ").split(",") if part.strip()]
    if len(clauses) > _MOST:
        raise PackageError(f"more than {_MOST} relations", place=place)
    return tuple(
        tuple(_relation(one.strip(), place) for one in clause.split("|")) for clause in clauses
    )


def _relation(text: str, place: str) -> Relation:
    match = _RELATION.fullmatch(text)
    if match is not None:
        try:
            if match[3]:
                debian_key(match[3])
            return Relation(match[1], match[2] or "", match[3] or "")
        except ValueError:
            pass
    raise PackageError(f"{one_line(text, 100)!r} is no relation to a package", place=place)
