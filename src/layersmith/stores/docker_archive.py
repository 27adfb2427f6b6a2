"""A docker-archive: what `docker load` and `podman load` take, as a source and as a sink.

``manifest.json`` is a list of images: the path of a config, the paths of its layers,
lowest first, and names like ``localhost/python:3.13`` (RepoTags). There are no digests
of manifests in it. Written as `docker save` does it since version 25: an OCI layout
in which ``manifest.json`` points at the blobs. So layers stay compressed as they are,
and who reads the layout's own names, as this module does, finds every digest unchanged.

Where ``manifest.json`` and the layout do not say the same, or there is no layout
(skopeo, older docker), the image is described anew from ``manifest.json``: that is
what the others load.
"""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from layersmith.errors import DocumentError, InvalidInput, LayersmithError, NotFound, one_line
from layersmith.oci import strictjson
from layersmith.oci.content import CHUNK, Readable, read_document
from layersmith.oci.digest import Digest
from layersmith.oci.documents import (
    CONFIG_TYPES,
    INDEX_TYPES,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Document,
    ImageConfig,
    Index,
    Manifest,
    refuse_twins,
)
from layersmith.oci.graph import Visited
from layersmith.oci.image import is_beside_images
from layersmith.oci.reference import Reference
from layersmith.rootfs.entries import Entry, File, Meta
from layersmith.stores.archive import OciArchive
from layersmith.stores.packing import blob_name
from layersmith.stores.refnames import REF_NAME, RefNames
from layersmith.stores.tarball import compression_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.stores.tarball import Tarball

__all__ = ["DockerArchive"]

_MANIFEST: Final = "manifest.json"
# docker save writes it, and podman load calls the image by it: it reads the layout first.
_WHOLE_NAME: Final = "io.containerd.image.name"
_MAX_NESTING: Final = 3
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_SUFFIX: Final = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}


class _Item(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of ``manifest.json``."""

    config: str
    layers: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)]
    repo_tags: tuple[str, ...] | None = None


class DockerArchive(OciArchive):
    """One archive file of single-platform images; tags are the tags of its RepoTags.

    `repository` is what the tags that are written belong to; ``localhost/`` and the
    file's name without it, so that no image of another registry is replaced.
    """

    kind = "docker-archive"

    def __init__(self, path: Path, repository: str = "") -> None:
        super().__init__(path)
        stem = _NOT_IN_NAMES.sub("-", path.name.partition(".tar")[0].lower()).strip("-")
        self._repository = repository or f"localhost/{stem or 'image'}"
        self._documents: dict[Digest, bytes] = {}
        self._paths: dict[Digest, str] = {}

    def resolve(self, identifier: str) -> Descriptor:
        """Return what a tag, a whole RepoTag or a digest stands for.

        Raises :class:`NotFound`, naming what is there.
        """
        items = self._items()
        named = [item for item in items if any(_answers(n, identifier) for n in _tags(item))]
        if not named and identifier == "latest" and len(items) == 1:
            named = items
        for item in named or (items if ":" in identifier else ()):
            for found in self._described(item, identifier):
                if named or found.digest == identifier:
                    return found
        there = ", ".join(one_line(name, 140) for item in items for name in _tags(item))
        raise NotFound(
            f"{self.name} has no {one_line(identifier, 140)!r}",
            hint=f"it has: {there or 'images without names'}; write {self.kind}:FILE:NAME:TAG",
        )

    def tags(self) -> list[str]:
        """Return every RepoTag, sorted."""
        return sorted({name for item in self._items() for name in _tags(item)})

    def _described(self, item: _Item, identifier: str) -> list[Descriptor]:
        """Return the descriptors that `item` has in the layout beside it, or a new one.

        One that is named `identifier` comes first.
        """
        tarball = self._tarball()
        tops: list[Descriptor] = []
        if tarball.has("index.json"):
            with suppress(LayersmithError):
                tops = self._read_names().entries
        found = [top for top in tops if self._is_just(top, item)]
        tag = identifier.rpartition(":")[2]
        found.sort(key=lambda top: top.annotations.get(REF_NAME) not in (identifier, tag))
        return found or [self._describe(item, tarball)]

    def _is_just(self, top: Descriptor, item: _Item) -> bool:
        with suppress(LayersmithError):
            return [_as_item(manifest) for manifest in self._images(top)] == [
                (item.config, item.layers)
            ]
        return False

    def _describe(self, item: _Item, tarball: Tarball) -> Descriptor:
        """Make the manifest that the archive does not have."""
        what = f"{self.name}: {one_line(item.config, 140)}"
        raw = tarball.read(item.config)
        config = Descriptor(media_type=OCI_CONFIG, digest=Digest.of(raw), size=len(raw))
        diff_ids = Document.parse(raw, config, ImageConfig).value.rootfs.diff_ids
        if len(diff_ids) != len(item.layers):
            raise DocumentError(f"{what}: {len(diff_ids)} diff_ids, {len(item.layers)} layers")
        layers = [
            self._layer(tarball, tarball.target(path), diff_id)
            for path, diff_id in zip(item.layers, diff_ids, strict=True)
        ]
        document = Document.write(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": msgspec.to_builtins(config, enc_hook=str),
                "layers": [msgspec.to_builtins(layer, enc_hook=str) for layer in layers],
            },
            OCI_MANIFEST,
            Manifest,
        )
        self._documents |= {config.digest: raw, document.descriptor.digest: document.raw}
        return document.descriptor

    def _layer(self, tarball: Tarball, path: str, diff_id: Digest) -> Descriptor:
        """Describe a layer: the diff_id is the digest of a plain one, checked when read."""
        stream, digest = tarball.open(path), diff_id
        compression = compression_of(stream.read(4))
        if compression != "none":
            digest = _digest_of(tarball.open(path))
        self._paths[digest] = path
        media_type = f"{OCI_LAYER}{_SUFFIX[compression]}"
        return Descriptor(media_type=media_type, digest=digest, size=tarball.size(path))

    def _member(self, descriptor: Descriptor) -> Readable:
        raw = self._documents.get(descriptor.digest)
        if raw is not None:
            return io.BytesIO(raw)
        path = self._paths.get(descriptor.digest)
        return super()._member(descriptor) if path is None else self._tarball().open(path)

    def _annotations(self, name: str) -> dict[str, str]:
        return {_WHOLE_NAME: f"{self._repository}:{name}"}

    def _members(self, names: RefNames) -> dict[str, Entry]:
        items: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for top in names.entries:
            images = self._images(top)
            if len(images) != 1:
                raise InvalidInput(
                    f"{self.name}: {top.digest} has {len(images)} images, an entry of a "
                    "docker-archive is one",
                    hint="choose one with --platform, or write an oci-archive",
                )
            repo_tag = f"{self._repository}:{top.annotations[REF_NAME]}"
            items.setdefault(_as_item(images[0]), []).append(repo_tag)
        manifest = [
            {"Config": config, "RepoTags": sorted(tags), "Layers": layers}
            for (config, layers), tags in items.items()
        ]
        document = File(Meta(0o644), strictjson.encode(manifest))
        return {**super()._members(names), _MANIFEST: document}

    def _images(self, top: Descriptor) -> list[Manifest]:
        """Return the manifests of images below `top`, each once."""
        return list(self._found(top, Visited(self.name), 0))

    def _found(self, top: Descriptor, visited: Visited, depth: int) -> Iterator[Manifest]:
        if visited.has(top):
            return
        visited.add(top)
        raw = read_document(self, top)
        if top.media_type not in INDEX_TYPES:
            manifest = Document.parse(raw, top, Manifest).value
            if manifest.config.media_type not in CONFIG_TYPES:
                raise DocumentError(f"{self.name}: {top.digest} is not an image")
            yield manifest
            return
        if depth == _MAX_NESTING:
            raise DocumentError(f"{self.name}: indexes nested deeper than {_MAX_NESTING}")
        children = Document.parse(raw, top, Index).value.manifests
        for child in children:
            if not is_beside_images(child):
                yield from self._found(child, visited, depth + 1)

    def _items(self) -> list[_Item]:
        tarball = self._tarball()
        what = f"{self.name} {_MANIFEST}"
        if not tarball.has(_MANIFEST):
            raise NotFound(
                f"{self.name} is not a docker-archive: it has no {_MANIFEST}",
                hint="OCI archives are read with oci-archive:FILE",
            )
        json = strictjson.decode(tarball.read(_MANIFEST), what)
        refuse_twins(json, what)
        return strictjson.typed(json, list[_Item], what)


def _tags(item: _Item) -> tuple[str, ...]:
    return item.repo_tags or ()


def _answers(name: str, identifier: str) -> bool:
    """Tell whether `identifier` means `name`: as it is, by its tag, or in a short form."""
    if identifier in (name, name.rpartition(":")[2]):
        return True
    with suppress(LayersmithError):
        return "/" in identifier and Reference.parse(name) == Reference.parse(identifier)
    return False


def _as_item(manifest: Manifest) -> tuple[str, tuple[str, ...]]:
    """Return the paths of config and layers as ``manifest.json`` has them."""
    layers = tuple(blob_name(layer.digest) for layer in manifest.layers)
    return blob_name(manifest.config.digest), layers


def _digest_of(stream: Readable) -> Digest:
    hasher = hashlib.sha256()
    while data := stream.read(CHUNK):
        hasher.update(data)
    return Digest.of_hasher(hasher)
