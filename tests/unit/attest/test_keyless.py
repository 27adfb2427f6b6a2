"""Keyless signatures against a sigstore of our own: what holds, and what must not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.build import fulcio
from tests.build.fulcio import IDENTITY, ISSUER, NOW, Leaf, Sigstore, pem, recorded, sign
from tests.build.signatures import (
    BUNDLE,
    SPDX,
    Layer,
    Scene,
    attested,
    compact,
    envelope,
    payload,
    simple,
    statement,
    written,
)

from layersmith.attest.judging import Accepted, Document, KeyVoice, Wanted, judge
from layersmith.attest.keyless import KeylessVoice
from layersmith.attest.trustroot import read_root
from layersmith.errors import InvalidKey, Untrusted
from layersmith.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

OURS = Sigstore()
THEIRS = Sigstore()  # nobody believes these
SCENE = Scene("gcr.io/distroless/cc-debian13", Digest.of(b"the base"))
ENTRY = "dev.sigstore.cosign/bundle"
CERTIFICATE = "dev.sigstore.cosign/certificate"
LATER = NOW + timedelta(hours=1)


def judged(*layers: Layer, root: bytes | None = None, kind: str = "") -> list[Accepted]:
    voice = KeylessVoice(IDENTITY, ISSUER, read_root(root or OURS.root(), "root"))
    documents = [Document("here", one.media_type, one.raw, one.notes) for one in layers]
    wanted = Wanted(digest=SCENE.digest, repositories=frozenset({SCENE.repository}))
    return judge(documents, replace(wanted, predicate_type=kind) if kind else wanted, [voice])


def bundled(raw: bytes) -> Layer:
    return Layer(raw, BUNDLE)


def attestation(leaf: Leaf) -> Layer:
    """An attestation below cosign's tag, signed by an identity."""
    made = envelope(SCENE, compact(statement(SCENE, kind=SPDX, predicate={"a": 1})), key=leaf.key)
    entry = OURS.entry(fulcio.recorded_envelope(made, leaf))
    notes = {CERTIFICATE: pem(leaf.certificate), ENTRY: json.dumps(entry)}
    plain = attested(made)
    return replace(plain, notes={**plain.notes, **notes})


def test_what_an_identity_has_signed_holds_in_each_carrier() -> None:
    leaf = OURS.leaf()
    found = judged(OURS.signed(SCENE, leaf), bundled(OURS.bundle(SCENE, leaf)))
    assert [one.by for one in found] == [f"{IDENTITY} at {ISSUER}"] * 2
    (attested,) = judged(attestation(leaf), kind=SPDX)
    assert attested.claim.predicate == {"a": 1}


def test_long_names_of_issuers_are_read() -> None:
    long = "https://" + "i" * 110
    leaf = OURS.leaf(issuer=long)
    voice = KeylessVoice(IDENTITY, long, read_root(OURS.root(), "root"))
    one = OURS.signed(SCENE, leaf)
    wanted = Wanted(digest=SCENE.digest, repositories=frozenset({SCENE.repository}))
    assert judge([Document("here", one.media_type, one.raw, one.notes)], wanted, [voice])


def altered(change: Callable[[dict[str, Any]], object], leaf: Leaf) -> Layer:
    """A signature whose log entry was changed after the log had signed it."""
    made = OURS.signed(SCENE, leaf)
    entry = json.loads(made.notes[ENTRY])
    change(entry)
    return replace(made, notes={**made.notes, ENTRY: json.dumps(entry)})


def logged(body: dict[str, Any], leaf: Leaf) -> Layer:
    """A signature that the log knows as something else."""
    return OURS.signed(SCENE, leaf, body=body)


def other(leaf: Leaf, key: str, value: object) -> dict[str, Any]:
    raw = compact(payload(SCENE))
    return {**recorded(raw, leaf.key.sign(raw), leaf), key: value}


def without(layer: Layer, key: str) -> Layer:
    return replace(layer, notes={k: v for k, v in layer.notes.items() if k != key})


def second_name(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    names = [x509.RFC822Name(IDENTITY), x509.RFC822Name("other@example.com")]
    kept = [e for e in builder._extensions if not isinstance(e.value, x509.SubjectAlternativeName)]
    builder._extensions = kept
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=True)


def critical(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
    return builder.add_extension(strange, critical=True)


def authority(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)


RAW = compact(payload(SCENE))
ANOTHER = compact(payload(SCENE, optional={"a": 1}))
WRONG: dict[str, tuple[Callable[[], Layer], str]] = {
    "another identity": (
        lambda: OURS.signed(SCENE, OURS.leaf(identity="mallory@example.com")),
        "it is by mallory@example.com",
    ),
    "a part of the identity": (
        lambda: OURS.signed(SCENE, OURS.leaf(identity=f"x{IDENTITY}")),
        "it is by",
    ),
    "another issuer": (
        lambda: OURS.signed(SCENE, OURS.leaf(issuer="https://issuer.example")),
        "https://issuer.example has vouched",
    ),
    "two names": (
        lambda: OURS.signed(SCENE, OURS.leaf(change=second_name)),
        "it is by .*other@example.com",
    ),
    "another authority": (
        lambda: OURS.signed(SCENE, replace(THEIRS, log_key=OURS.log_key).leaf()),
        "no authority of the trust root",
    ),
    "another authority, with its chain": (
        lambda: replace(THEIRS, log_key=OURS.log_key).signed(SCENE, THEIRS.leaf()),
        "no authority of the trust root",
    ),
    "listed nowhere": (lambda: OURS.signed(SCENE, OURS.leaf(listed=False)), "has not what such"),
    "listed by another log": (
        lambda: OURS.signed(SCENE, replace(OURS, listing_key=THEIRS.listing_key).leaf()),
        "in no log of the trust root",
    ),
    "for another purpose": (
        lambda: OURS.signed(SCENE, OURS.leaf(purpose=ExtendedKeyUsageOID.SERVER_AUTH)),
        "not for signing code",
    ),
    "an authority's certificate": (
        lambda: OURS.signed(SCENE, OURS.leaf(change=authority)),
        "is an authority's",
    ),
    "an unknown critical extension": (
        lambda: OURS.signed(SCENE, OURS.leaf(change=critical)),
        "unknown critical extension, 1.2.3.4",
    ),
    "too late": (lambda: OURS.signed(SCENE, OURS.leaf(), at=LATER), "was not valid when"),
    "too early": (
        lambda: OURS.signed(SCENE, OURS.leaf(), at=NOW - timedelta(hours=1)),
        "was not valid when",
    ),
    "before the log was believed": (
        lambda: OURS.signed(
            SCENE, OURS.leaf(at=NOW - timedelta(days=60)), at=NOW - timedelta(days=60)
        ),
        "when it was not to be believed",
    ),
    "no certificate": (lambda: simple(SCENE), "signed with a key"),
    "two certificates": (
        lambda: OURS.signed(
            SCENE, (leaf := OURS.leaf()), notes={CERTIFICATE: pem(leaf.certificate) * 2}
        ),
        "not one certificate",
    ),
    "a damaged certificate": (
        lambda: OURS.signed(
            SCENE, OURS.leaf(), notes={CERTIFICATE: pem(OURS.leaf().certificate).replace("M", "N")}
        ),
        "damaged",
    ),
    "another's certificate": (
        lambda: OURS.signed(SCENE, OURS.leaf(), notes={CERTIFICATE: pem(OURS.leaf().certificate)}),
        "not by this key",
    ),
    "no entry": (lambda: without(OURS.signed(SCENE, OURS.leaf()), ENTRY), "no log knows"),
    "another log's entry": (
        lambda: THEIRS.signed(SCENE, OURS.leaf()),
        "a log that the trust root does not have",
    ),
    "a log by another's name": (
        lambda: altered(
            lambda e: e.update(SignedEntryTimestamp=written(sign(THEIRS.log_key, b"x"))),
            OURS.leaf(),
        ),
        "not signed by the log",
    ),
    "another time": (
        lambda: altered(lambda e: e["Payload"].update(integratedTime=1772366401), OURS.leaf()),
        "not signed by the log",
    ),
    "no time": (
        lambda: altered(lambda e: e["Payload"].update(integratedTime="0"), OURS.leaf()),
        "has no time",
    ),
    "an unknown key of the entry": (
        lambda: altered(lambda e: e.update(more=1), OURS.leaf()),
        "the unknown key 'more'",
    ),
    "an entry of another payload": (
        lambda: logged(recorded(ANOTHER, (leaf := OURS.leaf()).key.sign(RAW), leaf), leaf),
        "another signature",
    ),
    "an entry of another signature": (
        lambda: logged(recorded(RAW, (leaf := OURS.leaf()).key.sign(ANOTHER), leaf), leaf),
        "another signature",
    ),
    "an entry of another certificate": (
        lambda: logged(recorded(RAW, (leaf := OURS.leaf()).key.sign(RAW), OURS.leaf()), leaf),
        "another signature",
    ),
    "an entry of another kind": (
        lambda: logged(other((leaf := OURS.leaf()), "kind", "rekord"), leaf),
        "another kind than hashedrekord",
    ),
    "an entry of another version": (
        lambda: logged(other((leaf := OURS.leaf()), "apiVersion", "0.0.2"), leaf),
        "another kind than hashedrekord",
    ),
    "an empty entry": (
        lambda: logged(other((leaf := OURS.leaf()), "spec", {}), leaf),
        "lacks something",
    ),
    "another repository": (
        lambda: OURS.signed(SCENE, OURS.leaf(), raw=compact(payload(SCENE, name="a.b/c"))),
        "it is for a.b/c",
    ),
    "another image": (
        lambda: OURS.signed(SCENE, OURS.leaf(), raw=compact(payload(SCENE, digest=Digest.of(b"")))),
        "another image",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_hold_is_refused(name: str) -> None:
    make, why = WRONG[name]
    with pytest.raises(Untrusted, match=why):
        judged(make())


def patched(change: Callable[[dict[str, Any]], object]) -> Layer:
    made = json.loads(OURS.bundle(SCENE, OURS.leaf()))
    change(made)
    return bundled(compact(made))


def entry_of(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["verificationMaterial"]["tlogEntries"][0]
    return found


BUNDLES: dict[str, Callable[[], Layer]] = {
    "another identity": lambda: bundled(OURS.bundle(SCENE, OURS.leaf(identity="m@example.com"))),
    "another issuer": lambda: bundled(OURS.bundle(SCENE, OURS.leaf(issuer="https://i.example"))),
    "another authority": lambda: bundled(
        replace(THEIRS, log_key=OURS.log_key).bundle(SCENE, THEIRS.leaf())
    ),
    "another log": lambda: bundled(THEIRS.bundle(SCENE, OURS.leaf())),
    "listed nowhere": lambda: bundled(OURS.bundle(SCENE, OURS.leaf(listed=False))),
    "too late": lambda: bundled(OURS.bundle(SCENE, OURS.leaf(), at=LATER)),
    "another image": lambda: bundled(
        OURS.bundle(SCENE, OURS.leaf(), compact(statement(SCENE, digest={"sha256": "0" * 64})))
    ),
    "no entry": lambda: patched(lambda b: b["verificationMaterial"].update(tlogEntries=[])),
    "no proof": lambda: patched(lambda b: entry_of(b).pop("inclusionProof")),
    "another root": lambda: patched(
        lambda b: entry_of(b)["inclusionProof"].update(rootHash=written(bytes(32)))
    ),
    "another time": lambda: patched(lambda b: entry_of(b).update(integratedTime="1772366401")),
    "another payload": lambda: patched(
        lambda b: b["dsseEnvelope"].update(payload=written(compact(statement(SCENE, predicate={"a": 1}))))
    ),
    "another's certificate": lambda: patched(
        lambda b: b["verificationMaterial"].update(
            certificate=json.loads(OURS.bundle(SCENE, OURS.leaf()))["verificationMaterial"][
                "certificate"
            ]
        )
    ),
    "signed with a key": lambda: bundled(
        compact({
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": ""}},
            "dsseEnvelope": envelope(SCENE),
        })
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles_that_do_not_hold_are_refused(name: str) -> None:
    with pytest.raises(Untrusted):
        judged(BUNDLES[name]())


def test_a_key_does_not_vouch_for_what_a_certificate_has_signed() -> None:
    leaf = OURS.leaf()
    one = OURS.signed(SCENE, leaf)
    two = OURS.bundle(SCENE, leaf)
    documents = [Document("a", one.media_type, one.raw, one.notes), Document("b", BUNDLE, two)]
    wanted = Wanted(digest=SCENE.digest, repositories=frozenset({SCENE.repository}))
    with pytest.raises(Untrusted, match="with a certificate, not with a key"):
        judge(documents, wanted, [KeyVoice(leaf.key.public)])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "Expecting value"),
        (b"{}", "is not a trust root"),
        (OURS.root(mediaType="application/json"), "is not a trust root"),
        (OURS.root(tlogs=[]), "lacks an authority, a log"),
        (OURS.root(ctlogs=[]), "lacks an authority, a log"),
        (OURS.root(certificateAuthorities=[]), "lacks an authority, a log"),
        (OURS.root(certificateAuthorities=[{"certChain": {"certificates": []}}]), "damaged"),
        (OURS.root(tlogs=[{"publicKey": {"rawBytes": "AAAA"}}]), "damaged"),
        (OURS.root(tlogs=7), "damaged"),
    ],
)
def test_a_damaged_trust_root_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidKey, match=why):
        read_root(raw, "root")
