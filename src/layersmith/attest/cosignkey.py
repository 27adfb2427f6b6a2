"""cosign's own format of private keys: PKCS8 in a box of NaCl's, under a password.

PEM around JSON: scrypt (RFC 7914) makes a key of the password, secretbox (XSalsa20 and
Poly1305) hides the PKCS8 bytes under it. Two labels are in use, the older one before
cosign 2.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from layersmith.errors import DocumentError, InvalidKey
from layersmith.oci.strictjson import decode, encode, typed

if TYPE_CHECKING:
    from nacl.secret import SecretBox

__all__ = ["box", "is_boxed", "unbox"]

_LABEL: Final = b"ENCRYPTED SIGSTORE PRIVATE KEY"
_LABELS: Final = (_LABEL, b"ENCRYPTED COSIGN PRIVATE KEY")
_LINE: Final = 64
_LARGEST: Final = 64 << 10
# What cosign writes since 2.4, and the only one that it reads beside its older 32768.
_COST: Final = 65536
_SALT, _NONCE, _KEY = 32, 24, 32

# 128 * N * r bytes are needed: a file of a stranger must not ask for more than this.
_Cost = Annotated[int, msgspec.Meta(ge=2, le=1 << 20)]


class _Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    N: _Cost
    r: Literal[8]
    p: Literal[1]


class _Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Literal["scrypt"]
    params: _Params
    salt: str


class _Cipher(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Literal["nacl/secretbox"]
    nonce: str


class _Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kdf: _Kdf
    cipher: _Cipher
    ciphertext: str


def is_boxed(raw: bytes) -> bool:
    """Tell whether a file is of this format."""
    return any(b"-----BEGIN " + label in raw for label in _LABELS)


def box(der: bytes, password: bytes) -> bytes:
    """Return the file of a private key."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    hidden = _secret_box(password, salt, _COST).encrypt(der, nonce).ciphertext
    made = _Box(
        _Kdf("scrypt", _Params(_COST, 8, 1), _written(salt)),
        _Cipher("nacl/secretbox", _written(nonce)),
        _written(hidden),
    )
    text = base64.b64encode(encode(made))
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    ends = (b"-----BEGIN " + _LABEL + b"-----", b"-----END " + _LABEL + b"-----", b"")
    return b"\n".join((ends[0], *lines, *ends[1:]))


def unbox(raw: bytes, where: str, password: bytes) -> bytes:
    """Return the PKCS8 bytes of a file; raises :class:`InvalidKey`."""
    from nacl.exceptions import CryptoError  # noqa: PLC0415 - only these keys need it

    try:
        made = typed(decode(_body(raw), where, limit=_LARGEST), _Box, where)
        salt, nonce = _read(made.kdf.salt), _read(made.cipher.nonce)
        hidden, cost = _read(made.ciphertext), made.kdf.params.N
        is_whole = len(nonce) == _NONCE and cost.bit_count() == 1
    except (ValueError, DocumentError):
        is_whole = False
    if not is_whole:
        raise InvalidKey(f"{where}: a damaged key of cosign's format")
    try:
        return _secret_box(password, salt, cost).decrypt(hidden, nonce)
    except CryptoError:
        raise InvalidKey(f"{where}: the password is wrong, or the key damaged") from None


def _secret_box(password: bytes, salt: bytes, cost: int) -> SecretBox:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415 - as above
    from nacl.secret import SecretBox  # noqa: PLC0415

    return SecretBox(Scrypt(salt=salt, length=_KEY, n=cost, r=8, p=1).derive(password))


def _body(raw: bytes) -> bytes:
    """Return what is between the two lines of PEM; raises :class:`ValueError`."""
    lines = raw.strip().splitlines()
    labels = [label for label in _LABELS if lines[0] == b"-----BEGIN " + label + b"-----"]
    if not labels or lines[-1] != b"-----END " + labels[0] + b"-----":
        raise ValueError
    return _decoded(b"".join(lines[1:-1]))


def _written(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(text: str) -> bytes:
    return _decoded(text.encode())


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError from None
