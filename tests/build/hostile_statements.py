"""Bundles, statements and attestations that nobody should accept; see `hostile_signatures`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.build.hostile_signatures import MOST, OTHER, TEXTS, Case, changed
from tests.build.signatures import (
    SPDX,
    Beside,
    Scene,
    attested,
    bundle,
    compact,
    envelope,
    payload,
    statement,
    written,
)

from layersmith.attest.keys import _ORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def cases() -> Iterator[Case]:
    """Yield every case; their names are unique, those of `hostile_signatures` included."""
    yield from _bundles()
    yield from _statements()
    yield from _attestations()


def _plain(scene: Scene) -> bytes:
    return bundle(envelope(scene))


def _bundle(name: str, make: Callable[[Scene], bytes | list[bytes]], wanted: str = "") -> Case:
    def beside(scene: Scene) -> Beside:
        made = make(scene)
        return Beside(bundles=made if isinstance(made, list) else [made])

    return Case(f"bundle: {name}", beside, wanted, is_bundled=True)


def _spelled(text: Callable[[bytes], str]) -> Callable[[Scene], bytes]:
    def make(scene: Scene) -> bytes:
        raw = compact(statement(scene, predicate={"pad": ""}))
        raw = raw.replace(b'""', b'"%s"' % (b"x" * (2 - len(raw) % 3)))  # for a "=" at its end
        return bundle(envelope(scene, raw, spelled=text))

    return make


def _bundles() -> Iterator[Case]:
    made: dict[str, Callable[[Scene], bytes]] = {
        "another key": lambda s: bundle(envelope(s, key=s.stranger)),
        "the payload alone is signed": lambda s: bundle(envelope(s, signed=lambda raw: raw)),
        "another type of payload": lambda s: bundle(envelope(s, kind="text/plain")),
        "the type changed after signing": lambda s: bundle(
            {**envelope(s), "payloadType": "application/vnd.in-toto+JSON"}
        ),
        "the payload swapped": lambda s: bundle(
            {**envelope(s), "payload": written(compact(statement(s, predicate={"a": 1})))}
        ),
        "two signatures": lambda s: bundle(
            {**envelope(s), "signatures": envelope(s)["signatures"] * 2}
        ),
        "no signature": lambda s: bundle({**envelope(s), "signatures": []}),
        "signatures are none": lambda s: bundle({**envelope(s), "signatures": None}),
        "version 0.2": lambda s: bundle(
            envelope(s), mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"
        ),
        "no version": lambda s: bundle(envelope(s), mediaType=None),
        "a certificate": lambda s: bundle(
            envelope(s), verificationMaterial={"certificate": {"rawBytes": ""}}
        ),
        "a key and a certificate": lambda s: bundle(
            envelope(s), verificationMaterial={"publicKey": {}, "certificate": {"rawBytes": ""}}
        ),
        "no material": lambda s: bundle(envelope(s), verificationMaterial={}),
        "an unknown key": lambda s: bundle(envelope(s), more=1),
        "a message beside the envelope": lambda s: bundle(envelope(s), messageSignature={}),
        "a message, no envelope": lambda s: bundle(
            envelope(s), messageSignature={"signature": ""}, dsseEnvelope=None
        ),
        "the envelope twice": lambda s: _plain(s)[:-1] + b',"dsseEnvelope":{}}',
        "an unknown key of the envelope": lambda s: bundle({**envelope(s), "more": 1}),
        "an unknown key of the signature": lambda s: bundle(
            {**envelope(s), "signatures": [{**envelope(s)["signatures"][0], "more": 1}]}
        ),
        "the higher S": lambda s: bundle(
            envelope(
                s,
                compact(statement(s, subject=[_ours(s)])),
                altered=changed(lambda r, n: (r, _ORDER - n)),
            )
        ),
        "cut": lambda s: _plain(s)[:-1],
        "bytes behind": lambda s: _plain(s) + b"\0",
        "empty": lambda _: b"",
    }
    for what, make in made.items():
        yield _bundle(what, make)
    for what in ("a line end behind", "bits behind the end", "no padding"):
        yield _bundle(f"payload in base64 with {what}", _spelled(TEXTS[what]))
    yield _bundle(
        "101 of them",
        lambda s: [
            bundle(envelope(s), verificationMaterial={"publicKey": {"hint": str(n)}})
            for n in range(MOST + 1)
        ],
    )
    yield Case(
        "bundle: it refers to another image",
        lambda s: Beside(bundles=[_plain(s)], about=OTHER),
        is_bundled=True,
    )


def _ours(scene: Scene) -> dict[str, Any]:
    (subject,) = statement(scene)["subject"]
    return {**subject, "annotations": {"creator": "layersmith"}}


def _statements() -> Iterator[Case]:
    def told(what: str, /, **changes: Any) -> Case:
        return _bundle(
            f"statement: {what}", lambda s: bundle(envelope(s, compact(statement(s, **changes))))
        )

    yield told("another digest", digest={"sha256": OTHER.encoded})
    yield told("another algorithm", digest={"sha1": "0" * 40})
    yield told("no digest", digest={})
    yield told("another repository", name="a.b/c")
    yield told("no repository", name="")
    yield told("no repository's name", name=":::")
    yield told("no subject", subject=[])
    yield told("another type", type="https://in-toto.io/Statement/v2")
    yield told("an attestation", kind=SPDX)
    yield told("a predicate type that is none", kind="spdx")
    yield _bundle(
        "statement: an unknown key",
        lambda s: bundle(envelope(s, compact({**statement(s), "more": 1}))),
    )
    yield _bundle(
        "statement: the subject twice",
        lambda s: bundle(envelope(s, compact(statement(s))[:-1] + b',"subject":[]}')),
    )
    yield _bundle(
        "statement: another image of the same repository beside another repository's of this",
        lambda s: bundle(envelope(s, compact(statement(s, subject=[
            {"name": s.repository, "digest": {"sha256": OTHER.encoded}},
            {"name": "a.b/c", "digest": {"sha256": s.digest.encoded}},
        ])))),
    )  # fmt: skip
    yield _bundle(
        "statement: simple signing's payload", lambda s: bundle(envelope(s, compact(payload(s))))
    )


def _attestations() -> Iterator[Case]:
    def att(name: str, make: Callable[[Scene], Any]) -> Case:
        return Case(f"attestation: {name}", lambda s: Beside(att=[attested(make(s))]), "spdx")

    def told(s: Scene, **changes: Any) -> bytes:
        return compact(statement(s, **{"kind": SPDX, "predicate": {"a": 1}, **changes}))

    yield att("another type", lambda s: envelope(s, told(s, kind="https://cyclonedx.org/bom")))
    yield att("a signature", lambda s: envelope(s, compact(statement(s))))
    yield att("a type in two spellings", lambda s: envelope(s, told(s, kind=SPDX.lower())))
    yield att("another image", lambda s: envelope(s, told(s, digest={"sha256": OTHER.encoded})))
    yield att("another repository", lambda s: envelope(s, told(s, name="a.b/c")))
    yield att("another key", lambda s: envelope(s, told(s), key=s.stranger))
    yield att("no predicate", lambda s: envelope(s, told(s, predicate=None)))
    yield att("a predicate that is a number", lambda s: envelope(s, told(s, predicate=1)))
    yield att("no signatures", lambda s: {**envelope(s, told(s)), "signatures": []})
    yield att("101 signatures", lambda s: {
        **envelope(s, told(s)), "signatures": envelope(s, told(s))["signatures"] * (MOST + 1),
    })  # fmt: skip
    yield att("not signed, but told", lambda s: {
        **envelope(s, told(s)), "payload": written(told(s, predicate={"a": 2})),
    })  # fmt: skip
    yield att("a bundle in its place", lambda s: bundle(envelope(s, told(s))))
    yield _bundle(
        "attestation of another type",
        lambda s: bundle(envelope(s, told(s, kind="https://cyclonedx.org/bom"))), "spdx",
    )  # fmt: skip
    yield _bundle("attestation: a signature", lambda s: bundle(envelope(s)), "spdx")
