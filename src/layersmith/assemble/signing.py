"""Signing and attesting what is in a registry or a layout."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from layersmith.assemble.finding import beside
from layersmith.assemble.putting import attach_referrer, attach_tag
from layersmith.attest.claims import SIGNED, TYPES, simple_payload, statement
from layersmith.attest.envelopes import BUNDLE, bundle, signed
from layersmith.attest.judging import SIMPLE, Accepted, KeyVoice, Wanted, judge
from layersmith.attest.strict import MAX_PAYLOAD, encoded
from layersmith.errors import InvalidInput, LayersmithError, Untrusted, intention
from layersmith.oci.graph import walk
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from layersmith.assemble.delivery import Holder
    from layersmith.assemble.places import Place, Repository
    from layersmith.attest.keys import PrivateKey
    from layersmith.oci.documents import Descriptor
    from layersmith.stores.registry import Registries

__all__ = [
    "CARRIERS",
    "Signer",
    "Word",
    "Written",
    "attesting",
    "named_repository",
    "read_predicate",
]

CARRIERS: Final = ("referrer", "tag", "both")
_PREDICATES: Final = {
    "application/spdx+json": TYPES["spdx"],
    "application/vnd.cyclonedx+json": TYPES["cyclonedx"],
}


@dataclass(frozen=True, slots=True)
class Written:
    """A document beside an image, and whether it was there before."""

    subject: Descriptor
    carrier: str
    known: bool


def named_repository(place: Place, asked: str, option: str = "--repository") -> str:
    """Return the repository as which an image is signed; raises :class:`InvalidInput`."""
    if asked:
        reference = Reference.parse(asked)
        if reference.tag or reference.digest:
            raise InvalidInput(f"{option} {reference!s} has a tag or a digest")
        return reference.name
    if place.reference is None:
        raise InvalidInput(
            f"{place!s} does not say of which repository the image is",
            hint=f"give {option} registry.example/team/python, from where it will be pulled",
        )
    return place.reference.name


def read_predicate(raw: bytes, where: str) -> Any:
    """Return the JSON object of a predicate; raises :class:`DocumentError`."""
    predicate = decode(raw, where, limit=MAX_PAYLOAD)
    if not isinstance(predicate, dict):
        raise InvalidInput(f"{where} is no JSON object")
    return predicate


@dataclass(frozen=True, slots=True)
class Word:
    """What is said of an image: as whose, and a predicate with its type."""

    repository: str
    kind: str = SIGNED
    predicate: Any = field(default_factory=dict)


def attesting(repository: str, content: Descriptor, holder: Holder) -> Word:
    """Return what is said by a document that is attached to an image: an SBOM, a statement.

    A statement's predicate is said of the one subject again. Raises :class:`DocumentError`.
    """
    with holder.open(content) as stream:
        document = read_predicate(stream.read(), f"the document {content.digest}")
    if content.media_type in _PREDICATES:
        return Word(repository, _PREDICATES[content.media_type], document)
    return Word(repository, str(document["predicateType"]), document["predicate"])


@dataclass(frozen=True, slots=True)
class Signer:
    """One who says something about images with a key: the same thing only once."""

    key: PrivateKey
    carrier: str = CARRIERS[0]

    def sign(
        self, place: Place, registries: Registries, word: Word, *, recursive: bool = False
    ) -> list[Written]:
        """Say `word` of what `place` names; with `recursive` of every manifest below it, first.

        Raises :class:`StoreError`, :class:`DocumentError`, or :class:`InvalidInput` for an
        archive.
        """
        store = place.beside(registries)
        with intention(f"reading {place}"):
            top = store.resolve(place.identifier)
            nodes = walk(store, top).nodes() if recursive else ()
        subjects = [node.descriptor for node in nodes if node.document is not None]
        try:
            return self.say_all(place, store, (*subjects, top), word)
        except BaseException:
            with suppress(LayersmithError):
                store.abandon()
            raise

    def say_all(
        self, place: Place, store: Repository, subjects: Iterable[Descriptor], word: Word
    ) -> list[Written]:
        """Put `word` beside each of `subjects`, which are in `store`."""
        written: list[Written] = []
        for subject in {one.digest: one for one in subjects}.values():
            with intention(f"signing {subject.digest}"):
                written += self.say(place, store, subject, word)
        return written

    def say(
        self, place: Place, store: Repository, subject: Descriptor, word: Word
    ) -> list[Written]:
        """Put `word` beside `subject`, in each carrier that does not have it yet."""
        there = {
            one.document.media_type == BUNDLE for one in self._said(place, store, subject, word)
        }
        written = []
        for carrier in CARRIERS[:2] if self.carrier == CARRIERS[2] else (self.carrier,):
            known = (carrier == CARRIERS[0]) in there
            if not known:
                self._put(place, store, subject, word, carrier)
            written.append(Written(subject, carrier, known))
        return written

    def _said(
        self, place: Place, store: Repository, subject: Descriptor, word: Word
    ) -> Sequence[Accepted]:
        """Return what this key has said already, to the letter."""
        wanted = Wanted(
            digest=subject.digest,
            repositories=frozenset({word.repository}),
            predicate_type=word.kind,
        )
        documents = beside(place, store, subject.digest, word.kind)
        try:
            accepted = judge(documents, wanted, [KeyVoice(self.key.public)])
        except Untrusted:
            return ()
        said = encode(word.predicate)
        return [
            one
            for one in accepted
            if one.document.media_type == SIMPLE or encode(one.claim.predicate) == said
        ]

    def _put(
        self, place: Place, store: Repository, subject: Descriptor, word: Word, carrier: str
    ) -> None:
        if carrier == CARRIERS[1] and word.kind == SIGNED:
            payload = simple_payload(word.repository, subject.digest)
            signature = encoded(self.key.sign(payload))
            attach_tag(store, subject.digest, payload, word.kind, signature)
            return
        text = statement(word.repository, subject.digest, word.kind, word.predicate)
        envelope = signed(text, self.key)
        if carrier == CARRIERS[1]:
            attach_tag(store, subject.digest, encode(envelope), word.kind, "")
            return
        hint = bytes.fromhex(self.key.public.fingerprint.encoded)
        attach_referrer(place, store, subject, bundle(envelope, hint), word.kind)
