"""The client of one registry origin, on the skeleton of :class:`oras.provider.Registry`.

Every request goes through :meth:`RegistryClient.do_request`, the single choke point:
it asks for authorization, sends with timeouts, answers one challenge and follows
redirects hop by hop. What of oras would go around it, or trust what it reads
(RELIABILITY rows 1-34), raises.

Importing this module loads oras and what it drags in; only
:class:`layersmith.stores.registry.Registries` does, when a registry is really opened.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from layersmith.errors import RegistryError, intention
from layersmith.oci.reference import Reference
from layersmith.stores.registry_answers import discard, error_of, is_temporary
from layersmith.stores.registry_options import HUB_HOST
from layersmith.stores.registry_scheme import Scheme
from layersmith.stores.registry_urls import Origin, follow
from layersmith.stores.retries import Patience
from layersmith.stores.skeleton import Container, Provider
from layersmith.stores.tokens import Authorizer
from layersmith.stores.transport import Transport, rewound

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from layersmith.errors import LayersmithError
    from layersmith.stores.auth import Scopes
    from layersmith.stores.registry_options import Endpoint, RegistryOptions
    from layersmith.stores.transport import Body

__all__ = ["Place", "RegistryClient"]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAFE: Final = frozenset({"GET", "HEAD"})
_REFUSALS: Final = 2  # of what was sent with one request: a token may expire just when new


class Place(Container):  # type: ignore[misc]
    """A repository at an endpoint: oras builds the URLs, but parses nothing."""

    def __init__(self, host: str, repository: str) -> None:
        self.registry = host
        namespace, _, self.repository = repository.rpartition("/")
        self.namespace = namespace or None
        self.tag = self.digest = None


class RegistryClient(Provider):  # type: ignore[misc]
    """All that is said to one registry origin, from any number of threads."""

    def __init__(
        self, endpoint: Endpoint, options: RegistryOptions, patience: Patience | None = None
    ) -> None:
        self.endpoint = endpoint
        self.limits = options.limits
        self.patience = patience or Patience(options.limits)
        unverified = options.unverified | ({endpoint.host} if endpoint.insecure else set())
        self.transport = Transport(options.limits, options.ca_file, unverified)
        self.scheme = Scheme(endpoint, options.limits)
        self.authorizer = Authorizer(endpoint.host, self.scheme, self.transport, self.patience)
        super().__init__(endpoint.host, insecure=endpoint.plain_http)

    @property
    def session(self) -> requests.Session:
        """Return this thread's session; oras expects one by this name."""
        return self.transport.session

    @session.setter
    def session(self, made: requests.Session) -> None:
        made.close()  # oras makes one for all threads: it is not used

    @property
    def origin(self) -> Origin:
        """Scheme, host and port: what alone may see credentials."""
        return self.scheme.origin

    @property
    def is_hub(self) -> bool:
        """Tell whether this is Docker Hub, whose host is not the registry's name."""
        return self.endpoint.host == HUB_HOST

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def cut(self) -> None:
        """End what is under way, whoever waits for it."""
        self.transport.cut()

    def url(self, path: str) -> str:
        """Return the URL of what oras calls `path`: ``host/v2/...``."""
        return f"{self.scheme.name}://{path}"

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: bytes | Body | None = None,
        headers: Mapping[str, str] | None = None,
        json: None = None,  # noqa: ARG002 - oras's signature
        stream: bool = True,  # noqa: ARG002 - always: every body here is bounded by its reader
        *,
        scopes: Scopes = frozenset(),
        once: bool = False,
        what: str = "",
    ) -> requests.Response:
        """Send a request and return the answer after redirects, its body unread.

        `scopes` are what a token for it must allow; `what` names it in errors. A failure
        that may pass is tried again, from the first URL on; but not with `once` or a
        streamed body, whose sender has to know how much arrived.

        Raises :class:`Unauthorized` if a challenge cannot be answered, and
        :class:`RegistryError` if there is no answer or a redirect leads nowhere we go.
        """
        tries = self.patience.tries()
        once = once or not (data is None or isinstance(data, bytes))
        self.scheme.settle()
        while True:
            self.patience.wait()
            url = self.scheme.of(url)
            try:
                with intention(what):
                    response = self._follow(method, url, headers or {}, data, scopes)
            except RegistryError as error:
                if once or not tries.after(error):
                    raise
                continue
            status = response.status_code
            if self.scheme.was_wrong(url, status) and rewound(data):
                discard(response, self.limits.error_body)
                continue
            if not is_temporary(status):
                self.patience.succeeded()
                return response
            if once or not tries.worth(status, self.patience.asked(response.headers)):
                return response
            discard(response, self.limits.error_body)
            tries.rest()

    def _follow(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | Body | None,
        scopes: Scopes,
    ) -> requests.Response:
        """Send once, and follow redirects."""
        for _ in range(self.limits.redirects + 1):
            response = self._authorized(method, url, headers, data, scopes)
            if response.status_code not in _REDIRECTS:
                return response
            url = self._next_hop(response, method, url)
            if not rewound(data):
                raise RegistryError(f"{self.origin}: a redirect in the middle of an upload")
        raise RegistryError(f"{self.origin}: more than {self.limits.redirects} redirects")

    def _authorized(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | Body | None,
        scopes: Scopes,
    ) -> requests.Response:
        """Send to one URL; the registry's own origin gets what it wants to see."""
        if Origin.of(url) != self.origin:
            return self.transport.send(method, url, headers, data)
        ours = self.authorizer.headers(scopes)
        for _ in range(_REFUSALS if ours else _REFUSALS + 1):
            sent = time.monotonic()
            response = self.transport.send(method, url, {**headers, **ours}, data)
            if response.status_code != 401:
                return response
            challenge = response.headers.get("WWW-Authenticate", "")
            discard(response, self.limits.error_body)
            ours = self.authorizer.answer(challenge, scopes, ours.get("Authorization", ""), sent)
            if not rewound(data):
                raise RegistryError(
                    f"{self.origin}: authorization ended in the middle of an upload",
                    temporary=True,
                )
        return self.transport.send(method, url, {**headers, **ours}, data)

    def _next_hop(self, response: requests.Response, method: str, url: str) -> str:
        """Return where a redirect leads; only 307 and 308 keep a method that writes."""
        target = response.headers.get("Location", "")
        status = response.status_code
        discard(response, self.limits.error_body)
        what = f"{self.origin}: the target of a redirect"
        if method not in _SAFE and status not in (307, 308):
            raise RegistryError(f"{what} ({status}) of {method} is not followed", status=status)
        return follow(url, target, self.origin, what)

    def refusal(
        self,
        response: requests.Response,
        what: str,
        *,
        missing: str = "",
        incomplete: bool = False,
    ) -> LayersmithError:
        """Return the error for an answer that was not wanted.

        `missing` hints at a 404; `incomplete`: the registry may lack what a manifest names.
        """
        origin, hint = Origin.of(response.url), ""
        if response.status_code in (401, 403):
            hint = self.authorizer.hint()
        elif response.status_code == 404:
            hint = missing
        elif response.status_code == 400 and self.scheme.is_named:
            hint = "does it speak TLS? then not with --plain-http"
        if origin != self.origin:  # it was never given credentials: they cannot be at fault
            what = f"{what}: redirected to {origin}"
            hint = "the registry's storage refuses: its redirect may be too old or wrong"
        secrets = self.authorizer.secrets
        return error_of(
            response,
            what,
            hint=hint,
            limit=self.limits.error_body,
            secrets=secrets,
            wait=self.patience.asked(response.headers),
            incomplete=incomplete,
        )

    # What oras offers beside: kept where it is sound, closed where it is not.

    def get_container(self, name: str | Place) -> Place:
        """Return where the repository `name` is, by our grammar of references."""
        if isinstance(name, Place):
            return name
        reference = Reference.parse(name)
        return Place(self.endpoint.host, self.endpoint.repository(reference.repository))

    def _unsafe(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("oras's own transfers do not verify: use RegistryRepository")

    _do_paginated_request = get_tags = _unsafe
    push = pull = login = logout = _unsafe
    upload_manifest = upload_blob = put_upload = chunked_upload = _unsafe
    get_manifest = get_blob = download_blob = _unsafe
