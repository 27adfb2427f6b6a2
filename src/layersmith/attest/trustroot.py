"""Trust roots: whose certificates and whose logs are believed (sigstore_trustroot.proto, JSON).

A file, never the network: authorities that certify identities (Fulcio), logs of what was
signed (Rekor), logs of certificates (CT), each with the time for which it is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509 import Certificate, load_der_x509_certificate

from layersmith.attest.strict import decoded, read_json
from layersmith.errors import InvalidKey, Untrusted, one_line
from layersmith.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Authority", "Log", "Root", "read_root"]

_TYPE: Final = "application/vnd.dev.sigstore.trustedroot"
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A time, its ends included."""

    start: datetime
    end: datetime

    def has(self, moment: datetime) -> bool:
        """Tell whether a moment is within."""
        return self.start <= moment <= self.end


@dataclass(frozen=True, slots=True)
class Authority:
    """Who certifies identities: the certificates from the issuer's to the root's."""

    chain: tuple[Certificate, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Log:
    """Who has seen something at a time, and signs that."""

    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    span: Span

    def check(self, signature: bytes, message: bytes, moment: datetime, what: str) -> None:
        """Raise :class:`Untrusted` if the log has not signed `message`, or not at its time."""
        if not self.span.has(moment):
            raise Untrusted(f"{what}: by a log at a time when it was not to be believed")
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Untrusted(f"{what}: not signed by the log") from None


@dataclass(frozen=True, slots=True)
class Root:
    """Whom to believe; `raw` is the file. Logs have the digest of their key as their name."""

    raw: bytes
    authorities: tuple[Authority, ...]
    logs: Mapping[str, Log]
    certificate_logs: Mapping[str, Log]


def read_root(raw: bytes, where: str) -> Root:
    """Read a trust root (``trusted_root.json``); raises :class:`InvalidKey`."""
    try:
        value = read_json(raw, one_line(where))
        is_root = str(value.get("mediaType", "")).startswith(_TYPE)
        authorities = tuple(_authority(one) for one in value.get("certificateAuthorities", ()))
        logs = dict(_log(one) for one in value.get("tlogs", ()))
        certificate_logs = dict(_log(one) for one in value.get("ctlogs", ()))
    except Untrusted as error:
        raise InvalidKey(error.message) from None
    except (ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
        raise InvalidKey(f"{one_line(where)}: a damaged trust root") from None
    if not is_root:
        raise InvalidKey(f"{one_line(where)} is not a trust root")
    if not authorities or not logs or not certificate_logs:
        raise InvalidKey(
            f"{one_line(where)} lacks an authority, a log or a log of certificates",
            hint="give the trusted_root.json of a sigstore",
        )
    return Root(raw, authorities, logs, certificate_logs)


def _authority(value: Any) -> Authority:
    chain = [
        load_der_x509_certificate(decoded(one["rawBytes"], "a certificate"))
        for one in value["certChain"]["certificates"]
    ]
    if not chain:
        raise ValueError
    return Authority(tuple(chain), _span(value.get("validFor", {})))


def _log(value: Any) -> tuple[str, Log]:
    """Return a log by the digest of its key: what the file calls it is not asked."""
    public = value["publicKey"]
    der = decoded(public["rawBytes"], "a log's key")
    key = serialization.load_der_public_key(der)
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise UnsupportedAlgorithm("a log's key")
    return Digest.of(der).encoded, Log(key, _span(public.get("validFor", {})))


def _span(value: Any) -> Span:
    start, end = value.get("start"), value.get("end")
    return Span(_moment(start) if start else _BEGINNING, _moment(end) if end else _END)


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError
    return found
