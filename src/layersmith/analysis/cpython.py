"""CPython under ``/usr/local``: which files are its own, and which release it says it is.

``make install`` leaves no list of what it wrote, and no package has these files: they are
told by their places (Python's documentation, "Installation paths", prefix ``/usr/local``).
The release is read from the library or the program itself, where it stands as a string for
``sys.version``; names of files have the minor version only, and an environment may lie.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from layersmith.rootfs.entries import File

if TYPE_CHECKING:
    from layersmith.rootfs.tree import Root, Tree

__all__ = ["SITE_PACKAGES", "cpython_version", "is_cpython", "standard_libraries"]

SITE_PACKAGES: Final = "site-packages"
_PREFIX: Final = "usr/local"
_MINOR = re.compile(r"python(3\.\d{1,2})", re.ASCII)
_OWN = re.compile(
    r"usr/local/(?:"
    r"bin/(?:python|pydoc|idle|2to3)(?:3|[3]?-?3\.\d{1,2})?(?:-config)?"
    r"|lib/libpython3(?:\.\d{1,2})?\.(?:so|a)[\d.]*"
    r"|lib/python3\.\d{1,2}/(?!site-packages/).+"
    r"|lib/python3\.\d{1,2}/site-packages/README\.txt"
    r"|lib/pkgconfig/python[-\w.]*\.pc"
    r"|include/python3\.\d{1,2}/.+"
    r"|share/man/man1/python[\w.]*"
    r")",
    re.ASCII | re.DOTALL,
)
_RELEASE: Final = rb"\0(%s\.\d{1,3}(?:(?:a|b|rc)\d{1,2})?)\+?\0"
_MOST: Final = 256 << 20


def is_cpython(path: str) -> bool:
    """Tell whether a canonical path is one of those that CPython's installation writes."""
    return _OWN.fullmatch(path) is not None


def standard_libraries(tree: Tree) -> list[str]:
    """Return the minor versions whose standard library is in ``/usr/local/lib``."""
    found = (_MINOR.fullmatch(name) for name in tree.listing(f"{_PREFIX}/lib"))
    minors = sorted(match[1] for match in found if match)
    return [m for m in minors if isinstance(tree.lookup(f"{_PREFIX}/lib/python{m}/os.py"), File)]


def cpython_version(root: Root, minor: str) -> str | None:
    """Return the release of Python `minor`, ``3.13.5`` or ``3.14.0rc2``, by its own word."""
    pattern = re.compile(_RELEASE % re.escape(minor).encode())
    for place in (f"lib/libpython{minor}.so.1.0", f"bin/python{minor}"):
        entry = root.tree.lookup(f"{_PREFIX}/{place}")
        if isinstance(entry, File) and entry.size <= _MOST:
            match = pattern.search(root.contents.read(entry))
            if match is not None:
                return match[1].decode()
    return None
