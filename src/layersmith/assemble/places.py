"""From what a user writes to a source or a sink.

::

    REGISTRY/REPOSITORY[:TAG][@DIGEST]       a registry; short forms are Docker's
    oci:DIR[:TAG][@DIGEST]                   an OCI layout
    oci-archive:FILE[:TAG][@DIGEST]          the same in a tar file
    docker-archive:FILE[:[NAME:]TAG]         what docker load takes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from layersmith.errors import InvalidInput, InvalidReference, typed
from layersmith.oci.content import Sink, Source
from layersmith.oci.digest import Digest
from layersmith.oci.reference import Reference, valid_tag
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from layersmith.stores.archive import OciArchive
    from layersmith.stores.registry import Registries

__all__ = ["FILE_KINDS", "Place", "Repository"]

FILE_KINDS: Final = ("oci", "oci-archive", "docker-archive")
_DIGEST: Final = re.compile(r"@(?=sha(?:256|512):)")


class Repository(Source, Sink, Protocol):
    """What every place is: both ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where images are, and a tag or digest there.

    `reference` is of a registry, `path` of the other kinds; `repository` is the name
    part of a docker-archive's RepoTags.
    """

    kind: str = "registry"
    reference: Reference | None = None
    path: Path | None = None
    repository: str = ""
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `text`; raises :class:`InvalidReference` or :class:`InvalidDigest`."""
        if not text.isprintable() and any(ord(c) < 32 or ord(c) == 127 for c in text):
            raise InvalidReference(f"{typed(text, 200)!r} has control characters: no place")
        kind, _, rest = text.partition(":")
        if kind not in FILE_KINDS:
            try:
                reference = Reference.parse(text)
            except InvalidReference as error:
                error.hint = _hint(kind, text) or error.hint
                raise
            return cls(reference=reference, tag=reference.tag, digest=reference.digest)
        try:
            return _archived(rest) if kind == "docker-archive" else _laid_out(kind, rest)
        except InvalidReference:
            form = "docker-archive:FILE[:[NAME:]TAG]" if kind == "docker-archive" else ""
            raise InvalidReference(
                f"{typed(text, 200)!r} is no place",
                hint=f"write {form or f'{kind}:PATH or {kind}:PATH:TAG'}",
            ) from None

    @property
    def identifier(self) -> str:
        """The tag or digest to ask for."""
        if self.repository:
            return f"{self.repository}:{self.tag}"
        return self.digest or self.tag or "latest"

    @property
    def name(self) -> str:
        """The place without a tag or digest."""
        if self.reference is not None:
            return self.reference.name
        assert self.path is not None
        # A directory called x:y is not the tag y in x.
        return f"{self.kind}:{self.path}{'/' if ':' in self.path.name else ''}"

    @property
    def holds_one(self) -> bool:
        """Tell whether a tag there can only be an image of one platform."""
        return self.kind == "docker-archive"

    def __str__(self) -> str:
        """Return the place in full."""
        if self.reference is not None:
            return str(self.reference)
        name = self.named(self.tag) if self.tag else self.name
        return f"{name}@{self.digest}" if self.digest else name

    def source(self, registries: Registries) -> Repository:
        """Open for reading."""
        return self._open(registries, mirrored=True)

    def sink(self, registries: Registries) -> Repository:
        """Open for writing."""
        if self.digest is not None:
            raise InvalidReference(
                f"{self!s} names a digest: that is not a place to push to",
                hint="name a tag, or none",
            )
        return self._open(registries, mirrored=False)

    def beside(self, registries: Registries) -> Repository:
        """Open to add to what is there; raises :class:`InvalidInput` for an archive."""
        self.check_adding()
        return self._open(registries, mirrored=False)

    def check_adding(self) -> None:
        """Raise :class:`InvalidInput` where nothing can be added to what is there."""
        if "archive" in self.kind:
            raise InvalidInput(
                f"{self!s} is an archive: nothing can be added to it",
                hint="sign what is in a registry or a layout, then copy it with --referrers",
            )

    def tags(self, registries: Registries) -> list[str]:
        """Return every tag of the repository, or every name in the layout or archive."""
        if self.reference is None:
            return self._open_file().tags()
        from layersmith.stores.registry_tags import RegistryListing  # noqa: PLC0415 - the network

        return RegistryListing(registries.repository(self.reference)).tags()

    def named(self, tag: str) -> str:
        """Return how the place is called under `tag`."""
        if self.reference is not None:
            return str(self.reference.with_tag(tag))
        return f"{self.kind}:{self.path}:{self.repository}{':' if self.repository else ''}{tag}"

    def _open(self, registries: Registries, *, mirrored: bool) -> Repository:
        if self.reference is not None:
            return registries.repository(self.reference, mirrored=mirrored)
        return self._open_file()

    def _open_file(self) -> Layout | OciArchive:
        assert self.path is not None
        if self.kind == "oci":
            return Layout(self.path)
        if self.kind == "oci-archive":
            from layersmith.stores.archive import OciArchive  # noqa: PLC0415 - seldom needed

            return OciArchive(self.path)
        from layersmith.stores.docker_archive import DockerArchive  # noqa: PLC0415 - as above

        return DockerArchive(self.path, self.repository)


def _hint(kind: str, text: str) -> str:
    """Say what to write in place of what other tools take, or of a path."""
    if kind in ("docker", "http", "https"):
        return f"write HOST[:PORT]/NAME[:TAG], without {kind}://"
    if text.startswith(("/", "./", "../", "~")):
        return f"for files write {', '.join(f'{known}:PATH' for known in FILE_KINDS)}"
    return ""


def _laid_out(kind: str, rest: str) -> Place:
    path, *digests = _DIGEST.split(rest, maxsplit=1)
    head, colon, tail = path.rpartition(":")
    tag = tail if colon and "/" not in tail else None
    where = head if tag is not None else path
    if not where or (tag is not None and not valid_tag(tag)):
        raise InvalidReference(rest)
    found = Digest(digests[0]) if digests else None
    return Place(kind=kind, path=Path(where), tag=tag, digest=found)


def _archived(rest: str) -> Place:
    where, colon, name = rest.partition(":")
    if not where or (colon and not name) or _DIGEST.search(rest):
        raise InvalidReference(rest)
    if "/" in name or ":" in name:
        reference = Reference.parse(name)
        if reference.digest is not None:
            raise InvalidReference(rest)
        repository, tag = reference.name, reference.tag or "latest"
        return Place(kind="docker-archive", path=Path(where), repository=repository, tag=tag)
    if colon and not valid_tag(name):
        raise InvalidReference(rest)
    return Place(kind="docker-archive", path=Path(where), tag=name or None)
