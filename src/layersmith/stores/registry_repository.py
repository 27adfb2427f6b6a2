"""One repository of one registry, as a source and as a sink (distribution-spec 1.1).

Importing this module loads oras and requests; :class:`layersmith.stores.registry.Registries`
does when a repository is opened.
"""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from layersmith.errors import (
    DigestMismatch,
    DocumentError,
    InvalidReference,
    LayersmithError,
    NotFound,
    RegistryError,
    Unauthorized,
    one_line,
)
from layersmith.oci.content import VerifiedReader, is_manifest, twice
from layersmith.oci.digest import Digest
from layersmith.oci.reference import valid_tag
from layersmith.stores.auth import repository_scopes
from layersmith.stores.registry_answers import content_length, discard
from layersmith.stores.registry_body import UploadBody
from layersmith.stores.registry_checks import (
    DOCUMENT_TYPES,
    described,
    digest_of,
    read_manifest,
)
from layersmith.stores.registry_chunks import check_created
from layersmith.stores.registry_client import Place
from layersmith.stores.registry_download import Download
from layersmith.stores.registry_upload import Habits, Upload, start_upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from layersmith.oci.content import Opener, Progress, Readable
    from layersmith.oci.documents import Descriptor
    from layersmith.oci.reference import Reference
    from layersmith.stores.registry_chunks import Session
    from layersmith.stores.registry_client import RegistryClient
    from layersmith.stores.registry_options import Endpoint

__all__ = ["RegistryRepository"]

_ACCEPT: Final = ", ".join(sorted(DOCUMENT_TYPES, reverse=True))
_NO_HEAD: Final = frozenset({405, 501})


class RegistryRepository:
    """One repository of one registry: a Source and a Sink, for any number of threads."""

    def __init__(
        self,
        client: RegistryClient,
        endpoint: Endpoint,
        reference: Reference,
        endpoint_of: Callable[[Reference], Endpoint],
        progress: Progress,
    ) -> None:
        self._client = client
        self._endpoint_of = endpoint_of
        self._path = endpoint.repository(reference.repository)
        self._pull = repository_scopes(self._path, "pull")
        self._push = repository_scopes(self._path, "pull", "push")
        self._place = Place(endpoint.host, self._path)
        self._name = reference.name
        mirrored = self._name != f"{endpoint.host}/{self._path}" and not client.is_hub
        self._where = f"{self._name} (at {endpoint.origin})" if mirrored else self._name
        self._progress = progress
        self._documents = _Documents(client.limits.kept_documents)
        self._sessions: dict[Digest, Session] = {}
        self._habits = Habits()
        self._has_images = False

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
        what = f"{self._where}: resolving {identifier}"
        wanted = None if valid_tag(identifier) else Digest(identifier)
        response = self._ask("HEAD", url, _ACCEPT, what)
        discard(response, self._client.limits.error_body)
        if response.status_code in _NO_HEAD:
            return self._resolve_by_get(url, wanted, what)
        if response.status_code != 200:
            raise self._client.refusal(response, what, missing="check the name and the tag")
        try:
            found = described(response, wanted, what, self._client.limits.document)
        except DigestMismatch:  # perhaps only its header is wrong
            found = None
        return found or self._resolve_by_get(url, wanted, what)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Readable]:
        """Open the raw bytes of `descriptor`, verified while they are read.

        A manifest is verified before it is handed out, and fetched again if it is wrong.
        """
        if is_manifest(descriptor):
            self._check_size(descriptor)
            raw = self._documents.get(descriptor.digest)
            if raw is None:
                raw = twice(lambda: self._fetched(descriptor))
                self._documents.keep(descriptor.digest, raw)
            yield VerifiedReader(io.BytesIO(raw), descriptor, self._where)
            return
        with self._download(descriptor, "*/*") as stream:
            yield stream

    @contextmanager
    def _download(self, descriptor: Descriptor, accept: str) -> Iterator[VerifiedReader]:
        with Download(
            self._client,
            self._content_url(descriptor),
            descriptor,
            where=self._where,
            accept=accept,
            scopes=self._pull,
            progress=self._progress,
        ) as download:
            yield VerifiedReader(download, descriptor, f"fetching from {self._where}")

    def _fetched(self, descriptor: Descriptor) -> bytes:
        with self._download(descriptor, descriptor.media_type) as stream:
            return stream.read()

    def has(self, descriptor: Descriptor) -> bool:
        """Tell whether the registry has the content, by HEAD."""
        accept = descriptor.media_type if is_manifest(descriptor) else "*/*"
        url = self._content_url(descriptor)
        what = f"{self._where}: looking for {descriptor.digest}"
        response = self._ask("HEAD", url, accept, what)
        if response.status_code in _NO_HEAD:
            response = self._ask("GET", url, accept, what)
        discard(response, self._client.limits.error_body)
        if response.status_code == 404:
            return False
        if response.status_code != 200:
            raise self._client.refusal(response, what)
        return content_length(response) in (None, descriptor.size)

    def mount(self, descriptor: Descriptor, origin: Reference) -> bool:
        """Take a blob over from `origin`'s repository, if it is at the same endpoint.

        "Mounting a blob from another repository": 201 is believed only after a HEAD;
        the upload session of a 202 is kept for the :meth:`put` that follows.
        """
        endpoint = self._endpoint_of(origin)
        if endpoint.host != self._client.endpoint.host or is_manifest(descriptor):
            return False
        source = endpoint.repository(origin.repository)
        if source == self._path:
            return self.has(descriptor)
        # Where an earlier image is, most of this one is: that takes one question, not two.
        if self._has_images and self.has(descriptor):
            return True
        return self._mount_from(source, descriptor)

    def _mount_from(self, source: str, descriptor: Descriptor) -> bool:
        base = self._client.url(self._place.upload_blob_url())
        url = f"{base}?mount={descriptor.digest}&from={source}"
        what = f"{self._where}: mounting {descriptor.digest}"
        scopes = self._push | repository_scopes(source, "pull")
        try:
            session = start_upload(self._client, url, scopes, what)
        except (NotFound, Unauthorized):  # perhaps the other repository: the upload will tell
            return False
        except RegistryError as error:
            if error.status and not error.temporary:
                return False
            raise
        if session is not None:
            self._sessions[descriptor.digest] = session
            return False
        return self.has(descriptor)

    def put(self, descriptor: Descriptor, opener: Opener) -> None:
        """Store a blob or a manifest; nothing is visible unless all of it verified."""
        if is_manifest(descriptor):
            self._check_size(descriptor)
            with opener() as stream:
                raw = VerifiedReader(stream, descriptor, self._where).read()
            self._put_document(descriptor.digest, raw, descriptor)
            self._documents.keep(descriptor.digest, raw)
            return

        with UploadBody(opener, descriptor, self._where, self._progress) as body:
            upload = Upload(
                self._client,
                self._client.url(self._place.upload_blob_url()),
                descriptor,
                body,
                scopes=self._push,
                what=f"{self._where}: uploading {descriptor.digest}",
                has=self.has,
                habits=self._habits,
            )
            upload.run(self._sessions.pop(descriptor.digest, None))

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """Let `name` stand for a manifest that was put here or is here."""
        if not valid_tag(name):
            raise InvalidReference(f"{one_line(name, 140)!r} is not a tag")
        with self.open(descriptor) as stream:
            raw = stream.read()
        self._put_document(name, raw, descriptor)

    def stands_for(self, name: str, descriptor: Descriptor) -> bool:
        """Tell whether the tag stands for just this manifest: one HEAD."""
        try:
            found = self.resolve(name)
        except (NotFound, Unauthorized):  # the put that follows will tell why
            return False
        self._has_images = True
        return found.digest == descriptor.digest

    def abandon(self) -> None:
        """Cancel upload sessions; what was put is for the registry's garbage collection."""
        while self._sessions:
            _, session = self._sessions.popitem()
            response = self._client.do_request(
                session.location, "DELETE", scopes=self._push, once=True
            )
            discard(response, self._client.limits.error_body)

    def _check_size(self, descriptor: Descriptor) -> None:
        limit = self._client.limits.document
        if descriptor.size > limit:
            raise DocumentError(
                f"{self._where}: {descriptor.digest} is said to be {descriptor.size} bytes, "
                f"manifests are at most {limit}"
            )

    def _content_url(self, descriptor: Descriptor) -> str:
        url = self._place.manifest_url if is_manifest(descriptor) else self._place.get_blob_url
        return self._client.url(url(descriptor.digest))

    def _put_document(self, identifier: str, raw: bytes, descriptor: Descriptor) -> None:
        """Put a manifest; once more where the answer was none and it is not there."""
        url = self._client.url(self._place.manifest_url(identifier))
        headers = {"Content-Type": descriptor.media_type}
        what = f"{self._where}: writing the manifest {identifier}"
        for is_last in (False, True):
            try:
                response = self._client.do_request(
                    url, "PUT", data=raw, headers=headers, scopes=self._push, what=what
                )
                check_created(self._client, response, descriptor, what, incomplete=True)
            except (RegistryError, DigestMismatch) as error:
                # The answer may be lost, or a proxy's, and the manifest there all the same.
                status = error.status if isinstance(error, RegistryError) else 201
                if not 400 <= status < 500 and self._is_written(url, descriptor):
                    return
                if is_last or not 200 <= status < 400:
                    raise
            else:
                return

    def _is_written(self, url: str, descriptor: Descriptor) -> bool:
        """Ask once whether the manifest stands there."""
        try:
            response = self._ask("HEAD", url, descriptor.media_type, once=True)
        except LayersmithError:
            return False
        discard(response, self._client.limits.error_body)
        return response.status_code == 200 and digest_of(response) == descriptor.digest

    def _ask(
        self, method: str, url: str, accept: str, what: str = "", *, once: bool = False
    ) -> requests.Response:
        headers = {"Accept": accept}
        response: requests.Response = self._client.do_request(
            url, method, headers=headers, scopes=self._pull, once=once, what=what
        )
        return response

    def _resolve_by_get(self, url: str, wanted: Digest | None, what: str) -> Descriptor:
        """Fetch what the tag stands for, describe it ourselves and keep the bytes."""
        descriptor, raw = twice(lambda: self._manifest(url, wanted, what))
        self._documents.keep(descriptor.digest, raw)
        return descriptor

    def _manifest(self, url: str, wanted: Digest | None, what: str) -> tuple[Descriptor, bytes]:
        tries = self._client.patience.tries()
        while True:
            response = self._ask("GET", url, _ACCEPT, what)
            if response.status_code != 200:
                raise self._client.refusal(response, what, missing="check the name and the tag")
            try:
                return read_manifest(self._client, response, wanted, what)
            except RegistryError as error:
                if not tries.after(error):
                    raise


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
