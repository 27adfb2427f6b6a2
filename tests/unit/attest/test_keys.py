"""Keys: what is written is read again, signing is deterministic, reading strict."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from layersmith.attest.keys import _ORDER, ECDSA, ED25519, FORMATS, KINDS, PrivateKey, read_public
from layersmith.errors import InvalidKey, Untrusted

if TYPE_CHECKING:
    from collections.abc import Callable

# Written once by `cosign generate-key-pair` 2.5 with the password "pw".
THEIRS = b"""\
-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiI0QnFUQmlUY2FRblhVcE5Oc1hwUkVmK0Nad2x3ZHpk
R3Bhcy9FNkp3dkpnPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJMRGhibyt3c0YxQS9QVlFySzVmRE0waXljYkdMempRdCJ9LCJj
aXBoZXJ0ZXh0IjoiTU1PV093R1Z4Mit6azNEZVNTUC9lMlF3K3lqNEZ0dk1Rb1hq
YkNTZ2IrN1NBbTRSZkcvRHQ3TWdYci9TcmdiTXFKVWZWaGUwb3EyRlJlNXQ2UFl0
cHg3bkNFMFBYcWhzY0Q1NzdqOVNid0pwaldLOWlyWXVxOTNFOVRwa3JOUTBsVVlM
NlNydzEyRk9yNU5Rb3dWT0Nzc0ZWTXJnUUtVYk5TdVNPeDZWMW5ic3Budk40UFhp
R3JGZk9wbzR5VDVGZlFRMEE0VVRDelFjNVE9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
"""
THEIRS_PUBLIC = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbJ6cTYMkTJ26QM3LpgRF1pbnxlsY
obr98NJJQKiDsZaOuXspYM5N45mBbCjK74tgByqvvdbSpP+MjVAXUqfsLg==
-----END PUBLIC KEY-----
"""


def never() -> bytes:
    raise AssertionError("nobody is to be asked")


@pytest.fixture(params=KINDS)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return PrivateKey.generate(request.param)


@pytest.mark.parametrize("form", FORMATS)
def test_a_key_is_read_as_it_was_written(key: PrivateKey, form: str) -> None:
    raw = key.written(form, b"secret")
    assert PrivateKey.read(raw, "k", lambda: b"secret").public.pem == key.public.pem
    assert key.public.pem not in raw
    with pytest.raises(InvalidKey, match="k: the password is wrong"):
        PrivateKey.read(raw, "k", lambda: b"other")


def test_without_a_password_nobody_is_asked(key: PrivateKey) -> None:
    raw = key.written("pkcs8", b"")
    assert b"ENCRYPTED" not in raw
    assert PrivateKey.read(raw, "k", never).public.pem == key.public.pem


def test_the_key_of_cosign_is_read() -> None:
    assert PrivateKey.read(THEIRS, "k", lambda: b"pw").public.pem.decode() == THEIRS_PUBLIC
    older = THEIRS.replace(b"SIGSTORE", b"COSIGN")
    assert PrivateKey.read(older, "k", lambda: b"pw").public.pem.decode() == THEIRS_PUBLIC


def changed(change: Callable[[dict[str, dict[str, object]]], object]) -> bytes:
    lines = THEIRS.splitlines()
    box = json.loads(base64.b64decode(b"".join(lines[1:-1])))
    change(box)
    return b"\n".join((lines[0], base64.b64encode(json.dumps(box).encode()), lines[-1]))


@pytest.mark.parametrize(
    "raw",
    [
        changed(lambda box: box["kdf"].update(name="argon2")),
        changed(lambda box: box["kdf"].update(params={"N": 1 << 30, "r": 8, "p": 1})),
        changed(lambda box: box["kdf"].update(params={"N": 65535, "r": 8, "p": 1})),
        changed(lambda box: box["cipher"].update(nonce="AAAA")),
        changed(lambda box: box.update(more={})),
        THEIRS.replace(b"eyJrZGYi", b"eyJrZG??"),
        THEIRS.replace(b"-----END ENCRYPTED SIGSTORE", b"-----END ENCRYPTED COSIGN"),
        THEIRS + b"more\n",
    ],
)
def test_a_strange_box_is_damaged(raw: bytes) -> None:
    with pytest.raises(InvalidKey, match=r"^k: a damaged key of cosign's format$"):
        PrivateKey.read(raw, "k", lambda: b"pw")


def test_other_kinds_of_keys_are_refused() -> None:
    for other in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        private = other.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = other.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(InvalidKey, match="another kind"):
            PrivateKey.read(private, "k", never)
        with pytest.raises(InvalidKey, match="another kind"):
            read_public(public, "k")


def test_a_public_key_is_one_and_public(key: PrivateKey) -> None:
    pem = key.public.pem
    assert read_public(b"\n" + pem + b"\n", "k").fingerprint == key.public.fingerprint
    for raw in (b"", pem + pem, b"x" + pem, key.written("pkcs8", b""), THEIRS):
        with pytest.raises(InvalidKey, match=r"^k is not a public key$"):
            read_public(raw, "k")
    with pytest.raises(InvalidKey, match=r"^k is a public key$"):
        PrivateKey.read(pem, "k", never)


def test_signing_again_gives_the_same_bytes(key: PrivateKey) -> None:
    for number in range(20):
        message = b"m" * number
        signature = key.sign(message)
        assert signature == key.sign(message)
        key.public.verify(signature, message, low_s=True)
        with pytest.raises(Untrusted):
            key.public.verify(signature, message + b"x")


def test_ecdsa_is_deterministic_as_rfc_6979_has_it() -> None:
    secret = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721  # A.2.5
    key = PrivateKey(ec.derive_private_key(secret, ec.SECP256R1()))
    r, s = decode_dss_signature(key.sign(b"sample"))
    assert r == 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    theirs = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    assert s == _ORDER - theirs


def test_what_is_no_ecdsa_signature_is_refused() -> None:
    key = PrivateKey.generate(ECDSA)
    good = key.sign(b"m")
    r, s = decode_dss_signature(good)
    high = encode_dss_signature(r, _ORDER - s)
    key.public.verify(high, b"m")
    with pytest.raises(Untrusted, match="higher S"):
        key.public.verify(high, b"m", low_s=True)
    wide = encode_dss_signature(r + _ORDER, s)
    long_form = good[:1] + b"\x81" + good[1:]
    for bad in (b"", good[:-1], good + b"\0", wide, encode_dss_signature(0, s), long_form):
        with pytest.raises(Untrusted):
            key.public.verify(bad, b"m")


def test_keys_are_not_confused() -> None:
    one, other = PrivateKey.generate(ECDSA), PrivateKey.generate(ED25519)
    for signer, verifier in ((one, other), (other, one)):
        with pytest.raises(Untrusted):
            verifier.public.verify(signer.sign(b"m"), b"m")
    other_hash = ec.generate_private_key(ec.SECP256R1())
    signed = other_hash.sign(b"m", ec.ECDSA(hashes.SHA384()))
    with pytest.raises(Untrusted):
        PrivateKey(other_hash).public.verify(signed, b"m")


def test_a_private_key_is_never_printed() -> None:
    assert repr(PrivateKey.generate(ECDSA)) == "<PrivateKey ecdsa-p256>"
