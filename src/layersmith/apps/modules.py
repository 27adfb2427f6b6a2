"""Whether a module can be imported in the image: from the source, what is installed, or Python.

What decides at run time (finders, ``PYTHONPATH``, ``.pth`` files) is not known here, so a module is
called missing only where nothing of these is in play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from layersmith.apps.site import site_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from layersmith.apps.interpreter import Interpreter
    from layersmith.rootfs.tree import Root

__all__ = ["PATH_FILE", "Modules"]

# Lets every program of the environment import what is in the application's directory.
PATH_FILE: Final = "layersmith-app.pth"
_ENDINGS: Final = (".py", ".pyc", ".so")


@dataclass(frozen=True, slots=True)
class Modules:
    """Where Python looks: `files` are the paths of the source, `installed` all of the environment.

    `root` is the image below, and is asked for where a module is in neither.
    """

    interpreter: Interpreter
    files: Collection[str]
    installed: Collection[str]
    root: Callable[[], Root]

    def has(self, name: str) -> bool:
        """Tell whether ``name`` (dotted) is there, or may be."""
        packages = f"{site_packages(self.interpreter)}/"
        top = name.partition(".")[0]
        return (
            _is_among(self.files, name.replace(".", "/"))
            # A package of others may find its modules in ways of its own.
            or _is_among(self.installed, f"{packages}{top}")
            or any(map(self._changes_paths, self.installed))
            or self._is_of_python(top)
        )

    def nearest(self, name: str) -> str:
        """Return the directory of the source below which the module is, "" if there is none."""
        path = f"/{name.replace('.', '/')}"
        for file in sorted(self.files, key=lambda file: (file.count("/"), file)):
            for ending in (".py", "/__init__.py"):
                if file.endswith(f"{path}{ending}"):
                    return file.removesuffix(f"{path}{ending}")
        return ""

    def _changes_paths(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        is_of_site = folder == site_packages(self.interpreter)
        return is_of_site and name.endswith(".pth") and name != PATH_FILE

    def _is_of_python(self, top: str) -> bool:
        tree, library = self.root().tree, self.interpreter.library
        places = (f"{library}/{top}", f"{library}/{top}.py")
        if any(tree.lookup(place) is not None for place in places):
            return True
        dynamic = f"{library}/lib-dynload"
        return any(path.startswith(f"{dynamic}/{top}.") for path, _ in tree.walk(dynamic))


def _is_among(paths: Collection[str], module: str) -> bool:
    """Tell whether one of `paths` is the module, in a package of its name, or a link above it."""
    links = {module, *(module[:at] for at, letter in enumerate(module) if letter == "/")}
    return any(
        path.startswith(f"{module}/") or path in links or _is_file_of(path, module)
        for path in paths
    )


def _is_file_of(path: str, module: str) -> bool:
    """Tell whether it is ``shop.py`` or ``shop.cpython-313-x86_64-linux-gnu.so``."""
    if not (path.startswith(f"{module}.") and path.endswith(_ENDINGS)):
        return False
    return "/" not in path[len(module) :]
