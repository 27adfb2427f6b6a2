"""Signed documents with bytes changed: refused, or what was signed is as it was; never a crash."""

from __future__ import annotations

import base64
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from tests.build.fulcio import IDENTITY, ISSUER, Sigstore
from tests.build.signatures import BUNDLE, SIMPLE, Scene, bundle, envelope, simple

from layersmith.attest.judging import Document, KeyVoice, Wanted, judge
from layersmith.attest.keyless import KeylessVoice
from layersmith.attest.keys import read_public
from layersmith.attest.trustroot import read_root
from layersmith.errors import InvalidKey, Untrusted
from layersmith.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from layersmith.attest.judging import Accepted, Voice

SCENE = Scene("a.b/c", Digest.of(b"x"))
SIGSTORE = Sigstore()
WANTED = Wanted(digest=SCENE.digest, repositories=frozenset({SCENE.repository}))
NOTES = ("dev.sigstore.cosign/certificate", "dev.sigstore.cosign/bundle")
MUTANTS = 400


def mutants(raw: bytes, seed: int) -> Iterator[bytes]:
    """Yield bytes with one thing changed, cut out, doubled or put in."""
    chance = random.Random(seed)
    for _ in range(MUTANTS):
        at, size = chance.randrange(len(raw)), chance.randrange(1, 9)
        piece = chance.choice([
            bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 : at + size],
            b"", raw[at : at + size] * 2, chance.randbytes(size), b'{"', b"\\u0000", b"9" * 20,
        ])  # fmt: skip
        yield raw[:at] + piece + raw[at + size :]


def survivors(voice: Voice, media_type: str, raw: bytes, notes: Mapping[str, str]) -> bool:
    """Tell whether a document holds; if it does, what it says is what was signed."""
    accepted: list[Accepted] = []
    said = refusal(lambda: accepted.extend(
        judge([Document("here", media_type, raw, notes)], WANTED, [voice])
    ))  # fmt: skip
    assert said.isprintable()
    assert all(one.claim.names(SCENE.digest) == {SCENE.repository} for one in accepted)
    return bool(accepted)


def refusal(run: Callable[[], object]) -> str:
    """Return the message of our own error, nothing if there was none."""
    try:
        run()
    except (Untrusted, InvalidKey) as error:
        return error.message
    return ""


def test_nothing_of_simple_signing_can_be_changed() -> None:
    made = simple(SCENE)
    voice = KeyVoice(SCENE.key.public)
    assert survivors(voice, SIMPLE, made.raw, made.notes)
    for mutant in mutants(made.raw, 1):
        assert mutant == made.raw or not survivors(voice, SIMPLE, mutant, made.notes)
    (key, text), *_ = made.notes.items()
    for mutant in mutants(text.encode(), 2):
        spelled = mutant.decode("latin-1")
        assert spelled == text or not survivors(voice, SIMPLE, made.raw, {key: spelled})


def test_bundles_with_bytes_changed_do_no_harm() -> None:
    raw = bundle(envelope(SCENE))
    voice = KeyVoice(SCENE.key.public)
    kept = sum(survivors(voice, BUNDLE, mutant, {}) for mutant in mutants(raw, 3))
    assert kept < MUTANTS // 10  # the hint at the key says nothing


@pytest.mark.parametrize("note", NOTES)
def test_certificates_and_entries_with_bytes_changed_do_no_harm(note: str) -> None:
    leaf = SIGSTORE.leaf()
    made = SIGSTORE.signed(SCENE, leaf)
    voice = KeylessVoice(IDENTITY, ISSUER, read_root(SIGSTORE.root(), "root"))
    assert survivors(voice, SIMPLE, made.raw, made.notes)
    for mutant in mutants(made.notes[note].encode(), 4):
        survivors(voice, SIMPLE, made.raw, {**made.notes, note: mutant.decode("latin-1")})


def test_certificates_with_their_insides_changed_are_refused() -> None:
    leaf = SIGSTORE.leaf()
    made = SIGSTORE.signed(SCENE, leaf)
    voice = KeylessVoice(IDENTITY, ISSUER, read_root(SIGSTORE.root(), "root"))
    lines = made.notes[NOTES[0]].splitlines()
    der = base64.b64decode("".join(lines[1:-1]))
    readable = 0
    for mutant in mutants(der, 5):
        body = base64.encodebytes(mutant).decode()
        pem = f"{lines[0]}\n{body}{lines[-1]}\n"
        try:
            x509.load_pem_x509_certificate(pem.encode())
            readable += 1
        except ValueError:
            pass
        notes = {**made.notes, NOTES[0]: pem}
        assert mutant == der or not survivors(voice, SIMPLE, made.raw, notes)
    assert readable > MUTANTS // 10


def test_keyless_bundles_with_bytes_changed_do_no_harm() -> None:
    raw = SIGSTORE.bundle(SCENE, SIGSTORE.leaf())
    voice = KeylessVoice(IDENTITY, ISSUER, read_root(SIGSTORE.root(), "root"))
    assert survivors(voice, BUNDLE, raw, {})
    kept = sum(survivors(voice, BUNDLE, mutant, {}) for mutant in list(mutants(raw, 6))[:150])
    assert kept < 15


def test_keys_and_trust_roots_with_bytes_changed_are_told_of() -> None:
    for mutant in mutants(SCENE.key.public.pem, 7):
        assert refusal(partial(read_public, mutant, "key")).isprintable()
    for mutant in mutants(SIGSTORE.root(), 8):
        assert refusal(partial(read_root, mutant, "root")).isprintable()
