"""Signatures that nobody should accept, each with one thing wrong; see `signatures`.

Those of simple signing are here, those in bundles and statements in `hostile_statements`.
"""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from tests.build.signatures import (
    SIGNATURE,
    SIMPLE,
    Beside,
    Layer,
    Scene,
    attested,
    compact,
    envelope,
    payload,
    simple,
    written,
)

from layersmith.attest.keys import _ORDER, PrivateKey
from layersmith.oci.digest import Digest

OTHER: Final = Digest.of(b"another image")
# L of Ed25519 (RFC 8032): S + L verifies with sloppy readers.
_EDWARDS_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
MOST: Final = 100


@dataclass(frozen=True)
class Case:
    """What is wrong in words, what lies there, what is asked for, and with which key."""

    name: str
    make: Callable[[Scene], Beside]
    wanted: str = ""  # the type of an attestation
    edwards: bool = False
    is_simple: bool = False  # the form that containers' policy reads
    is_bundled: bool = False

    def key(self, scene: Scene) -> PrivateKey:
        """Return the key that is trusted."""
        return scene.edwards if self.edwards else scene.key


def cases() -> Iterator[Case]:
    """Yield every case of simple signing."""
    yield from _identities()
    yield from _numbers()
    yield from _spellings()
    yield from _payloads()
    yield from _places()


def _sig(name: str, make: Callable[[Scene], Layer | list[Layer]], **about: Any) -> Case:
    def beside(scene: Scene) -> Beside:
        made = make(scene)
        return Beside(sig=made if isinstance(made, list) else [made])

    return Case(name, beside, is_simple=True, **about)


def _about(key: str, value: Callable[[Scene], Any]) -> Callable[[Scene], Layer]:
    return lambda scene: simple(scene, **{key: value(scene)})


def _identities() -> Iterator[Case]:
    names: dict[str, Callable[[Scene], Any]] = {
        "another repository": lambda s: f"{s.repository}x",
        "a repository below": lambda s: f"{s.repository}/x",
        "another registry": lambda s: f"evil.example/{s.repository.partition('/')[2]}",
        "upper case": lambda s: s.repository.upper(),
        "no name": lambda _: "",
        "no repository": lambda _: ":::",
        "a space before": lambda s: f" {s.repository}",
        "a line end": lambda s: f"{s.repository}\n",
        "a number": lambda _: 7,
        "nothing": lambda _: None,
    }
    for what, name in names.items():
        yield _sig(f"identity: {what}", _about("name", name))
    yield _sig("identity: absent", lambda s: simple(s, identity={}))
    digests: dict[str, Callable[[Scene], Any]] = {
        "another": lambda _: OTHER,
        "upper case": lambda s: s.digest.upper(),
        "hex in upper case": lambda s: f"sha256:{s.digest.encoded.upper()}",
        "cut": lambda s: s.digest[:-2],
        "longer": lambda s: f"{s.digest}00",
        "sha512 of it": lambda s: Digest.of(s.digest.encode(), "sha512"),
        "no algorithm": lambda s: s.digest.encoded,
        "a line end": lambda s: f"{s.digest}\n",
        "a list": lambda s: [s.digest],
        "nothing": lambda _: None,
    }
    for what, digest in digests.items():
        yield _sig(f"digest: {what}", _about("digest", digest))
    yield _sig("digest: absent", lambda s: simple(s, image={}))


def _der(number: int) -> bytes:
    """Return a DER integer as it stands: also what is negative, or has a zero too many."""
    return b"\x02\x20" + number.to_bytes(32, "big")


def changed(change: Callable[[int, int], tuple[int, int]]) -> Callable[[bytes], bytes]:
    return lambda signature: encode_dss_signature(*change(*decode_dss_signature(signature)))


def _padded(signature: bytes) -> bytes:
    """Return the two numbers with a zero before the first that is not needed."""
    r, s = (encode_dss_signature(1, n)[5:] for n in decode_dss_signature(signature))
    first = b"\x02" + bytes([r[1] + 1]) + b"\0" + r[2:]
    return b"\x30" + bytes([len(first) + len(s)]) + first + s


def _by_hash(algorithm: hashes.HashAlgorithm) -> Callable[[Scene], Layer]:
    def make(scene: Scene) -> Layer:
        raw = compact(payload(scene))
        private: Any = scene.key._key
        return Layer(raw, SIMPLE, {SIGNATURE: written(private.sign(raw, ec.ECDSA(algorithm)))})

    return make


def _other_curve(scene: Scene) -> Layer:
    raw = compact(payload(scene))
    signature = ec.generate_private_key(ec.SECP384R1()).sign(raw, ec.ECDSA(hashes.SHA256()))
    return Layer(raw, SIMPLE, {SIGNATURE: written(signature)})


def _sloppy(signature: bytes) -> bytes:
    """Return a signature of Ed25519 with S beyond the order."""
    number = int.from_bytes(signature[32:], "little") + _EDWARDS_ORDER
    return signature[:32] + number.to_bytes(32, "little")


def _numbers() -> Iterator[Case]:
    ours = {"creator": "layersmith"}
    high = changed(lambda r, s: (r, _ORDER - s))
    yield _sig("high S", lambda s: simple(s, optional=ours, altered=high))
    wrong: dict[str, Callable[[bytes], bytes]] = {
        "r is 0": changed(lambda _, s: (0, s)),
        "s is 0": changed(lambda r, _: (r, 0)),
        "both are 0": changed(lambda _r, _s: (0, 0)),
        "r beyond the order": changed(lambda r, s: (r + _ORDER, s)),
        "s beyond the order": changed(lambda r, s: (r, s + _ORDER)),
        "r and s swapped": changed(lambda r, s: (s, r)),
        "raw r and s": lambda x: b"".join(n.to_bytes(32, "big") for n in decode_dss_signature(x)),
        "a zero too many": _padded,
        "a long form of the length": lambda x: x[:1] + b"\x81" + x[1:],
        "an endless form": lambda x: b"\x30\x80" + x[2:] + b"\0\0",
        "bytes behind": lambda x: x + b"\0",
        "bytes within": lambda x: x[:1] + bytes([x[1] + 2]) + x[2:] + b"\x05\0",
        "cut": lambda x: x[:-1],
        "empty": lambda _: b"",
        "a set, not a sequence": lambda x: b"\x31" + x[1:],
        "negative": lambda x: (
            b"\x30\x44"
            + _der(decode_dss_signature(x)[0] | 1 << 255)
            + _der(decode_dss_signature(x)[1])
        ),
        "a bit flipped": lambda x: x[:-1] + bytes([x[-1] ^ 1]),
        "twice": lambda x: x + x,
    }
    for what, change in wrong.items():
        yield _sig(f"ECDSA: {what}", partial(simple, altered=change))
    yield _sig("ECDSA: SHA-384", _by_hash(hashes.SHA384()))
    yield _sig("ECDSA: SHA-512", _by_hash(hashes.SHA512()))
    yield _sig("ECDSA: P-384", _other_curve)
    yield _sig("ECDSA: another key", lambda s: simple(s, key=s.stranger))
    yield _sig("ECDSA: signed with Ed25519", lambda s: simple(s, key=s.edwards))
    edwards: dict[str, Callable[[Scene], Layer]] = {
        "signed with ECDSA": lambda s: simple(s, key=s.key),
        "S beyond the order": lambda s: simple(s, key=s.edwards, altered=_sloppy),
        "cut": lambda s: simple(s, key=s.edwards, altered=lambda x: x[:-1]),
        "bytes behind": lambda s: simple(s, key=s.edwards, altered=lambda x: x + b"\0"),
        "zeros": lambda s: simple(s, key=s.edwards, altered=lambda _: bytes(64)),
        "R of order 1": lambda s: simple(s, key=s.edwards, altered=lambda _: b"\1" + bytes(63)),
        "another key": lambda s: simple(s, key=PrivateKey.generate("ed25519")),
    }
    for what, make in edwards.items():
        yield _sig(f"Ed25519: {what}", make, edwards=True)


def _loose(data: bytes) -> str:
    """Return base64 with a bit set behind the end of the data."""
    text = written(data)
    while not text.endswith("="):
        data += b"\0"
        text = written(data)
    at = len(text.rstrip("=")) - 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:at] + alphabet[alphabet.index(text[at]) | 1] + text[at + 1 :]


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


TEXTS: Final[dict[str, Callable[[bytes], str]]] = {
    "a line end behind": lambda x: written(x) + "\n",
    "line ends within": lambda x: base64.encodebytes(x).decode(),
    "spaces": lambda x: f" {written(x)} ",
    "no padding": lambda x: written(x + b"\0" * (1 - len(x) % 3 if len(x) % 3 != 1 else 0)).rstrip(
        "="
    ),
    "bits behind the end": _loose,
    "more padding": lambda x: written(x) + "====",
    "another text behind": lambda x: written(x) + written(x),
    "hexadecimal": bytes.hex,
    "nothing": lambda _: "",
    "no text of it": lambda _: "\N{SNOWMAN}",
}


def _spellings() -> Iterator[Case]:
    for what, spelled in TEXTS.items():
        yield _sig(f"base64: {what}", partial(simple, spelled=spelled))
    yield _sig(
        "base64: the alphabet of URLs",
        lambda s: simple(s, spelled=lambda x: "-_" + _url_safe(x)),
    )
    yield _sig("no annotation", lambda s: Layer(simple(s).raw))
    elsewhere = "dev.cosignproject.cosign/signature2"
    yield _sig(
        "another annotation",
        lambda s: Layer(simple(s).raw, SIMPLE, {elsewhere: simple(s).notes[SIGNATURE]}),
    )


def _doubled(scene: Scene, at: bytes, more: bytes) -> Layer:
    raw = compact(payload(scene))
    assert at in raw
    return simple(scene, raw.replace(at, more + at, 1))


def _good(scene: Scene) -> bytes:
    return compact(payload(scene))


def _critical(scene: Scene, **more: Any) -> dict[str, Any]:
    return {**payload(scene)["critical"], **more}


def _strangers(scene: Scene) -> list[Layer]:
    """Return a thousand signatures that are none."""
    nones = (encode_dss_signature(n, n) for n in range(1, 1001))
    return [Layer(_good(scene), SIMPLE, {SIGNATURE: written(none)}) for none in nones]


def _payloads() -> Iterator[Case]:
    made: dict[str, Callable[[Scene], Layer]] = {
        "swapped": lambda s: Layer(compact(payload(s)), SIMPLE, simple(s, name="a.b/c").notes),
        "a line end added": lambda s: Layer(_good(s) + b"\n", SIMPLE, simple(s).notes),
        "another type": lambda s: simple(s, type="atomic container signature"),
        "a type in upper case": lambda s: simple(s, type="Cosign container image signature"),
        "no type": lambda s: simple(
            s, critical={k: v for k, v in _critical(s).items() if k != "type"}
        ),
        "a type that is a number": lambda s: simple(s, type=1),
        "a critical key too many": lambda s: simple(s, critical=_critical(s, more="x")),
        "a key too many": lambda s: simple(s, compact({**payload(s), "more": {}})),
        "a key of the image too many": lambda s: simple(
            s, image={"docker-manifest-digest": s.digest, "x": 1}
        ),
        "a key of the identity too many": lambda s: simple(
            s, identity={"docker-reference": s.repository, "x": 1}
        ),
        "critical in two spellings": lambda s: simple(
            s, compact({"Critical": _critical(s, type="x"), **payload(s)})
        ),
        "critical twice": lambda s: _doubled(s, b'"critical"', b'"critical":{},'),
        "digest twice": lambda s: _doubled(
            s, b'"docker-manifest-digest"', b'"docker-manifest-digest":"%s",' % OTHER.encode()
        ),
        "identity twice": lambda s: _doubled(
            s, b'"docker-reference"', b'"docker-reference":"a.b/c",'
        ),
        "no optional": lambda s: simple(s, compact({"critical": _critical(s)})),
        "optional is a list": lambda s: simple(s, optional=[]),
        "creator is a number": lambda s: simple(s, optional={"creator": 1}),
        "timestamp is a text": lambda s: simple(s, optional={"timestamp": "now"}),
        "timestamp is a fraction": lambda s: simple(s, optional={"timestamp": 1.5}),
        "no JSON": lambda s: simple(s, b"signed"),
        "empty": lambda s: simple(s, b""),
        "a list": lambda s: simple(s, compact([payload(s)])),
        "null": lambda s: simple(s, b"null"),
        "a mark before": lambda s: simple(s, codecs.BOM_UTF8 + _good(s)),
        "UTF-16": lambda s: simple(s, _good(s).decode().encode("utf-16")),
        "JSON behind": lambda s: simple(s, _good(s) + b"{}"),
        "not UTF-8": lambda s: simple(s, _good(s).replace(b"null", b'{"a":"\xff"}')),
        "NaN": lambda s: simple(s, _good(s).replace(b"null", b'{"a":NaN}')),
        "deep": lambda s: simple(
            s, _good(s).replace(b"null", b'{"a":%s%s}' % (b"[" * 9999, b"]" * 9999))
        ),
        "large": lambda s: simple(s, optional={"a": "x" * (70 << 10)}),
        "critical is a text": lambda s: simple(s, critical=compact(_critical(s)).decode()),
    }
    for what, make in made.items():
        yield _sig(f"payload: {what}", make)


def _places() -> Iterator[Case]:
    yield _sig("1,001 signatures, the last is good", lambda s: [*_strangers(s), simple(s)])
    yield _sig(
        "101 signatures, the first is good",
        lambda s: [simple(s), *_strangers(s)[:MOST]],
    )
    yield _sig("no layers", lambda _: [])
    yield Case("nothing", lambda _: Beside(), is_simple=True)
    yield _sig(
        "another type of layer",
        lambda s: Layer(simple(s).raw, "application/octet-stream", simple(s).notes),
    )
    yield Case(
        "the tag is an index", lambda s: Beside(sig=[simple(s)], index=True), is_simple=True,
    )  # fmt: skip
    yield Case("the layer is lost", lambda s: Beside(sig=[simple(s)], lost=True), is_simple=True)
    certificate = {"dev.sigstore.cosign/certificate": "none"}
    yield _sig(
        "a certificate beside the key",
        lambda s: Layer(simple(s).raw, SIMPLE, {**simple(s).notes, **certificate}),
    )
    yield _sig(
        "two wrongs make no right",
        lambda s: [simple(s, name="a.b/c"), simple(s, digest=OTHER), simple(s, key=s.stranger)],
    )
    yield Case("an attestation in its place", lambda s: Beside(sig=[attested(envelope(s))]))
