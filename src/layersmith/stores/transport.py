"""One HTTP exchange: sessions, timeouts, and what can go wrong on the wire.

Nothing here knows registries. A request goes to exactly the URL it names: redirects
are not followed, cookies and netrc are ignored, nothing is decoded.
"""

from __future__ import annotations

import os
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import requests
import requests.adapters
import requests.utils
from requests import exceptions
from urllib3 import disable_warnings
from urllib3 import exceptions as urllib3_exceptions

from layersmith import __version__
from layersmith.errors import InvalidInput, RegistryError, one_line
from layersmith.stores.files import OpenFile
from layersmith.stores.names import NamelessError
from layersmith.stores.registry_urls import Origin
from layersmith.stores.wire import Lines, watched_pools

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from layersmith.stores.registry_options import Limits

__all__ = ["Body", "Transport", "rewound", "wire_error"]

_CA_FILES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_PEM: Final = 1 << 20  # bytes in which a certificate begins, if there is one
_PARTING: Final = 1.0  # seconds, once the work has been stopped
_CA_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


# Our own URLs have been checked: what cannot be read is that of a proxy.
_MALFORMED: Final = (
    exceptions.InvalidURL,
    exceptions.InvalidSchema,
    urllib3_exceptions.LocationParseError,
)
_FAILURES: Final = (exceptions.RequestException, urllib3_exceptions.LocationParseError)


class Body(Protocol):
    """A request body that is streamed: its length is known, its bytes are read once."""

    def __len__(self) -> int:
        """Return the number of bytes that will be read."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes (its presence is how `requests` knows a stream)."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""

    def rewind(self) -> bool:
        """Go back to the start, if that is possible."""


class _NoAuth(requests.auth.AuthBase):
    """Keeps `requests` from adding what it finds in netrc or in a URL."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return request


class _Adapter(requests.adapters.HTTPAdapter):
    """A pool of connections that send in blocks of our size and watch the peer."""

    def __init__(self, limits: Limits) -> None:
        self._block = limits.send_block
        self.lines = Lines()
        self._pools = watched_pools(limits, self.lines)
        super().__init__(pool_connections=8, pool_maxsize=limits.connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Add the block size and our connections; everything else as usual."""
        super().init_poolmanager(*args, blocksize=self._block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Do the same for a proxy's connections."""
        manager = super().proxy_manager_for(*args, blocksize=self._block, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


class Transport:
    """Sends requests; one session a thread, one connection pool for all of them."""

    def __init__(
        self,
        limits: Limits,
        ca_file: Path | None = None,
        unverified: frozenset[str] = frozenset(),
    ) -> None:
        self.limits = limits
        self._verify = _readable(str(ca_file)) if ca_file else _ca_bundle()
        self._unverified = frozenset(Origin.of(f"https://{host}") for host in unverified)
        if unverified:  # the user has been told, once and loudly
            disable_warnings(urllib3_exceptions.InsecureRequestWarning)
        self._adapter = _Adapter(limits)
        self._local = threading.local()
        self._proxies: dict[Origin, dict[str, str]] = {}

    @property
    def session(self) -> requests.Session:
        """Return this thread's session (a `requests.Session` is not for two threads)."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._new_session()
        return session

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Body | None = None,
    ) -> requests.Response:
        """Send one request and return its answer, the body unread.

        Raises :class:`RegistryError` (status 0) if there is no answer. A connection
        that the peer closed while it was idle is replaced, once; but not under a
        streamed body, of which much may have arrived.
        """
        try:
            return self._send(method, url, headers, body)
        except exceptions.ConnectionError as error:
            again = body is None or isinstance(body, bytes)
            if not again or self._adapter.lines.are_cut or not _closed_under_us(error):
                raise wire_error(error, url) from None
        except _FAILURES as error:
            raise wire_error(error, url) from None
        try:
            return self._send(method, url, headers, body)
        except _FAILURES as error:
            raise wire_error(error, url) from None

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._adapter.close()

    def cut(self) -> None:
        """End what is under way; what is sent from now on, to clean up, is not waited for long."""
        self._adapter.lines.cut()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None
    ) -> requests.Response:
        session = self.session
        data: Any = body or None  # an empty stream would be sent as chunked
        prepared = session.prepare_request(requests.Request(method, url, headers, data=data))
        prepared.url = url  # verbatim: an upload's query may be signed
        limits = self.limits
        return session.send(
            prepared,
            stream=True,
            allow_redirects=False,
            timeout=_PARTING if self._adapter.lines.are_cut else (limits.connect, limits.read),
            verify=False if Origin.of(url) in self._unverified else self._verify,
            proxies=self._proxies_for(url),
        )

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # proxies and CA bundle are looked up here, netrc never
        session.auth = _NoAuth()
        session.headers.clear()
        session.headers.update(
            {"User-Agent": f"layersmith/{__version__}", "Accept-Encoding": "identity"}
        )
        session.cookies.set_policy(_no_cookies())
        session.mount("http://", self._adapter)
        session.mount("https://", self._adapter)
        return session

    def _proxies_for(self, url: str) -> dict[str, str]:
        """Return the proxies of the environment; our own machine needs none."""
        origin = Origin.of(url)
        if origin not in self._proxies:
            found = {} if origin.is_loopback else requests.utils.get_environ_proxies(url)
            self._proxies[origin] = dict(found)
        return self._proxies[origin]


def _ca_bundle() -> str | bool:
    """Return the CAs to trust: a variable's, else this machine's, else those of certifi."""
    for name in _CA_VARIABLES:
        if path := os.environ.get(name):
            return _readable(path)
    ours = (ssl.get_default_verify_paths().cafile or "", *_CA_FILES)
    return next((path for path in ours if path and os.access(path, os.R_OK)), True)


def _readable(path: str) -> str:
    """Return `path`; raises :class:`InvalidInput` if there is no certificate to read."""
    try:
        # OpenSSL knows directories of certificates by the hashes that name them.
        is_there = Path(path).is_dir() or b"-----BEGIN " in OpenFile.at(Path(path)).pread(_PEM, 0)
    except OSError:
        is_there = False
    if not is_there:
        raise InvalidInput(
            f"{one_line(path, 200)}: no CA certificates can be read there",
            hint="name a file of PEM certificates",
        )
    return path


def _no_cookies() -> Any:
    from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415 - requests has it loaded

    return DefaultCookiePolicy(allowed_domains=[])


def rewound(body: bytes | Body | None) -> bool:
    """Tell whether `body` can be sent (again) from its start."""
    return body is None or isinstance(body, bytes) or body.rewind()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what requests and urllib3 wrapped in it."""
    waiting: list[BaseException] = [error]
    for cause in waiting:
        yield cause
        inner = [getattr(cause, "reason", None), cause.__cause__, *cause.args]
        waiting += [e for e in inner if isinstance(e, BaseException) and e not in waiting]
        if len(waiting) > 16:
            return


def _closed_under_us(error: BaseException) -> bool:
    dropped = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
    return any(isinstance(cause, dropped) for cause in _causes(error))


# What it is, how to say it, and how many tries make sense: 1 for what will stay, 0 for
# as many as usual, few for what takes long to fail (no name, no connection, a stall).
_KINDS: Final[tuple[tuple[type[BaseException], str, int], ...]] = (
    *((kind, "the proxy cannot be used", 1) for kind in _MALFORMED),
    (urllib3_exceptions.ProxyError, "the proxy cannot be used", 4),
    (NamelessError, "the host's name cannot be resolved", 1),
    (urllib3_exceptions.NameResolutionError, "the host's name cannot be resolved", 3),
    (ConnectionRefusedError, "the connection is refused", 5),
    (urllib3_exceptions.NewConnectionError, "no connection", 4),
    (urllib3_exceptions.ConnectTimeoutError, "no connection in time", 3),
    (ssl.SSLCertVerificationError, "TLS fails", 1),
    (ssl.SSLEOFError, "the connection was closed", 0),
    (urllib3_exceptions.SSLError, "TLS fails", 1),
    (exceptions.SSLError, "TLS fails", 1),
    (urllib3_exceptions.ReadTimeoutError, "no answer in time", 4),
    (exceptions.ReadTimeout, "no answer in time", 4),
    (TimeoutError, "no answer in time", 4),
    (ConnectionError, "the connection was closed", 0),
    (urllib3_exceptions.IncompleteRead, "the answer was cut off", 0),
)


def wire_error(error: BaseException, url: str) -> RegistryError:
    """Return what `requests`, `urllib3` or a socket raised as a :class:`RegistryError`.

    Their own texts hold whole URLs, queries included, so only the kind is kept and
    what the operating system or TLS said.
    """
    where = str(Origin.of(url)) if urlsplit(url).hostname else "the registry"
    causes = list(_causes(error))
    for kind, text, tries in _KINDS:
        if any(isinstance(cause, kind) for cause in causes):
            detail = f" ({reason})" if (reason := _reason(causes)) else ""
            message = f"{where}: {text}{detail}"
            hint = _HINTS.get(text, "")
            return RegistryError(message, temporary=tries != 1, tries=tries, hint=hint)
    return RegistryError(f"{where}: the answer is not HTTP", temporary=True)


_NO_TUNNEL: Final = "Tunnel connection failed: "
_FAR: Final = "check the host and the port; a proxy on the way is named by HTTPS_PROXY"
_HINTS: Final = {
    "TLS fails": "name the CA's certificates with --ca-file, a host that speaks plain HTTP with "
    "--plain-http; --insecure-skip-tls-verify does without a check",
    "the proxy cannot be used": "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    "the host's name cannot be resolved": "check how the host is written, and this machine's "
    "name servers",
    "the connection is refused": "nobody listens there: check the host and the port",
    "no connection": _FAR,
    "no connection in time": _FAR,
}


def _reason(causes: list[BaseException]) -> str:
    for cause in causes:
        verify = getattr(cause, "verify_message", "") or getattr(cause, "reason", "")
        if isinstance(verify, str) and verify and isinstance(cause, OSError):
            return one_line(verify, 120)
        if isinstance(cause, OSError) and cause.strerror:
            return one_line(cause.strerror, 120)
        if isinstance(cause, OSError) and str(cause).startswith(_NO_TUNNEL):  # http.client's text
            return one_line(str(cause).removeprefix(_NO_TUNNEL), 120)
    return ""
