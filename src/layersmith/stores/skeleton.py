"""oras, loaded without what we never use of it.

oras checks manifests by JSON schemas, in calls that the client overrides. The library for
that takes longer to load than all of oras, so oras gets a stand-in that loads it at its first
use: never.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Container", "Provider"]


@contextmanager
def _postponed(name: str) -> Iterator[None]:
    """Let what imports the module `name` in this block have a stand-in for it (PEP 562)."""
    if name in sys.modules:
        yield
        return
    stand_in = ModuleType(name)
    stand_in.__getattr__ = lambda wanted: getattr(importlib.import_module(name), wanted)  # type: ignore[method-assign]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]


with _postponed("jsonschema"):
    from oras.container import Container
    from oras.provider import Registry as Provider
