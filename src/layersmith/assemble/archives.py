"""Which archive of packages an image's are in, and which packages are taken from there.

::

    what was given | apt's configuration -fitted-> Source (the image's release, never the host's)
    InRelease -signed_text-> Release -check-> Listed -digest-> Packages -choose-> Stanza
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

from layersmith.analysis.dpkg import fields, installed, records
from layersmith.debs.choosing import Held, choose, parse_wish
from layersmith.debs.packages import Listing, Stanza, provided, unwanted
from layersmith.debs.release import check_release, parse_release
from layersmith.debs.signed import Keyring, signed_text
from layersmith.debs.sources import fitted, parse_deb822, parse_line, parse_list, read_release
from layersmith.debs.xz import unxz
from layersmith.errors import InvalidInput, NotFound, PackageError, RecipeError, intention, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode
from layersmith.rootfs.compression import decompress
from layersmith.stores.apt_config import read_bytes, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layersmith.assemble.workshop import Workshop
    from layersmith.debs.release import Listed, Release
    from layersmith.debs.sources import Source
    from layersmith.oci.content import Readable
    from layersmith.oci.documents import Platform
    from layersmith.recipe.application import App
    from layersmith.rootfs.tree import Root
    from layersmith.stores.apt_config import Host
    from layersmith.stores.debian_archive import DebianArchive
    from layersmith.stores.files import OpenFile

__all__ = ["Archives"]

_RELEASE: Final = "etc/os-release"
_LARGEST: Final = 1 << 30
# Debian's names of architectures (dpkg-architecture(1)).
_ARCHITECTURES: Final = {
    "386": "i386", "amd64": "amd64", "arm64": "arm64", "arm": "armhf", "ppc64le": "ppc64el",
    "riscv64": "riscv64", "s390x": "s390x",
}  # fmt: skip
_HINT: Final = "name one: --debian-archive 'URL {} main', or a .sources file"


class _Image(msgspec.Struct, frozen=True):
    """What an image says of itself: its os-release, and its packages."""

    release: dict[str, str]
    packages: dict[str, Held]


class _Chosen(msgspec.Struct, frozen=True):
    stanzas: tuple[Stanza, ...]


_IMAGE: Final = msgspec.json.Decoder(_Image)
_CHOSEN: Final = msgspec.json.Decoder(_Chosen)


@dataclass(slots=True)
class Archives:
    """The archives of one run: each suite is asked for once, for all platforms."""

    workshop: Workshop
    app: App
    folder: Path
    archive: DebianArchive
    host: Host
    _suites: dict[Source, tuple[Digest, Release]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _reading: Lock = field(default_factory=Lock)  # the lists of one platform are enough in memory

    def choose(
        self, manifest: Digest, platform: Platform, root: Callable[[], Root]
    ) -> tuple[Stanza, ...]:
        """Return the packages to add to the image `manifest`, whose file system is `root`.

        Raises :class:`Untrusted`, :class:`NotFound`, :class:`ClosureError`,
        :class:`PackageError` and :class:`VerificationError`.
        """
        architecture = _ARCHITECTURES.get(platform.architecture, platform.architecture)
        wishes = [parse_wish(text) for text in self.app.debian_packages]
        image = self._image(manifest, root)
        sources = self._sources(image)
        codename = image.release.get("VERSION_CODENAME", "")
        with self.workshop.timed("ask archive"):
            suites = self._asked(sources, codename)
        asked = [(str(digest), source.uri, source.components) for source, digest, _ in suites]
        key = f"debian 2 {manifest} {architecture} {wishes} {asked}"
        if kept := self.workshop.cache.recall(key):
            return _CHOSEN.decode(kept).stanzas
        with self.workshop.timed("choose packages"):
            lists = [
                each
                for source, _, release in suites
                for each in self._lists(source, release, architecture)
            ]
            if not lists:
                raise NotFound(f"the archive has no packages for {architecture}")
            with self._reading:
                found = choose(wishes, [_listing(*each) for each in lists], image.packages)
        for stanza in found:
            if stanza.architecture not in (architecture, "all"):
                raise PackageError(f"{stanza} is for {one_line(stanza.architecture, 40)}")
        self.workshop.cache.remember(key, encode(_Chosen(found)))
        return found

    def _image(self, manifest: Digest, root: Callable[[], Root]) -> _Image:
        key = f"debian image 2 {manifest}"
        if kept := self.workshop.cache.recall(key):
            return _IMAGE.decode(kept)
        system = root()
        release = (system.read(_RELEASE) or b"").decode("utf-8", "replace")
        held = {}
        for package in (*installed(system), *(one for one, _ in records(system).values())):
            said = dict(fields(package.control.strip(b"\n"), package.name))
            about = {key: value for key, (value, *_) in said.items()}
            held[package.name] = Held(
                package.version, provided(about, package.name), unwanted(about, package.name)
            )
        found = _Image(read_release(release), held)
        self.workshop.cache.remember(key, encode(found))
        return found

    def _sources(self, image: _Image) -> list[Source]:
        """Return what was given, or what this machine's apt has, for the image's release."""
        codename = image.release.get("VERSION_CODENAME", "")
        given = [source for text in self.app.debian_archives for source in self._given(text)]
        if self.app.debian_archives:
            return given
        said = []
        for name, text in self.host.sources:
            said += parse_deb822(text, name) if name.endswith(".sources") else parse_list(text)
        found = fitted(said, read_release(self.host.release), image.release)
        if not found:
            system = image.release.get("ID", "an unknown system")
            raise RecipeError(
                f"apt of this machine names no archive for {one_line(system, 40)} "
                f"{one_line(codename, 40)}, which the image is of, at http or https and without a "
                "user in its URL",
                hint=_HINT.format(one_line(codename, 40) or "SUITE"),
            )
        return found

    def _given(self, text: str) -> list[Source]:
        if not text.endswith((".sources", ".list")):
            return [parse_line(text)]
        path = self.folder / text
        if text.endswith(".sources"):
            found = parse_deb822(read_text(path), one_line(text, 200))
        else:
            found = parse_list(read_text(path))
        for source in found:
            if source.problem:
                raise InvalidInput(f"{one_line(text, 200)}: {source.shown} {source.problem}")
        if not found:
            raise InvalidInput(f"{one_line(text, 200)} names no archive of packages")
        return found

    def _asked(self, sources: list[Source], codename: str) -> list[tuple[Source, Digest, Release]]:
        """Return the suites as they are signed now, asked for side by side, and checked."""
        with self._lock:
            new = [source for source in dict.fromkeys(sources) if source not in self._suites]
            # Not the crew's pool, whose failure stops the other platforms: they wait for this lock,
            # and would say that they were stopped in the place of why.
            with ThreadPoolExecutor(max(len(new), 1), "suite") as pool:
                self._suites |= zip(new, pool.map(self._suite, new), strict=True)
            found = [(source, *self._suites[source]) for source in sources]
        for source, _, release in found:
            check_release(release, source, codename, time.time(), _index_of(source))
        return found

    def _suite(self, source: Source) -> tuple[Digest, Release]:
        url = _index_of(source)
        raw = self.archive.signed(url)
        text = signed_text(raw, self._keyring(source), url)
        return Digest.of(raw), parse_release(text, url)

    def _keyring(self, source: Source) -> Keyring:
        keyring = self.app.debian_keyring
        if keyring:
            return Keyring([(keyring, read_bytes(self.folder / keyring))])
        if source.armored:
            return Keyring([("Signed-By", source.armored.encode())])
        paths = source.keys or tuple(filter(None, [self.host.keyring]))
        if not paths:
            raise InvalidInput(
                "no keyring of Debian's archive is on this machine",
                hint="install debian-archive-keyring, or name one: --debian-keyring FILE",
            )
        return Keyring([(path, read_bytes(Path(path))) for path in paths])

    def _lists(
        self, source: Source, release: Release, architecture: str
    ) -> Iterator[tuple[Source, Release, Listed, OpenFile]]:
        """Yield the lists of a suite, fetched.

        Raises :class:`NotFound` for a component that was typed and is not there: where apt's
        own configuration is turned to another release there may be none of that name.
        """
        suite = _suite_of(source)
        for component in source.components:
            if self.app.debian_archives and not release.has(component):
                raise NotFound(
                    f"{suite} has no component {component}",
                    hint=f"it has {', '.join(release.components)}" if release.components else "",
                )
            for listed in release.indexes(component, architecture):
                urls = [f"{suite}/{place}" for place in release.places(listed)]
                yield source, release, listed, self.archive.file(urls, listed.sha256, listed.size)


def _listing(source: Source, release: Release, listed: Listed, file: OpenFile) -> Listing:
    what = f"{_suite_of(source)} {listed.path}"
    with intention(what):
        text = bytearray()  # which grows without a second of 50 MB beside it
        for piece in _inflated(listed, file.whole()):
            text += piece
        return Listing(text, what, source.uri, automatic=release.automatic)


def _inflated(listed: Listed, stream: Readable) -> Iterator[bytes]:
    if listed.path.endswith(".xz"):
        return unxz(stream, listed.size, listed.inflated or _LARGEST)
    return decompress(stream, "gzip" if listed.path.endswith(".gz") else "none", listed.size)


def _suite_of(source: Source) -> str:
    return f"{source.uri}/dists/{source.suite}"


def _index_of(source: Source) -> str:
    """Return where a suite's signed index is."""
    return f"{_suite_of(source)}/InRelease"
