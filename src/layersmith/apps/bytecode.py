"""Bytecode that is right by construction: which files get one, and where it stands.

Unchecked hash-based .pyc files (PEP 552): the interpreter takes them without looking at the
source's time, which a layer does not keep. They hold for one magic number only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.apps.interpreter import Interpreter
    from layersmith.rootfs.entries import Entry
    from layersmith.rootfs.tree import Root

__all__ = ["cached_name", "library_sources", "magic_number", "sources"]

# Since 3.14 the number stands in C, not in the library. Each was final with the first release.
_KNOWN: Final = {11: 3495, 12: 3531, 13: 3571, 14: 3627}
_SAID: Final = re.compile(rb"^(?:_RAW_)?MAGIC_NUMBER = \(?(\d{4})\)?", re.MULTILINE)
# Not imported by programs, and a third of all.
_UNUSED: Final = ("idlelib", "lib2to3", "turtledemo", "ensurepip", "site-packages")


def magic_number(root: Root, interpreter: Interpreter) -> int | None:
    """Return the number that the image's Python wants; None where nobody knows it."""
    place = f"{interpreter.library}/importlib/_bootstrap_external.py"
    text = root.read(place)
    match = _SAID.search(text) if text else None
    return int(match[1]) if match else _KNOWN.get(interpreter.minor)


def cached_name(path: str, interpreter: Interpreter) -> str:
    """Return where the bytecode of a source stands (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-3{interpreter.minor}.pyc"


def sources(entries: Mapping[str, Entry]) -> Iterator[tuple[str, File]]:
    """Yield the Python sources among `entries`, sorted."""
    for path in sorted(entries):
        entry = entries[path]
        if path.endswith(".py") and isinstance(entry, File):
            yield path, entry


def library_sources(root: Root, interpreter: Interpreter) -> dict[str, Entry]:
    """Return the sources of the standard library, if the image has no bytecode of it."""
    home = interpreter.library
    if root.tree.entry(cached_name(f"{home}/os.py", interpreter)) is not None:
        return {}
    unused = tuple(f"{home}/{name}/" for name in _UNUSED)
    return {
        path: entry
        for path, entry in root.tree.walk(home)
        if path.endswith(".py") and isinstance(entry, File) and not path.startswith(unused)
    }
