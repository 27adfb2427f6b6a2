"""What carries a signed document: DSSE envelopes, alone or in sigstore bundles (v0.3).

DSSE (secure-systems-lab/dsse, protocol.md): the type of the payload is signed with it. A
bundle (sigstore's sigstore_bundle.proto) adds what it is verified with: here a hint at a
public key, or a certificate and the proof that a log knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.attest.strict import decoded, encoded, read_json, text_of, with_keys
from layersmith.errors import Untrusted
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from layersmith.attest.keys import PrivateKey

__all__ = [
    "BUNDLE",
    "CERTIFICATES",
    "DSSE",
    "Envelope",
    "bundle",
    "read_bundle",
    "read_envelope",
    "signed",
]

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
DSSE: Final = "application/vnd.dsse.envelope.v1+json"
IN_TOTO: Final = "application/vnd.in-toto+json"
CERTIFICATES: Final = frozenset({"certificate", "x509CertificateChain"})

_MAX_SIGNATURES: Final = 100
_MATERIAL: Final = ("tlogEntries", "timestampVerificationData")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, what was signed to sign it, and the signatures."""

    payload: bytes
    message: bytes
    signatures: tuple[bytes, ...]
    certified: bool = False


def signed(payload: bytes, key: PrivateKey) -> dict[str, Any]:
    """Return the envelope of a statement, signed."""
    signature = key.sign(_message(payload))
    return {
        "payload": encoded(payload),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": encoded(signature)}],
    }


def bundle(envelope: dict[str, Any], hint: bytes) -> bytes:
    """Return the bundle around an envelope that a key has signed; `hint` is the key's name."""
    material = {"publicKey": {"hint": encoded(hint)}}
    document = {
        "mediaType": BUNDLE,
        "verificationMaterial": material,
        "dsseEnvelope": envelope,
    }
    return encode(document)


def read_envelope(raw: bytes) -> Envelope:
    """Read an envelope; raises :class:`Untrusted`."""
    return _envelope(read_json(raw, "the envelope"))


def read_bundle(raw: bytes) -> Envelope:
    """Read a bundle of one signature; raises :class:`Untrusted`."""
    what = "the bundle"
    value = read_json(raw, what)
    if value.get("mediaType") != BUNDLE:
        raise Untrusted(f"{what} is of another version")
    with_keys(value, what, ("mediaType", "verificationMaterial", "dsseEnvelope"))
    kinds = {"publicKey", *CERTIFICATES}
    material = with_keys(value["verificationMaterial"], what, (), (*kinds, *_MATERIAL))
    if len(kinds & material.keys()) != 1:
        raise Untrusted(f"{what} does not say with what it is to be verified")
    found = _envelope(value["dsseEnvelope"])
    if len(found.signatures) != 1:
        raise Untrusted(f"{what} has {len(found.signatures)} signatures")
    certified = "publicKey" not in material
    return Envelope(found.payload, found.message, found.signatures, certified)


def _envelope(value: Any) -> Envelope:
    what = "the envelope"
    with_keys(value, what, ("payload", "payloadType", "signatures"))
    if value["payloadType"] != IN_TOTO:
        raise Untrusted(f"{what} holds something else than a statement")
    signatures = value["signatures"]
    if not isinstance(signatures, list) or not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise Untrusted(f"{what} has no signatures, or more than {_MAX_SIGNATURES}")
    found = [with_keys(one, what, ("sig",), ("keyid",)) for one in signatures]
    for one in found:
        text_of(one.get("keyid", ""), what)
    payload = decoded(value["payload"], "the payload")
    raw = tuple(decoded(one["sig"], "a signature") for one in found)
    return Envelope(payload, _message(payload), raw)


def _message(payload: bytes) -> bytes:
    """Return what is signed (protocol.md, "PAE"): lengths keep the parts apart."""
    parts = IN_TOTO.encode(), payload
    return b" ".join((b"DSSEv1", *(b"%d %s" % (len(part), part) for part in parts)))
