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
from layersmith.stores.registry_options import (
    Endpoint,
    RegistryOptions,
    endpoint_at,
    endpoint_for,
)

if TYPE_CHECKING:
    from types import TracebackType

    from layersmith.oci.content import Progress
    from layersmith.oci.reference import Reference
    from layersmith.stores.registries_conf import Location, Rule
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
        self._conf: tuple[Rule, ...] | None = None
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

    def cut(self) -> None:
        """End what is under way, whoever waits for it."""
        for client in tuple(self._clients.values()):
            client.cut()

    def repository(self, reference: Reference, *, mirrored: bool = True) -> RegistryRepository:
        """Return the repository of `reference`; nothing is sent yet.

        Mirrors are for reading: what is written goes to the registry itself, so open it
        without `mirrored`. Raises :class:`InvalidInput` for a bad mirror.
        """
        from layersmith.stores.registry_repository import (  # noqa: PLC0415 - 100 ms of imports
            RegistryRepository,
        )

        own, mirrors = self._places(reference, mirrored=mirrored)
        last = (self._client(own), own, reference, self.endpoint, self._progress)
        if not mirrors:
            return RegistryRepository(*last)
        from layersmith.stores.registry_mirrors import (  # noqa: PLC0415 - as above
            Mirror,
            MirroredRepository,
        )

        first = [
            Mirror(RegistryRepository(self._client(at), at, *last[2:]), where.digests, where.tags)
            for at, where in mirrors
        ]
        return MirroredRepository(first, *last)

    def _places(
        self, reference: Reference, *, mirrored: bool
    ) -> tuple[Endpoint, list[tuple[Endpoint, Location]]]:
        """Return where a repository is read in the end, and its mirrors before that.

        What the user names on the command line, in the recipe or the environment takes
        the registry's place: it may be out of reach, or not to be asked. After
        registries.conf the registry itself is asked last.
        """
        from layersmith.stores.registries_conf import Location, rule_for  # noqa: PLC0415

        if not mirrored:
            return self.endpoint(reference, mirrored=False), []
        if named := self._options.mirrors.get(reference.registry):
            texts = [text.strip() for text in named.split(",")]
            places = [endpoint_at(text, self._options) for text in texts]
            return places[-1], [(at, Location(at.host)) for at in places[:-1]]
        if (rule := rule_for(self._rules(), reference)) is None:
            return self.endpoint(reference, mirrored=False), []
        wild = rule.prefix.startswith("*.")
        replaced = "" if wild else rule.prefix.partition("/")[2]

        def at(location: Location) -> Endpoint:
            return endpoint_at(
                location.text, self._options, replaced=replaced, insecure=location.insecure
            )

        own = rule.location if rule.location.text else Location(reference.registry)
        return at(own), [(at(mirror), mirror) for mirror in rule.mirrors]

    def _rules(self) -> tuple[Rule, ...]:
        from layersmith.stores.registries_conf import read_rules  # noqa: PLC0415

        with self._lock:
            if self._conf is None:
                self._conf = read_rules()
            return self._conf

    def client(self, host: str) -> RegistryClient:
        """Return the client of the registry itself, no mirror."""
        insecure = any(r.fits(host) and r.location.insecure for r in self._rules())
        return self._client(endpoint_for(host, self._options, mirrored=False, insecure=insecure))

    def endpoint(self, reference: Reference, *, mirrored: bool = True) -> Endpoint:
        """Return where `reference`'s registry is spoken to; raises as :meth:`repository`."""
        if mirrored and reference.registry in self._options.mirrors:
            return endpoint_for(reference.registry, self._options)
        from layersmith.stores.registries_conf import rule_for  # noqa: PLC0415

        rule = rule_for(self._rules(), reference)
        insecure = rule is not None and rule.location.insecure
        return endpoint_for(reference.registry, self._options, mirrored=False, insecure=insecure)

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
