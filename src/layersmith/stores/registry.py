"""Registries as sources and sinks (distribution-spec 1.1).

::

    Registries(options)                    one client per origin, shared by threads
      .repository(reference)
         RegistryRepository              both ports of oci.content, one repository
           registry_download.Download      bytes off the wire
           registry_upload                 bytes onto it
           retries.Patience                when to try again, one for a host
           registry_client.RegistryClient  authorization, redirects, on oras
             transport.Transport           one HTTP exchange
               wire                        sockets that watch the peer

This module imports no network library; the first repository that is opened does.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from layersmith.oci.content import NoProgress
from layersmith.stores.registry_options import Endpoint, RegistryOptions, endpoint_for

if TYPE_CHECKING:
    from types import TracebackType

    from layersmith.oci.content import Progress
    from layersmith.oci.reference import Reference
    from layersmith.stores.registry_client import RegistryClient
    from layersmith.stores.registry_repository import RegistryRepository
    from layersmith.stores.retries import Clock

__all__ = ["Endpoint", "Registries", "RegistryOptions", "endpoint_for"]


class Registries:
    """Every registry of one run: hands out repositories, closes connections at the end."""

    def __init__(
        self,
        options: RegistryOptions | None = None,
        progress: Progress | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._options = options or RegistryOptions()
        self._progress = progress or NoProgress()
        self._clock = clock
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

    def repository(self, reference: Reference, *, mirrored: bool = True) -> RegistryRepository:
        """Return the repository of `reference`; nothing is sent yet.

        Mirrors are for reading: what is written goes to the registry itself, so open it
        without `mirrored`. Raises :class:`InvalidInput` for a bad mirror.
        """
        from layersmith.stores.registry_repository import (  # noqa: PLC0415 - 100 ms of imports
            RegistryRepository,
        )

        endpoint = self.endpoint(reference, mirrored=mirrored)
        client = self._client(endpoint)
        return RegistryRepository(client, endpoint, reference, self.endpoint, self._progress)

    def client(self, host: str) -> RegistryClient:
        """Return the client of the registry itself, no mirror."""
        return self._client(endpoint_for(host, {}, self._options.plain_http))

    def endpoint(self, reference: Reference, *, mirrored: bool = True) -> Endpoint:
        """Return where `reference`'s registry is spoken to."""
        mirrors = self._options.mirrors if mirrored else {}
        return endpoint_for(reference.registry, mirrors, self._options.plain_http)

    def _client(self, endpoint: Endpoint) -> RegistryClient:
        from layersmith.stores.registry_client import (  # noqa: PLC0415 - as above
            RegistryClient,
        )
        from layersmith.stores.retries import Patience  # noqa: PLC0415 - email's date parser

        with self._lock:
            client = self._clients.get(endpoint.origin)
            if client is None:
                patience = Patience(self._options.limits, self._clock, self._progress)
                client = RegistryClient(endpoint, self._options, patience)
                self._clients[endpoint.origin] = client
            return client
