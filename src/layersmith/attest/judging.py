"""Judging: whether a document that lies beside an image says what is wanted of it.

Nothing is read of a payload before its signature has been verified. One document that
holds is enough: others may be by strangers. None is a failure, and so is a document that
cannot be read wherever it was needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from layersmith.attest.claims import SIGNED, Claim, read_simple, read_statement
from layersmith.attest.envelopes import BUNDLE, DSSE, Envelope, read_bundle, read_envelope
from layersmith.attest.strict import decoded
from layersmith.errors import LayersmithError, Untrusted, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layersmith.attest.keys import PublicKey
    from layersmith.oci.digest import Digest

__all__ = [
    "CERTIFICATE",
    "SIGNATURE",
    "SIMPLE",
    "Accepted",
    "Document",
    "KeyVoice",
    "Voice",
    "Wanted",
    "form_of",
    "judge",
]

SIMPLE: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE: Final = "dev.cosignproject.cosign/signature"
CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
_REASONS: Final = 5


def form_of(predicate_type: str) -> str:
    """Return the media type that a signature, or an attestation, has below cosign's tags."""
    return SIMPLE if predicate_type == SIGNED else DSSE


@dataclass(frozen=True, slots=True)
class Document:
    """A blob that lies beside an image: its type, its bytes, its annotations there."""

    where: str
    media_type: str
    raw: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)

    def envelope(self) -> Envelope:
        """Return what was signed and the signatures of it; raises :class:`Untrusted`."""
        if self.media_type == BUNDLE:
            return read_bundle(self.raw)
        certified = CERTIFICATE in self.annotations
        if self.media_type == DSSE:
            found = read_envelope(self.raw)
            return Envelope(found.payload, found.message, found.signatures, certified)
        signature = decoded(self.annotations.get(SIGNATURE, ""), "the signature")
        return Envelope(self.raw, self.raw, (signature,), certified)

    def claim(self, envelope: Envelope) -> Claim:
        """Return what is said in an envelope whose signature was verified."""
        read = read_simple if self.media_type == SIMPLE else read_statement
        return read(envelope.payload)


class Voice(Protocol):
    """One whose word is taken."""

    @property
    def name(self) -> str:
        """Say who, for people and locks."""

    def check(self, document: Document, envelope: Envelope) -> Sequence[bytes]:
        """Return the signatures that are by this one; raises :class:`Untrusted` if none is."""


@dataclass(frozen=True, slots=True)
class KeyVoice:
    """Whoever has the private key."""

    key: PublicKey

    @property
    def name(self) -> str:
        """The key's kind and fingerprint."""
        return f"key {self.key.fingerprint}"

    def check(self, document: Document, envelope: Envelope) -> Sequence[bytes]:  # noqa: ARG002
        """Return the signatures that the key has made."""
        if envelope.certified:
            raise Untrusted("it was signed with a certificate, not with a key")
        found, reason = [], Untrusted("nothing is signed")
        for signature in envelope.signatures:
            try:
                self.key.verify(signature, envelope.message)
            except Untrusted as error:
                reason = error
            else:
                found.append(signature)
        if not found:
            raise reason
        return found

    def check_low(self, signature: bytes, envelope: Envelope) -> None:
        """Refuse the higher S; raises :class:`Untrusted`."""
        self.key.verify(signature, envelope.message, low_s=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What has to be said: of which image, as whose, and of which type.

    `repositories` are the names under which it may be signed; None takes any, and none.
    With `low_s` the higher S is refused whoever wrote it, else only where the document
    itself says that it is by layersmith.
    """

    digest: Digest
    repositories: frozenset[str] | None
    predicate_type: str = SIGNED
    low_s: bool = False

    def check(self, claim: Claim) -> None:
        """Raise :class:`Untrusted` where the claim is another one."""
        if claim.predicate_type != self.predicate_type:
            theirs = one_line(claim.predicate_type, 120)
            what = "a signature" if theirs == SIGNED else f"an attestation of type {theirs}"
            raise Untrusted(f"it is {what}")
        names = claim.names(self.digest)
        if self.repositories is not None and not names & self.repositories:
            theirs = ", ".join(sorted(filter(None, names)))
            said = f"it is for {one_line(theirs, 200)}" if theirs else "it names no repository"
            raise Untrusted(f"{said}, not for {', '.join(sorted(self.repositories))}")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A document that holds, by whom, and what it says."""

    document: Document
    by: str
    claim: Claim


def judge(documents: Sequence[Document], wanted: Wanted, voices: Sequence[Voice]) -> list[Accepted]:
    """Return the documents that hold; raises :class:`Untrusted` if there are none."""
    accepted, reasons = [], []
    for document in documents:
        try:
            accepted.append(_judged(document, wanted, voices))
        except LayersmithError as error:
            reasons.append(f"{document.where}: {error.message}")
    if accepted:
        return accepted
    what = "signature" if wanted.predicate_type == SIGNED else "attestation"
    hint = "layersmith tree REF shows who says what about it"
    if what == "attestation":
        hint += (
            ", and the platforms' digests: SBOMs are attested of each platform, not of the index"
        )
    if not reasons:
        raise Untrusted(f"{wanted.digest} has no {what}", hint=hint)
    more = len(reasons) - _REASONS
    shown = (*reasons[:_REASONS], *([f"and {more} more"] if more > 0 else []))
    raise Untrusted(f"{wanted.digest} has no {what} that holds", reasons=shown, hint=hint)


def _judged(document: Document, wanted: Wanted, voices: Sequence[Voice]) -> Accepted:
    envelope = document.envelope()
    reason = Untrusted("nobody is trusted")
    for voice in voices:
        try:
            made = voice.check(document, envelope)
        except Untrusted as error:
            reason = error
            continue
        claim = document.claim(envelope)
        wanted.check(claim)
        if isinstance(voice, KeyVoice) and (wanted.low_s or claim.ours):
            for signature in made:
                voice.check_low(signature, envelope)
        return Accepted(document, voice.name, claim)
    raise reason
