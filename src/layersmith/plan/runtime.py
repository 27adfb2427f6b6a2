"""Files that no ELF header names: what libraries and Python open while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from layersmith.rootfs.tree import Tree

__all__ = ["EXPECTED_UNRESOLVED", "runtime_data"]

# soname prefix -> what the library reads at run time.
_DATA: Final = (
    ("libtinfo.so.", ("usr/share/terminfo", "usr/lib/terminfo"), "descriptions of terminals"),
    ("libreadline.so.", ("etc/inputrc",), "key bindings"),
    ("libc.so.", ("usr/lib/locale/C.utf8",), "the locale that LANG names"),
)

# The official image leaves out what only tkinter needs (its ldd skips _tkinter).
EXPECTED_UNRESOLVED: Final = ("libtcl*.so*", "libtk*.so*")


def runtime_data(builder: Tree, sonames: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (path, reason) of what the loaded `sonames` read from the builder's tree."""
    for prefix, places, what in _DATA:
        user = next((name for name in sorted(sonames) if name.startswith(prefix)), None)
        if user is None:
            continue
        for place in places:
            found = builder.resolve(place)
            if found is None:
                continue
            reason = f"{what}, read by {user}"
            yield found.path, reason
            yield from ((path, reason) for path, _ in builder.walk(found.path))
