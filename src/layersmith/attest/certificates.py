"""Certificates of identities: short-lived, of an authority, known to a log (Fulcio's profile).

A certificate holds if the authority has issued it, at a time when both were valid, for
signing code, and a log of certificates has promised to list it (RFC 6962, section 3.2).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from layersmith.attest.keys import PublicKey
from layersmith.errors import Untrusted, one_line
from layersmith.oci.digest import Digest

if TYPE_CHECKING:
    from datetime import datetime

    from layersmith.attest.trustroot import Authority, Root

__all__ = ["check_certificate", "check_identity", "key_of", "read_certificate"]

_PEM: Final = b"-----BEGIN CERTIFICATE-----"
# Fulcio's extensions (oid-info.md): the issuer, bare in the older and DER in the newer.
_ISSUER: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_TEXT: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_UTF8: Final = 0x0C
# What a certificate of a stranger's making does to whoever asks it something.
_ODD: Final = (
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    OSError,
)
_KNOWN: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


def read_certificate(pem: bytes, what: str) -> x509.Certificate:
    """Return the one certificate in PEM; raises :class:`Untrusted`."""
    if not pem.strip().startswith(_PEM) or pem.count(_PEM) != 1:
        raise Untrusted(f"{what} is not one certificate")
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Untrusted(f"{what} is damaged") from None


def key_of(certificate: x509.Certificate) -> PublicKey:
    """Return whose signatures it is for; raises :class:`Untrusted` for a key of another kind."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise Untrusted("the certificate's key is damaged") from None
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PublicKey(key)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return PublicKey(key)
    raise Untrusted("the certificate is for a key of another kind")


def check_certificate(certificate: x509.Certificate, moment: datetime, root: Root) -> None:
    """Raise :class:`Untrusted` if the certificate did not hold at that moment."""
    try:
        if not _is_valid(certificate, moment):
            raise Untrusted("the certificate was not valid when it was used")
        _check_use(certificate)
        authorities = [one for one in root.authorities if one.span.has(moment)]
        issuers = [one.chain[0] for one in authorities if _issued(certificate, one, moment)]
        if not issuers:
            raise Untrusted("no authority of the trust root has issued the certificate")
        _check_listed(certificate, issuers[0], root)
    except _ODD:
        raise Untrusted("the certificate has not what such a one has") from None


def check_identity(certificate: x509.Certificate, identity: str, issuer: str) -> None:
    """Raise :class:`Untrusted` if it is of somebody else, or by another issuer's word."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        extensions = {one.oid: one.value for one in certificate.extensions}
    except _ODD:
        raise Untrusted("the certificate names nobody") from None
    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier)
    found = [str(name.value) for name in names if isinstance(name, kinds)]
    if len(list(names)) != 1 or found != [identity]:
        raise Untrusted(f"it is by {one_line(', '.join(found) or 'somebody else', 120)}")
    said = {_text(extensions[oid], oid) for oid in (_ISSUER, _ISSUER_TEXT) if oid in extensions}
    if said != {issuer}:
        theirs = one_line(", ".join(sorted(said)) or "nobody", 120)
        raise Untrusted(f"{theirs} has vouched for {one_line(identity, 120)}, not {issuer}")


def _text(value: Any, oid: x509.ObjectIdentifier) -> str:
    raw: bytes = getattr(value, "value", b"")
    if oid == _ISSUER_TEXT:  # a UTF8String of less than 128 bytes, or of less than 256
        long = raw[1:2] == b"\x81"
        head = 3 if long else 2
        if len(raw) < head or raw[0] != _UTF8 or raw[head - 1] != len(raw) - head:
            raise Untrusted("the certificate's issuer is damaged")
        raw = raw[head:]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Untrusted("the certificate's issuer is no text") from None


def _is_valid(certificate: x509.Certificate, moment: datetime) -> bool:
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def _check_use(certificate: x509.Certificate) -> None:
    extensions = certificate.extensions
    if strange := [e.oid.dotted_string for e in extensions if e.critical and e.oid not in _KNOWN]:
        raise Untrusted(f"the certificate has an unknown critical extension, {strange[0]}")
    for one in extensions:
        if isinstance(one.value, x509.BasicConstraints) and one.value.ca:
            raise Untrusted("the certificate is an authority's")
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if not usage.digital_signature or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise Untrusted("the certificate is not for signing code")


def _issued(certificate: x509.Certificate, authority: Authority, moment: datetime) -> bool:
    """Tell whether the authority has issued a certificate, all of its own being valid then."""
    below = certificate
    for above in authority.chain:
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            return False
        usage = above.extensions.get_extension_for_class(x509.KeyUsage).value
        is_authority = above.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        if not (is_authority and usage.key_cert_sign):
            return False
        if not _is_valid(above, moment):
            return False
        below = above
    return True


def _check_listed(certificate: x509.Certificate, issuer: x509.Certificate, root: Root) -> None:
    """Check the promise of a log of certificates that is in the certificate itself."""
    kind = x509.PrecertificateSignedCertificateTimestamps
    promises = list(certificate.extensions.get_extension_for_class(kind).value)
    if len(promises) != 1:
        raise Untrusted(f"the certificate has {len(promises)} promises of logs")
    (promise,) = promises
    log = root.certificate_logs.get(promise.log_id.hex())
    if log is None:
        raise Untrusted("the certificate is in no log of the trust root")
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    der = issuer.public_key().public_bytes(serialization.Encoding.DER, spki)
    body = certificate.tbs_precertificate_bytes
    moment = promise.timestamp.replace(tzinfo=certificate.not_valid_before_utc.tzinfo)
    head = struct.pack(">BBQH", 0, 0, round(moment.timestamp() * 1000), 1)
    size = struct.pack(">I", len(body))[1:]
    more = struct.pack(">H", len(promise.extension_bytes)) + promise.extension_bytes
    signed = head + bytes.fromhex(Digest.of(der).encoded) + size + body + more
    if not isinstance(promise.signature_hash_algorithm, hashes.SHA256):
        raise Untrusted("the promise of the log is signed in another way")
    log.check(promise.signature, signed, moment, "the promise to list the certificate")
