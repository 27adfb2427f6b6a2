"""Keys that sign and verify: ECDSA on P-256 with SHA-256, and Ed25519. No other kind.

Signing is deterministic: Ed25519 is (RFC 8032), ECDSA by RFC 6979, and of the two values
that verify alike the lower S is written. Reading is strict: DER with one encoding for one
value (X.690 clause 10), both numbers in range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from layersmith.attest import cosignkey
from layersmith.errors import InvalidKey, Untrusted
from layersmith.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ECDSA", "ED25519", "FORMATS", "KINDS", "PrivateKey", "PublicKey", "read_public"]

ECDSA: Final = "ecdsa-p256"
ED25519: Final = "ed25519"
KINDS: Final = (ECDSA, ED25519)
FORMATS: Final = ("pkcs8", "cosign")

# The order of P-256's base point (SEC 2, section 2.4.2).
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PUBLIC: Final = b"-----BEGIN PUBLIC KEY-----"
_END: Final = b"-----END "
_FITTING: Final = "use an ECDSA key on P-256, or an Ed25519 key"
_Public: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_Private: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of one of the two kinds."""

    key: _Public

    @property
    def kind(self) -> str:
        """ECDSA or ED25519."""
        return ED25519 if isinstance(self.key, ed25519.Ed25519PublicKey) else ECDSA

    @property
    def der(self) -> bytes:
        """The key as SubjectPublicKeyInfo (RFC 5280)."""
        return self.key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def pem(self) -> bytes:
        """The key as a file has it."""
        return self.key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def fingerprint(self) -> Digest:
        """The digest of :attr:`der`: what a key is called."""
        return Digest.of(self.der)

    def verify(self, signature: bytes, message: bytes, *, low_s: bool = False) -> None:
        """Return if this key made `signature` of `message`; raises :class:`Untrusted`.

        With `low_s` the higher of two S that verify alike is refused: whoever writes only
        the lower has not written it. Go's signers, cosign among them, write either.
        """
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                _check_ecdsa(signature, low_s=low_s)
                self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Untrusted("the signature is not by this key, or of something else") from None


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key of one of the two kinds; never printed."""

    _key: _Private

    def __repr__(self) -> str:
        """Name the kind, nothing else."""
        return f"<{type(self).__name__} {self.public.kind}>"

    @classmethod
    def generate(cls, kind: str = ECDSA) -> PrivateKey:
        """Make a new key from the system's randomness."""
        if kind == ED25519:
            return cls(ed25519.Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, raw: bytes, where: str, password: Callable[[], bytes]) -> PrivateKey:
        """Read a file: PKCS8 or cosign's format. `password` is asked if there is one.

        Raises :class:`InvalidKey`.
        """
        if cosignkey.is_boxed(raw):
            der = cosignkey.unbox(raw, where, password())
            return cls(_checked(_loaded(der, None, where, serialization.load_der_private_key)))
        if _PUBLIC in raw:
            raise InvalidKey(f"{where} is a public key", hint="signing needs the private one")
        secret = password() if b"ENCRYPTED" in raw else None
        return cls(_checked(_loaded(raw, secret, where, serialization.load_pem_private_key)))

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return PublicKey(self._key.public_key())

    def written(self, form: str, password: bytes) -> bytes:
        """Return the key as a file: ``pkcs8``, encrypted if there is a password, or ``cosign``."""
        if form == "cosign":
            der = self._bytes(serialization.Encoding.DER, serialization.NoEncryption())
            return cosignkey.box(der, password)
        cipher = serialization.BestAvailableEncryption(password) if password else None
        return self._bytes(serialization.Encoding.PEM, cipher or serialization.NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """Return the signature of `message`: always the same one."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        try:
            how = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
            signature = self._key.sign(message, how)
        except UnsupportedAlgorithm:  # an OpenSSL before 3.2 under cryptography
            signature = self._key.sign(message, ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(signature)
        return encode_dss_signature(r, min(s, _ORDER - s))

    def _bytes(
        self, encoding: serialization.Encoding, cipher: serialization.KeySerializationEncryption
    ) -> bytes:
        return self._key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, cipher)


def read_public(raw: bytes, where: str) -> PublicKey:
    """Read a PEM file with one public key and nothing else; raises :class:`InvalidKey`."""
    text = raw.strip()
    if not text.startswith(_PUBLIC) or text.count(_END) != 1:
        raise InvalidKey(
            f"{where} is not a public key",
            hint="layersmith key public KEY > KEY.pub gives that of a private key",
        )
    key = _loaded(text, None, where, lambda data, _: serialization.load_pem_public_key(data))
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return PublicKey(key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PublicKey(key)
    raise InvalidKey(f"{where}: a key of another kind", hint=_FITTING)


def _loaded(
    raw: bytes, secret: bytes | None, where: str, load: Callable[[bytes, bytes | None], Any]
) -> Any:
    try:
        return load(raw, secret)
    except UnsupportedAlgorithm:
        raise InvalidKey(f"{where}: a key of another kind", hint=_FITTING) from None
    except (ValueError, TypeError):
        why = "the password is wrong, or the key damaged" if secret else "not a key, or damaged"
        raise InvalidKey(f"{where}: {why}") from None


def _checked(key: Any) -> _Private:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise InvalidKey("a key of another kind", hint=_FITTING)


def _check_ecdsa(signature: bytes, *, low_s: bool) -> None:
    """Refuse another writing of the two numbers than the one of DER, and numbers out of range."""
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        raise Untrusted("the signature is not DER") from None
    if encode_dss_signature(r, s) != signature:
        raise Untrusted("the signature is written in another way than DER's")
    if not (0 < r < _ORDER and 0 < s < _ORDER):
        raise Untrusted("a number of the signature is out of range")
    if low_s and s > _ORDER // 2:
        raise Untrusted("the signature has the higher S: it was altered")
