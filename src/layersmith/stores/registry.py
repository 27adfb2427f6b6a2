"""Registries as sources and sinks (distribution-spec 1.1).

::

    Registries(options)                    one client per origin, shared by threads
      .repository(reference)
         RegistryRepository                both ports of oci.content, one repository
           registry_download.Download      bytes off the wire
           registry_upload                 bytes onto it
           registry_client.RegistryClient  authorization, redirects, on oras
             transport.Transport           one HTTP exchange

This module imports no network library; the first repository that is opened does.
"""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Self

from layersmith.errors import InvalidDigest, NotFound, Unauthorized
from layersmith.oci.content import NoProgress, VerifiedReader, is_manifest
from layersmith.oci.digest import Digest
from layersmith.oci.documents import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from layersmith.stores.auth import repository_scopes
from layersmith.stores.registry_options import Endpoint, RegistryOptions, endpoint_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import requests

    from layersmith.oci.content import Progress, Readable
    from layersmith.oci.reference import Reference
    from layersmith.stores.registry_client import RegistryClient

__all__ = ["Endpoint", "Registries", "RegistryOptions", "RegistryRepository", "endpoint_for"]

_DOCUMENT_TYPES: Final = INDEX_TYPES | MANIFEST_TYPES
_ACCEPT: Final = ", ".join(sorted(_DOCUMENT_TYPES, reverse=True))
_NO_HEAD: Final = frozenset({405, 501})


class Registries:
    """Every registry of one run: hands out repositories, closes connections at the end."""

    def __init__(
        self, options: RegistryOptions | None = None, progress: Progress | None = None
    ) -> None:
        self._options = options or RegistryOptions()
        self._progress = progress or NoProgress()
        self._clients: dict[str, RegistryClient] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close every connection; a repository that is used again opens new ones."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def repository(self, reference: Reference) -> RegistryRepository:
        """Return the repository of `reference`; nothing is sent yet.

        Raises :class:`InvalidInput` for a bad mirror.
        """
        endpoint = self.endpoint(reference)
        return RegistryRepository(self, self._client(endpoint), reference, self._progress)

    def endpoint(self, reference: Reference) -> Endpoint:
        """Return where `reference`'s registry is spoken to."""
        options = self._options
        return endpoint_for(reference.registry, options.mirrors, options.plain_http)

    def _client(self, endpoint: Endpoint) -> RegistryClient:
        from layersmith.stores.registry_client import (  # noqa: PLC0415 - 100 ms of imports
            RegistryClient,
        )

        with self._lock:
            client = self._clients.get(endpoint.origin)
            if client is None:
                client = self._clients[endpoint.origin] = RegistryClient(endpoint, self._options)
            return client


class RegistryRepository:
    """One repository of one registry: a Source and a Sink, for any number of threads."""

    def __init__(
        self,
        registries: Registries,
        client: RegistryClient,
        reference: Reference,
        progress: Progress,
    ) -> None:
        from layersmith.stores.registry_client import Place  # noqa: PLC0415 - loaded by now

        endpoint = registries.endpoint(reference)
        self._registries = registries
        self._client = client
        self._path = endpoint.repository(reference.repository)
        self._pull = repository_scopes(self._path, "pull")
        self._push = repository_scopes(self._path, "pull", "push")
        self._place = Place(endpoint.host, self._path)
        self._name = reference.name
        self._progress = progress
        self._documents = _Documents(client.limits.kept_documents)
        self._sessions: dict[Digest, str] = {}

    def __repr__(self) -> str:
        """Name the repository."""
        return f"<{type(self).__name__} {self._name}>"

    @property
    def name(self) -> str:
        """``registry/repository``, as it was asked for."""
        return self._name

    def resolve(self, identifier: str) -> Descriptor:
        """Return what a tag or digest stands for now.

        A HEAD costs least; a registry that does not answer it fully is asked with
        GET ("Pulling manifests": a client MAY verify Docker-Content-Digest, so one
        that is missing is computed).

        Raises :class:`NotFound`, :class:`Unauthorized` or :class:`RegistryError`.
        """
        url = self._client.url(self._place.manifest_url(identifier))
        what = f"{self._name}: resolving {identifier}"
        response = self._client.do_request(
            url, "HEAD", headers={"Accept": _ACCEPT}, scopes=self._pull
        )
        response.close()
        if response.status_code not in (200, *_NO_HEAD):
            raise self._client.refusal(response, what, missing="check the name and the tag")
        found = _described(response) if response.status_code == 200 else None
        return found or self._resolve_by_get(url, what)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open the raw bytes of `descriptor`, verified while they are read."""
        kept = self._documents.get(descriptor.digest)
        if kept is not None:
            yield VerifiedReader(io.BytesIO(kept), descriptor, self._name)
            return
        from layersmith.stores.registry_download import Download  # noqa: PLC0415 - see _client

        with Download(
            self._client,
            self._content_url(descriptor),
            descriptor,
            where=self._name,
            accept=descriptor.media_type if is_manifest(descriptor) else "*/*",
            scopes=self._pull,
            progress=self._progress,
        ) as download:
            yield VerifiedReader(download, descriptor, self._name)

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the registry has the content, by HEAD."""
        headers = {"Accept": descriptor.media_type} if is_manifest(descriptor) else {}
        url = self._content_url(descriptor)
        response = self._client.do_request(url, "HEAD", headers=headers, scopes=self._pull)
        response.close()
        if response.status_code == 404:
            return False
        if response.status_code != 200:
            raise self._client.refusal(response, f"{self._name}: looking for {descriptor.digest}")
        length = response.headers.get("Content-Length", "")
        return not length.isdecimal() or int(length) == descriptor.size

    def mount(self, descriptor: Descriptor, origin: Reference) -> bool:
        """Take a blob over from `origin`'s repository, if it is at the same endpoint.

        "Mounting a blob from another repository": 201 is believed only after a HEAD;
        the upload session of a 202 is kept for the :meth:`put` that follows.
        """
        from layersmith.stores.registry_upload import start_upload  # noqa: PLC0415 - see _client

        endpoint = self._registries.endpoint(origin)
        if endpoint.origin != self._client.endpoint.origin or is_manifest(descriptor):
            return False
        source = endpoint.repository(origin.repository)
        if source == self._path:
            return self.has(descriptor)
        base = self._client.url(self._place.upload_blob_url())
        url = f"{base}?mount={descriptor.digest}&from={source}"
        what = f"{self._name}: mounting {descriptor.digest}"
        scopes = self._push | repository_scopes(source, "pull")
        try:
            location = start_upload(self._client, url, scopes, what)
        except Unauthorized:  # perhaps for the other repository: the upload will tell
            return False
        if location:
            self._sessions[descriptor.digest] = location
            return False
        return self.has(descriptor)

    def put(self, descriptor: Descriptor, stream: Readable) -> None:
        """Store a blob or a manifest; nothing is visible unless all of it verified."""
        if is_manifest(descriptor):
            raw = VerifiedReader(stream, descriptor, self._name).read()
            self._put_document(descriptor.digest, raw, descriptor)
            self._documents.keep(descriptor.digest, raw)
            return
        from layersmith.stores.registry_upload import (  # noqa: PLC0415 - see _client
            UploadBody,
            start_upload,
            upload,
        )

        what = f"{self._name}: uploading {descriptor.digest}"
        location = self._sessions.pop(descriptor.digest, "")
        if not location:
            url = self._client.url(self._place.upload_blob_url())
            location = start_upload(self._client, url, self._push, what)
        body = UploadBody(stream, descriptor, self._name, self._progress)
        upload(self._client, location, body, descriptor, self._push, what)

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Let `name` stand for a manifest that was put here or is here."""
        with self.open(descriptor) as stream:
            raw = stream.read()
        self._put_document(name, raw, descriptor)

    def stands_for(self, name: str, descriptor: Descriptor) -> bool:
        """Tell whether the tag stands for just this manifest: one HEAD."""
        try:
            return self.resolve(name).digest == descriptor.digest
        except NotFound:
            return False

    def abandon(self) -> None:
        """Leave untagged content to the registry's garbage collection."""

    def _content_url(self, descriptor: Descriptor) -> str:
        url = self._place.manifest_url if is_manifest(descriptor) else self._place.get_blob_url
        return self._client.url(url(descriptor.digest))

    def _put_document(self, identifier: str, raw: bytes, descriptor: Descriptor) -> None:
        from layersmith.stores.registry_upload import check_created  # noqa: PLC0415 - see _client

        url = self._client.url(self._place.manifest_url(identifier))
        headers = {"Content-Type": descriptor.media_type}
        response = self._client.do_request(url, "PUT", data=raw, headers=headers, scopes=self._push)
        what = f"{self._name}: writing the manifest {identifier}"
        check_created(self._client, response, descriptor, what)

    def _resolve_by_get(self, url: str, what: str) -> Descriptor:
        """Fetch what the tag stands for, describe it ourselves and keep the bytes."""
        from layersmith.stores.registry_download import read_manifest  # noqa: PLC0415 - see _client

        response = self._client.do_request(url, headers={"Accept": _ACCEPT}, scopes=self._pull)
        if response.status_code != 200:
            raise self._client.refusal(response, what, missing="check the name and the tag")
        descriptor, raw = read_manifest(self._client, response, what)
        self._documents.keep(descriptor.digest, raw)
        return descriptor


class _Documents:
    """The last manifests read or put, up to `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[Digest, bytes] = {}
        self._lock = threading.Lock()

    def get(self, digest: Digest) -> bytes | None:
        """Return the bytes, if they are still here."""
        return self._kept.get(digest)

    def keep(self, digest: Digest, raw: bytes) -> None:
        """Keep `raw`; the oldest give way."""
        with self._lock:
            self._kept[digest] = raw
            while sum(map(len, self._kept.values())) > self._limit:
                del self._kept[next(iter(self._kept))]


def _described(response: requests.Response) -> Descriptor | None:
    """Return the descriptor that the headers give, or None if they are not enough."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    length = response.headers.get("Content-Length", "")
    if media_type not in _DOCUMENT_TYPES or not length.isdecimal():
        return None
    try:
        digest = Digest(response.headers.get("Docker-Content-Digest", ""))
    except InvalidDigest:
        return None
    return Descriptor(media_type=media_type, digest=digest, size=int(length))
