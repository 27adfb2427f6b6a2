"""From pins to wheels: who has one that fits, and which bytes it is.

In this order: the user's own wheels, the files that the lock names, the indexes of the lock
and of pip's configuration, pip's own default where these name no index-url. What a hash settled
once is not asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec
from packaging.utils import parse_sdist_filename

from layersmith.apps.choosing import best, missing_line, named, ranks, same_version, wanted_tags
from layersmith.apps.pins import Indexes, Remote
from layersmith.apps.wheel import open_wheel
from layersmith.errors import MissingWheels, RecipeError
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode
from layersmith.stores.files import local_path
from layersmith.stores.pip_config import default_index, read_pip_config
from layersmith.stores.simple_index import files_at, files_in, files_of
from layersmith.stores.wheelhouse import Wheelhouse, digest_of_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.tags import Tag

    from layersmith.apps.interpreter import Interpreter
    from layersmith.apps.pins import Pin
    from layersmith.apps.wheel import Wheel
    from layersmith.assemble.workshop import Workshop
    from layersmith.stores.pip_config import PipConfig
    from layersmith.stores.registry_options import RegistryOptions
    from layersmith.stores.simple_index import Listed
    from layersmith.stores.web import Web

__all__ = ["Chosen", "Missing", "Shop", "missing_error"]

_WORKERS: Final = 8
_SET_INDEX: Final = "set index-url in pip's configuration, or PIP_INDEX_URL"


class Chosen(msgspec.Struct, frozen=True):
    """The wheel for a pin; `direct_url` is where the user said that it is."""

    name: str
    version: str
    filename: str
    digest: str
    url: str = ""
    direct_url: str = ""


_DECODER: Final = msgspec.json.Decoder(Chosen)


@dataclass(frozen=True, slots=True)
class Missing:
    """A distribution without a wheel that fits: what there is, and what is wanted."""

    name: str
    version: str
    platform: str
    line: str
    tags: tuple[str, ...]


@dataclass(slots=True)
class Shop:
    """Where wheels are found and fetched, for one lock."""

    workshop: Workshop
    network: RegistryOptions
    indexes: Indexes
    folder: Path
    own: tuple[Path, ...] = ()
    _config: PipConfig = field(default_factory=read_pip_config)
    _default: str | None = None
    _web: Web | None = None
    _opening: Lock = field(default_factory=Lock)
    _listed: dict[str, list[Remote]] = field(default_factory=dict)

    @property
    def web(self) -> Web:
        """The network, opened when it is needed."""
        with self._opening:
            return self._opened()

    def _opened(self) -> Web:
        if self._web is None:
            from layersmith.stores.web import Web  # noqa: PLC0415 - the network

            trusted = frozenset({*self.indexes.trusted, *self._config.trusted})
            self._web = Web(self.network, trusted, self._config.cert, self.workshop.crew)
            self.workshop.crew.at_stop(self._web.cut)
            for url in (self.indexes.index, self._config.index, *self._places()):
                if url.startswith(("http://", "https://")):
                    self._web.known(url)
        return self._web

    def close(self) -> None:
        """Close the connections."""
        if self._web is not None:
            self._web.close()

    def choose(
        self, pins: Sequence[Pin], interpreter: Interpreter, platform: str
    ) -> tuple[list[Chosen], list[Missing]]:
        """Return the wheel for each pin, and those pins that have none."""
        liked = ranks(interpreter)
        with self.workshop.crew.pool(_WORKERS, "index") as pool:
            found = list(pool.map(lambda pin: self._one(pin, interpreter, platform, liked), pins))
        chosen = [each for each in found if isinstance(each, Chosen)]
        return chosen, [each for each in found if isinstance(each, Missing)]

    def open(self, chosen: Sequence[Chosen]) -> dict[str, Wheel]:
        """Return wheels by digest, fetched side by side, verified and checked."""
        house = self._house()

        def one(each: Chosen) -> Wheel:
            digest = Digest(each.digest)
            file = house.open(each.filename, each.url, digest)
            return open_wheel(file, each.filename, digest)

        with self.workshop.timed("wheels"), self.workshop.crew.pool(_WORKERS, "wheel") as pool:
            return {str(wheel.digest): wheel for wheel in pool.map(one, chosen)}

    def _house(self) -> Wheelhouse:
        # The web is asked for only where a wheel is not in the cache.
        return Wheelhouse(self.workshop.cache, lambda: self.web, self.folder, self.workshop.crew)

    def _one(
        self, pin: Pin, interpreter: Interpreter, platform: str, liked: Mapping[Tag, int]
    ) -> Chosen | Missing:
        own = best(self._own_files(), pin, interpreter, liked)
        if own is not None:
            path = local_path(own.url, self.folder)
            assert path is not None
            return _chosen(pin, own, digest_of_file(path))
        if pin.files or pin.others or not pin.hashes:
            file = best(pin.files, pin, interpreter, liked)
            if file is not None:
                return _chosen(pin, file, min(file.hashes))
            there = [file.filename for file in pin.files]
        else:
            # Another index has the same bytes, but at another place.
            asked = self._rounds()
            key = f"wheel 1 {pin.name} {pin.version} {sorted(pin.hashes)} {interpreter} {asked}"
            if kept := self.workshop.cache.recall(key):
                return _DECODER.decode(kept)
            there = []
            for places in self._rounds():
                files = self._files(pin.name, *places)
                listed = [file for file in files if _is_of(file.filename, pin)]
                hashed = [file for file in listed if not file.hashes or file.hashes & pin.hashes]
                file = best(hashed, pin, interpreter, liked)
                if file is not None:
                    found = _chosen(pin, file, self._digest(file, pin))
                    self.workshop.cache.remember(key, encode(found))
                    return found
                there += [file.filename for file in listed]
        line = missing_line(pin, platform, there)
        return Missing(pin.name, pin.version, platform, line, wanted_tags(interpreter))

    def _digest(self, file: Remote, pin: Pin) -> Digest:
        """Return which of the lock's hashes a file has."""
        if both := file.hashes & pin.hashes:
            return min(both)
        return self._house().learn(file.filename, file.url, pin.hashes)

    def _files(self, name: str, links: Sequence[str], indexes: Sequence[str]) -> list[Remote]:
        """Return what these places have of a distribution."""
        key = " ".join((name, *links, *indexes))
        if key not in self._listed:
            found: list[Listed] = []
            for place in links:
                found += files_at(self.web, place, self.folder)
            for index in indexes:
                found += files_of(self.web, index, name, self.folder)
            self._listed[key] = [
                Remote(file.filename, file.url, file.hashes, file.requires_python) for file in found
            ]
        return self._listed[key]

    def _rounds(self) -> list[tuple[list[str], list[str]]]:
        """Return the find-links and indexes to ask, and those to ask if these have nothing.

        pip's default comes last: where something else is named, the network may not reach it.
        """
        links, places = [*self.indexes.find_links, *self._config.find_links], self._places()
        default = self._default_index
        if not (links or places or default or self._is_without):
            raise RecipeError(
                "nothing says which package index has the wheels",
                hint=f"{_SET_INDEX}, or lock with URLs (pylock.toml)",
            )
        return [each for each in ((links, places), ([], [default])) if any((*each[0], *each[1]))]

    def _places(self) -> list[str]:
        """Return the indexes that are named."""
        config, lock = self._config, self.indexes
        if self._is_without:
            return []
        first = lock.index or config.index
        return list(dict.fromkeys([*filter(None, [first]), *lock.extra, *config.extra]))

    @property
    def _is_without(self) -> bool:
        """Whether no index is to be asked."""
        return self.indexes.no_index or (self._config.no_index and not self.indexes.index)

    @property
    def _default_index(self) -> str:
        """What pip asks where no index-url is set, if that is so."""
        if self._is_without or self.indexes.index or self._config.index:
            return ""
        if self._default is None:
            self._default = default_index()
        return self._default

    @property
    def lacks_index(self) -> bool:
        """Whether something was looked for, with an index of one's own named nowhere."""
        config, lock = self._config, self.indexes
        is_meant = lock.index or config.index or lock.no_index or config.no_index
        return any(self._listed) and not (is_meant or self._default_index)

    def _own_files(self) -> list[Remote]:
        if "" not in self._listed:
            found = []
            for folder in self.own:
                if not folder.is_dir():
                    raise RecipeError(f"{folder} is no directory of wheels")
                found += files_in(folder)
            self._listed[""] = [Remote(file.filename, file.url) for file in found]
        return self._listed[""]


def missing_error(missing: Sequence[Missing], *, lacks_index: bool = False) -> MissingWheels:
    """Return the error that names all of them; `lacks_index` is that no index-url is set."""
    hint = (
        "build it for the platform and give --wheel-dir DIR; "
        "layersmith app wheels says what to build"
    )
    if lacks_index:
        hint = f"no index-url is set: {_SET_INDEX}; else {hint}"
    return MissingWheels("no wheel fits", missing=tuple(each.line for each in missing), hint=hint)


def _chosen(pin: Pin, file: Remote, digest: Digest) -> Chosen:
    about = named(file.filename)
    assert about is not None
    # What is in the image is for all to read: no password, and no token of a signed URL.
    direct = file.url.partition("?")[0].partition("#")[0]
    if not pin.direct or "://" not in direct or "@" in direct or direct.startswith("file:"):
        direct = ""  # or a path of this machine
    return Chosen(pin.name, about.version, file.filename, str(digest), file.url, direct)


def _is_of(filename: str, pin: Pin) -> bool:
    """Tell whether a file is of the pinned version."""
    about = named(filename)
    if about is not None:
        return about.name == pin.name and same_version(about.version, pin.version)
    try:
        name, version = parse_sdist_filename(filename)
    except ValueError:
        return False
    return name == pin.name and same_version(str(version), pin.version)
