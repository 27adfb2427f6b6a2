"""Every fuzz target, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.fuzz import (
    archives,
    databases,
    debian,
    documents,
    elves,
    files,
    headers,
    layers,
    names,
)

if TYPE_CHECKING:
    from tests.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for module in (layers, elves, names, headers, documents, archives, databases, debian, files)
    for target in module.TARGETS
}
