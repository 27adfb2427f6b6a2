"""Keyless signatures: by whom an identity was certified, known to a log, checked offline.

Bundles are verified by sigstore-python (the extra ``layersmith[keyless]``), which is given
the trust root's file and asks nobody. It does not read what cosign 2 keeps under its tags:
there a certificate and the log's signed entry stand in annotations, and are checked here.
The log's time is the time for which the certificate has to hold; what the log says has to
be of this signature, this payload and this certificate (CVE-2022-36056).
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from layersmith.attest.certificates import (
    check_certificate,
    check_identity,
    key_of,
    read_certificate,
)
from layersmith.attest.envelopes import BUNDLE, DSSE, Envelope
from layersmith.attest.judging import CERTIFICATE, Document
from layersmith.attest.strict import decoded, encoded, read_json, with_keys
from layersmith.errors import Untrusted, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.x509 import Certificate

    from layersmith.attest.trustroot import Root

__all__ = ["KeylessVoice"]

_ENTRY: Final = "dev.sigstore.cosign/bundle"
_SIGNED: Final = ("body", "integratedTime", "logID", "logIndex")
_MAX_ENTRY: Final = 1 << 20
_LAST: Final = 253402300799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class KeylessVoice:
    """An identity, as an issuer knows it: ``someone@example.com`` at ``https://...``."""

    identity: str
    issuer: str
    root: Root

    @property
    def name(self) -> str:
        """Identity and issuer."""
        return f"{self.identity} at {self.issuer}"

    def check(self, document: Document, envelope: Envelope) -> Sequence[bytes]:
        """Return the signatures that the identity has made; raises :class:`Untrusted`."""
        if not envelope.certified:
            raise Untrusted("it was signed with a key, not with a certificate")
        if document.media_type == BUNDLE:
            self._by_sigstore(document.raw, envelope)
            return envelope.signatures
        certificate = read_certificate(
            document.annotations[CERTIFICATE].encode(), "the certificate"
        )
        moment, body = self._entry(document.annotations.get(_ENTRY, ""))
        check_certificate(certificate, moment, self.root)
        check_identity(certificate, self.identity, self.issuer)
        if len(envelope.signatures) != 1:
            raise Untrusted(f"{len(envelope.signatures)} signatures with one certificate")
        (signature,) = envelope.signatures
        key_of(certificate).verify(signature, envelope.message)
        said = _said_by_dsse if document.media_type == DSSE else _said_by_hash
        if said(body) != _known(envelope, signature, certificate):
            raise Untrusted("what the log knows is another signature")
        return envelope.signatures

    def _entry(self, text: str) -> tuple[datetime, dict[str, Any]]:
        """Return when the log has seen what; its word for it is checked."""
        what = "the log's entry"
        if not text:
            raise Untrusted("no log knows the signature")
        value = read_json(text.encode(), what, limit=_MAX_ENTRY)
        with_keys(value, what, ("SignedEntryTimestamp", "Payload"))
        entry = with_keys(value["Payload"], what, _SIGNED)
        seconds = entry["integratedTime"]
        if type(seconds) is not int or not 0 < seconds <= _LAST:
            raise Untrusted(f"{what} has no time")
        log = self.root.logs.get(str(entry["logID"]))
        if log is None:
            raise Untrusted(f"{what} is of a log that the trust root does not have")
        moment = datetime.fromtimestamp(seconds, UTC)
        signed = encode({key: entry[key] for key in _SIGNED})  # RFC 8785: sorted, no spaces
        log.check(decoded(value["SignedEntryTimestamp"], what), signed, moment, what)
        return moment, read_json(decoded(entry["body"], what), what, limit=_MAX_ENTRY)

    def _by_sigstore(self, raw: bytes, envelope: Envelope) -> None:
        try:
            from sigstore.models import (  # noqa: PLC0415 - an extra, and slow to load
                Bundle,
                TrustedRoot,
            )
            from sigstore.verify import Verifier, policy  # noqa: PLC0415
        except ImportError:
            raise Untrusted(
                "bundles with certificates need sigstore-python",
                hint="pip install 'layersmith[keyless]'",
            ) from None
        handle, path = tempfile.mkstemp(prefix="layersmith-root-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.root.raw)
            verifier = Verifier(trusted_root=TrustedRoot.from_file(path))
            who = policy.Identity(identity=self.identity, issuer=self.issuer)
            _, payload = verifier.verify_dsse(Bundle.from_json(raw), who)
        except Exception as error:  # noqa: BLE001 - over whatever it stumbles: not verified
            raise Untrusted(f"sigstore: {one_line(str(error), 200)}") from None
        finally:
            os.unlink(path)  # noqa: PTH108 - the name is a string already
        if payload != envelope.payload:
            raise Untrusted("sigstore has verified another payload")


def _known(envelope: Envelope, signature: bytes, certificate: Certificate) -> tuple[Any, ...]:
    """Return what the log should know."""
    return (Digest.of(envelope.payload).encoded, encoded(signature), certificate)


def _said_by_hash(body: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what an entry of the kind ``hashedrekord`` says (rekor's schema 0.0.1)."""
    spec = _spec(body, "hashedrekord")
    try:
        known = spec["data"]["hash"]
        signature = spec["signature"]
        certificate = signature["publicKey"]["content"]
        return (_sha256(known), signature["content"], _certificate(certificate))
    except (KeyError, TypeError):
        raise Untrusted("the log's entry lacks something") from None


def _said_by_dsse(body: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what an entry of the kind ``dsse`` says (rekor's schema 0.0.1)."""
    spec = _spec(body, "dsse")
    try:
        (signature,) = spec["signatures"]
        certificate = signature["verifier"]
        return (_sha256(spec["payloadHash"]), signature["signature"], _certificate(certificate))
    except (KeyError, TypeError, ValueError):
        raise Untrusted("the log's entry lacks something") from None


def _spec(body: Mapping[str, Any], kind: str) -> Any:
    said = body.get("kind"), body.get("apiVersion")
    if said != (kind, "0.0.1"):
        raise Untrusted(f"the log's entry is of another kind than {kind} 0.0.1")
    return body.get("spec")


def _sha256(value: Any) -> str:
    if value["algorithm"] != "sha256":
        raise Untrusted("the log's entry has another digest")
    return str(value["value"])


def _certificate(text: str) -> Certificate:
    return read_certificate(decoded(text, "the log's certificate"), "the log's certificate")
