"""``pylock.toml`` (PyPA, "pylock.toml Specification", PEP 751), read with `packaging`.

Which package of it is installed is decided as its section "Installing" says, step by step;
which wheel of a package, where every lock's wheels are chosen.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

from packaging.pylock import Pylock, PylockValidationError
from packaging.utils import canonicalize_name

from layersmith.apps.pins import Indexes, Pin, Remote, admits, holds, strong
from layersmith.errors import RecipeError, one_line, typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.pylock import Package, PackageArchive, PackageWheel

    from layersmith.apps.interpreter import Interpreter

__all__ = ["PylockFile"]

_NOWHERE: Final = Indexes()


class PylockFile:
    """A file that was read; raises :class:`RecipeError` for what is none."""

    def __init__(self, raw: bytes, where: str) -> None:
        self._where = where
        try:
            self._lock = Pylock.from_dict(tomllib.loads(raw.decode("utf-8")))
        except (ValueError, RecursionError, PylockValidationError) as error:
            raise RecipeError(_why(error), place=where) from None

    @property
    def indexes(self) -> Indexes:
        """Return nothing: every file has its URL."""
        return _NOWHERE

    def pins(
        self, interpreter: Interpreter, extras: Sequence[str], groups: Sequence[str]
    ) -> tuple[Pin, ...]:
        """Return the packages to install; raises :class:`RecipeError`."""
        lock = self._lock
        plain = interpreter.environment()
        # "Gather the extras and dependency groups to install"
        chosen = [str(canonicalize_name(name)) for name in groups]
        environment = {
            **plain,
            "extras": frozenset(self._known("extra", extras, lock.extras or ())),
            "dependency_groups": frozenset(
                [*(lock.default_groups or ()), *self._known_groups(chosen)]
            ),
        }
        # "If requires-python is specified, check that the environment ... meets it"
        version = interpreter.version
        if not admits(lock.requires_python, version, self._where):
            raise self._error(f"is for Python {lock.requires_python}, the image has {version}")
        # "If environments is specified, check that at least one ... is satisfied"
        where = self._where
        if lock.environments and not any(holds(m, plain, where) for m in lock.environments):
            raise self._error(f"is not for Linux on {interpreter.machine} with Python {version}")
        # "For each package listed in packages"
        found: dict[str, Pin] = {}
        for package in lock.packages:
            marker, wanted = package.marker, package.requires_python
            place = f"{where}: {package.name}"
            if marker is not None and not holds(marker, environment, place, "lock_file"):
                continue
            if not admits(wanted, version, place):
                raise self._error(f"{package.name} is for Python {wanted}, the image has {version}")
            if package.name in found:
                raise self._error(f"has two packages {package.name!r} for one environment")
            found[package.name] = self._pin(package)
        return tuple(found[name] for name in sorted(found))

    def _pin(self, package: Package) -> Pin:
        name, version = str(package.name), str(package.version or "")
        if package.vcs is not None or package.directory is not None:
            kind = "a repository" if package.vcs is not None else "a directory"
            return Pin(name, version, others=(kind,))
        others = () if package.sdist is None else (package.sdist.filename,)
        if package.archive is not None:
            file = self._file(name, package.archive, self._last(name, package.archive))
            if not file.filename.endswith(".whl"):
                return Pin(name, version, others=(file.filename,))
            return Pin(name, version, file.hashes, (file,), direct=True)
        files = tuple(self._file(name, wheel, wheel.filename) for wheel in package.wheels or ())
        return Pin(name, version, files=files, others=others)

    def _file(self, name: str, file: PackageArchive | PackageWheel, filename: str) -> Remote:
        hashes = strong(file.hashes.items(), f"{self._where}: {name}")
        return Remote(filename, file.url or f"file:{file.path}", hashes)

    def _last(self, name: str, archive: PackageArchive) -> str:
        from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - seldom needed

        try:
            path = urlsplit(archive.url or archive.path or "").path
        except ValueError:
            raise self._error(f"the URL of {name} is none") from None
        return unquote(path.rpartition("/")[2])

    def _known_groups(self, groups: Sequence[str]) -> Sequence[str]:
        return self._known("group", groups, self._lock.dependency_groups or ())

    def _known(self, kind: str, wanted: Sequence[str], there: Sequence[str]) -> list[str]:
        known = {str(canonicalize_name(name)) for name in there}
        names = [str(canonicalize_name(name)) for name in wanted]
        if unknown := [name for name in names if name not in known]:
            raise RecipeError(
                f"there is no {kind} {typed(unknown[0], 60)!r} in it",
                place=self._where,
                hint=f"it has: {one_line(', '.join(sorted(known)), 200) or 'none'}",
            )
        return names

    def _error(self, message: str) -> RecipeError:
        return RecipeError(message, place=self._where)


def _why(error: Exception) -> str:
    text = one_line(str(error), 300)
    if "hash" in text:
        return f"a lock without hashes: {text}"
    return f"no pylock.toml: {text}"
