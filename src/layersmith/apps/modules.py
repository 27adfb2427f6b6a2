"""Whether a module can be imported in the image: from the source, what is installed, or Python.

What decides at run time (finders, ``PYTHONPATH``, ``.pth`` files, ``sitecustomize``, what a package
does to its ``__path__``) is not known here, so a module is called missing only where nothing of
these is in play.
"""

from __future__ import annotations

import re
import sys
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
# How a module says that there are others below it than one sees.
_OWN_WAY: Final = re.compile(rb"__path__|sys\.modules|meta_path")


@dataclass(frozen=True, slots=True)
class Modules:
    """Where Python looks: `files` are the paths of the source, `installed` all of the environment.

    `root` is the image below, and is asked for where a module is in neither; `read` gives the bytes
    of a file of the source, None for a link.
    """

    interpreter: Interpreter
    files: Collection[str]
    installed: Collection[str]
    root: Callable[[], Root]
    read: Callable[[str], bytes | None]

    def has(self, name: str) -> bool:
        """Tell whether ``name`` (dotted) is there, or may be."""
        if "/" in name or not all(name.split(".")):
            return False  # a path, or relative to nothing
        top = name.partition(".")[0]
        return (
            _is_among(self.files, name.replace(".", "/"))
            # A package of others may find its modules in ways of its own.
            or _is_among(self.installed, f"{self._packages}{top}")
            or self._changes_paths()
            or self._has_own_way(name)
            or self._is_of_python(top)
        )

    def is_hidden(self, name: str) -> bool:
        """Tell whether Python has a module of its own that a script finds before the source's."""
        top = name.partition(".")[0]
        return (
            top in sys.stdlib_module_names  # else nobody looks into the image
            and _is_among(self.files, top)
            and not self._changes_paths()
            and self._is_of_python(top)
        )

    def runs(self, name: str) -> bool:
        """Tell whether ``-m name`` finds what it runs: of a package that is its ``__main__``."""
        path = name.replace(".", "/")
        is_package = any(file.startswith(f"{path}/") for file in self.files)
        is_more = any(_is_file_of(file, path) for file in self.files)
        return not is_package or is_more or self.has(f"{name}.__main__")

    def nearest(self, name: str) -> str:
        """Return the directory of the source below which the module is, "" if there is none."""
        path = f"/{name.replace('.', '/')}"
        for file in sorted(self.files, key=lambda file: (file.count("/"), file)):
            for ending in (".py", "/__init__.py"):
                if file.endswith(f"{path}{ending}"):
                    return file.removesuffix(f"{path}{ending}")
        return ""

    @property
    def _packages(self) -> str:
        return f"{site_packages(self.interpreter)}/"

    def _changes_paths(self) -> bool:
        """Tell whether something of the environment or the source says where else Python looks."""
        custom, packages = "sitecustomize", self._packages
        return (
            _is_among(self.files, custom)
            or _is_among(self.installed, f"{packages}{custom}")
            or any(
                path.startswith(packages)
                and path.endswith(".pth")
                and path.removeprefix(packages) != PATH_FILE
                and "/" not in path.removeprefix(packages)
                for path in self.installed
            )
        )

    def _has_own_way(self, name: str) -> bool:
        """Tell whether a module above `name` may bring it: compiled ones often do."""
        above = name.replace(".", "/")
        while above := above.rpartition("/")[0]:
            for file in self.files:
                if not (_is_file_of(file, above) or _is_file_of(file, f"{above}/__init__")):
                    continue
                text = self.read(file) if file.endswith(".py") else None
                if text is None or _OWN_WAY.search(text):
                    return True
        return False

    def _is_of_python(self, top: str) -> bool:
        if top in sys.builtin_module_names:
            return True
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
