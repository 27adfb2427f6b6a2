"""A sigstore of our own: an authority, a log of certificates, a log of signatures, a root.

What it makes cosign verifies too (tests/interop), so that it is no mirror of our reader.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.build.signatures import (
    BUNDLE,
    SIGNATURE,
    Layer,
    Scene,
    compact,
    envelope,
    payload,
    statement,
    written,
)

from layersmith.attest.keys import PrivateKey

if TYPE_CHECKING:
    from collections.abc import Callable

IDENTITY: Final = "keyless@distroless.iam.gserviceaccount.com"
ISSUER: Final = "https://accounts.google.com"
NOW: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORIGIN: Final = "log.example"
_SCTS: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_ISSUER: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_TEXT: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def spki(key: Any) -> bytes:
    public = key.public_key() if hasattr(key, "public_key") else key
    raw: bytes = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return raw


def sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


@dataclass(frozen=True)
class Leaf:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True)
class Sigstore:
    """An authority and two logs, with keys of their own."""

    root_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    issuer_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    listing_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    log_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @property
    def log_id(self) -> str:
        return hashlib.sha256(spki(self.log_key)).hexdigest()

    def chain(self) -> list[x509.Certificate]:
        """Return the issuer's certificate and the root's."""
        root = self._authority("root", self.root_key, None, "root", self.root_key)
        issuer = self._authority("issuer", self.issuer_key, 0, "root", self.root_key)
        return [issuer, root]

    def _authority(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        length: int | None,
        by: str,
        signer: ec.EllipticCurvePrivateKey,
    ) -> x509.Certificate:
        usage = dict.fromkeys(
            (
                "digital_signature", "content_commitment", "key_encipherment",
                "data_encipherment", "key_agreement", "encipher_only", "decipher_only",
            ), False,
        )  # fmt: skip
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(by))
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(NOW - timedelta(days=365))
            .not_valid_after(NOW + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )

    def leaf(
        self,
        *,
        identity: str = IDENTITY,
        issuer: str = ISSUER,
        at: datetime = NOW,
        listed: bool = True,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda made: made,
    ) -> Leaf:
        """Return a certificate for ten minutes, listed by the log of certificates."""
        key = new_key()
        der = issuer.encode()
        usage = dict.fromkeys(
            (
                "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
            ), False,
        )  # fmt: skip
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(_name("issuer"))
            .public_key(key.public_key())
            .serial_number(11)
            .not_valid_before(at - timedelta(minutes=5))
            .not_valid_after(at + timedelta(minutes=5))
            .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuer_key.public_key()),
                critical=False,
            )
            .add_extension(x509.UnrecognizedExtension(_ISSUER, der), critical=False)
            .add_extension(
                x509.UnrecognizedExtension(_ISSUER_TEXT, bytes([0x0C, len(der)]) + der),
                critical=False,
            )
        )
        builder = change(builder)
        if listed:
            bare = builder.sign(self.issuer_key, hashes.SHA256())
            promise = self._promise(bare.tbs_certificate_bytes, at)
            builder = builder.add_extension(
                x509.UnrecognizedExtension(_SCTS, promise), critical=False
            )
        private = PrivateKey(key)
        return Leaf(builder.sign(self.issuer_key, hashes.SHA256()), private)

    def _promise(self, body: bytes, at: datetime) -> bytes:
        """Return the list of one promise (RFC 6962, 3.2 and 3.3), as an extension has it."""
        moment = round(at.timestamp() * 1000)
        size = struct.pack(">I", len(body))[1:]
        about = hashlib.sha256(spki(self.issuer_key)).digest() + size + body
        signed = struct.pack(">BBQH", 0, 0, moment, 1) + about + struct.pack(">H", 0)
        signature = sign(self.listing_key, signed)
        log = hashlib.sha256(spki(self.listing_key)).digest()
        one = b"\0" + log + struct.pack(">QH", moment, 0) + b"\x04\x03"
        one += struct.pack(">H", len(signature)) + signature
        listed = struct.pack(">H", len(one)) + one
        whole = struct.pack(">H", len(listed)) + listed
        return (
            b"\x04"
            + (bytes([len(whole)]) if len(whole) < 128 else b"\x81" + bytes([len(whole)]))
            + whole
        )

    def entry(self, body: dict[str, Any], at: datetime = NOW) -> dict[str, Any]:
        """Return what cosign 2 keeps of the log: an entry that it has promised to take."""
        said = {
            "body": written(compact(body)),
            "integratedTime": round(at.timestamp()),
            "logID": self.log_id,
            "logIndex": 1,
        }
        return {"SignedEntryTimestamp": written(sign(self.log_key, compact(said))), "Payload": said}

    def signed(self, scene: Scene, leaf: Leaf, **changes: Any) -> Layer:
        """Return a signature below cosign's tag; `changes` are of the payload, or the entry."""
        raw = changes.get("raw") or compact(payload(scene))
        signature = leaf.key.sign(raw)
        body = changes.get("body") or recorded(raw, signature, leaf)
        entry = changes.get("entry") or self.entry(body, changes.get("at", NOW))
        notes = {
            SIGNATURE: written(signature),
            "dev.sigstore.cosign/certificate": pem(leaf.certificate),
            "dev.sigstore.cosign/chain": "".join(map(pem, self.chain())),
            "dev.sigstore.cosign/bundle": json.dumps(entry),
        }
        return Layer(raw, notes={**notes, **changes.get("notes", {})})

    def bundle(
        self, scene: Scene, leaf: Leaf, raw: bytes | None = None, at: datetime = NOW
    ) -> bytes:
        """Return a bundle whose log, of two entries, has taken it in."""
        made = envelope(scene, raw or compact(statement(scene)), key=leaf.key)
        body = compact(recorded_envelope(made, leaf))
        entry = {
            "logIndex": "1",
            "logId": {"keyId": written(bytes.fromhex(self.log_id))},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(round(at.timestamp())),
            "inclusionPromise": {
                "signedEntryTimestamp": self.entry(json.loads(body), at)["SignedEntryTimestamp"]
            },
            "inclusionProof": self._proof(body),
            "canonicalizedBody": written(body),
        }
        der = leaf.certificate.public_bytes(serialization.Encoding.DER)
        material = {
            "certificate": {"rawBytes": written(der)},
            "tlogEntries": [entry],
            "timestampVerificationData": {"rfc3161Timestamps": []},
        }
        return compact(
            {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": made}
        )

    def _proof(self, body: bytes) -> dict[str, Any]:
        mine, other = (hashlib.sha256(b"\0" + entry).digest() for entry in (body, b"another"))
        top = hashlib.sha256(b"\1" + other + mine).digest()  # RFC 6962, section 2.1
        note = f"{ORIGIN}\n2\n{written(top)}\n"
        mark = bytes.fromhex(self.log_id)[:4] + sign(self.log_key, note.encode())
        return {
            "logIndex": "1",
            "rootHash": written(top),
            "treeSize": "2",
            "hashes": [written(other)],
            "checkpoint": {"envelope": f"{note}\n\N{EM DASH} {ORIGIN} {written(mark)}\n"},
        }

    def root(self, **changes: Any) -> bytes:
        """Return the trust root's file."""
        since = {"start": (NOW - timedelta(days=30)).isoformat().replace("+00:00", "Z")}
        return compact(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "certificateAuthorities": [
                    {
                        "subject": {"organization": "example", "commonName": "root"},
                        "uri": "https://ca.example",
                        "certChain": {
                            "certificates": [
                                {"rawBytes": written(one.public_bytes(serialization.Encoding.DER))}
                                for one in self.chain()
                            ]
                        },
                        "validFor": since,
                    }
                ],
                "tlogs": [_logged(self.log_key, "https://log.example", since)],
                "ctlogs": [_logged(self.listing_key, "https://ct.example", since)],
                "timestampAuthorities": [],
                **changes,
            }
        )


def _logged(key: ec.EllipticCurvePrivateKey, url: str, since: dict[str, str]) -> dict[str, Any]:
    der = spki(key)
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": written(der),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": since,
        },
        "logId": {"keyId": written(hashlib.sha256(der).digest())},
    }


def recorded(raw: bytes, signature: bytes, leaf: Leaf) -> dict[str, Any]:
    """Return the body of the log's entry for a signature."""
    about = written(pem(leaf.certificate).encode())
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(raw).hexdigest()}},
            "signature": {"content": written(signature), "publicKey": {"content": about}},
        },
    }


def recorded_envelope(made: dict[str, Any], leaf: Leaf) -> dict[str, Any]:
    """Return the body of the log's entry for an envelope."""
    raw = base64.b64decode(made["payload"])
    hashed = {"algorithm": "sha256", "value": hashlib.sha256(raw).hexdigest()}
    verifier = written(pem(leaf.certificate).encode())
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {
                "algorithm": "sha256",
                "value": hashlib.sha256(compact(made)).hexdigest(),
            },
            "payloadHash": hashed,
            "signatures": [{"signature": made["signatures"][0]["sig"], "verifier": verifier}],
        },
    }


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
