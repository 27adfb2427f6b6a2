"""What a signed document says: which image, of which repository, and what about it.

Two forms are in use. The payload of simple signing (containers-signature.5) says "this is
REPOSITORY's image DIGEST". An in-toto Statement (v0.1 and v1) says something about
subjects by digest: its predicate, or nothing more than that they are signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersmith.attest.strict import read_json, text_of, with_keys
from layersmith.errors import InvalidDigest, InvalidInput, InvalidReference, Untrusted, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SIGNED",
    "TYPES",
    "Claim",
    "predicate_type",
    "read_simple",
    "read_statement",
    "simple_payload",
    "statement",
]

SIGNED: Final = "https://sigstore.dev/cosign/sign/v1"
"""The predicate type of a statement that only signs."""

TYPES: Final[Mapping[str, str]] = {
    "spdx": "https://spdx.dev/Document",
    "spdxjson": "https://spdx.dev/Document",
    "cyclonedx": "https://cyclonedx.org/bom",
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "openvex": "https://openvex.dev/ns",
    "link": "https://in-toto.io/Link/v1",
    "custom": "https://cosign.sigstore.dev/attestation/v1",
}

_SIMPLE: Final = "cosign container image signature"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_STATEMENTS: Final = (_STATEMENT, "https://in-toto.io/Statement/v0.1")
_CREATOR: Final = "creator"
_OURS: Final = "layersmith"
_MAX_SIMPLE: Final = 64 << 10
_MAX_SUBJECTS: Final = 1000
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said: digests with the name that each has there, empty where it has none.

    `predicate_type` is SIGNED for a mere signature. With `ours` it says that layersmith
    has written it, whose signatures have the lower S.
    """

    subjects: tuple[tuple[str, str], ...]
    predicate_type: str
    predicate: Any = None
    ours: bool = False

    def names(self, digest: Digest) -> set[str]:
        """Return the repositories as which it names `digest`; raises :class:`Untrusted`.

        An empty name says that it names none.
        """
        found = {name for name, other in self.subjects if other == digest}
        if not found:
            raise Untrusted("it is about another image")
        return {_repository(name) for name in found}


def predicate_type(text: str) -> str:
    """Return the predicate type of a short name, or the URI itself; :class:`InvalidInput`."""
    if text in TYPES:
        return TYPES[text]
    if _URI.fullmatch(text) is None:
        raise InvalidInput(
            f"{one_line(text, 60)!r} is not a type of attestation",
            hint=f"write {', '.join(TYPES)}, or a URI",
        )
    return text


def simple_payload(repository: str, digest: Digest) -> bytes:
    """Return the payload of simple signing, with our name as its creator."""
    critical = {
        "identity": {"docker-reference": repository},
        "image": {"docker-manifest-digest": digest},
        "type": _SIMPLE,
    }
    return encode({"critical": critical, "optional": {_CREATOR: _OURS}})


def read_simple(raw: bytes) -> Claim:
    """Read what was signed; raises :class:`Untrusted`.

    As strict as containers/image: no key too many, none too few, none twice.
    """
    what = "the payload"
    value = with_keys(read_json(raw, what, limit=_MAX_SIMPLE), what, ("critical", "optional"))
    critical = with_keys(value["critical"], what, ("type", "image", "identity"))
    image = with_keys(critical["image"], what, ("docker-manifest-digest",))
    identity = with_keys(critical["identity"], what, ("docker-reference",))
    if critical["type"] != _SIMPLE:
        raise Untrusted(f"{what} is of another type")
    optional = value["optional"]
    if optional is not None and not isinstance(optional, dict):
        raise Untrusted(f"{what}: optional is no object")
    creator, moment = (optional or {}).get(_CREATOR, ""), (optional or {}).get("timestamp", 0)
    if not isinstance(creator, str):
        raise Untrusted(f"{what}: the creator is no text")
    if isinstance(moment, bool) or not isinstance(moment, int | float) or moment % 1:
        raise Untrusted(f"{what}: the timestamp is no whole number")
    name = text_of(identity["docker-reference"], what)
    if not name:
        raise Untrusted(f"{what}: an empty docker-reference")
    subject = name, _digest(image["docker-manifest-digest"], what)
    return Claim((subject,), SIGNED, ours=creator == _OURS)


def statement(repository: str, digest: Digest, kind: str, predicate: Any) -> bytes:
    """Return a Statement v1 about one image, our name among its subject's annotations."""
    subject = {
        "name": repository,
        "digest": {digest.algorithm: digest.encoded},
        "annotations": {_CREATOR: _OURS},
    }
    document = {
        "_type": _STATEMENT,
        "subject": [subject],
        "predicateType": kind,
        "predicate": predicate,
    }
    return encode(document)


def read_statement(raw: bytes) -> Claim:
    """Read what was signed; raises :class:`Untrusted`."""
    what = "the statement"
    value = read_json(raw, what)
    with_keys(value, what, ("_type", "subject", "predicateType"), ("predicate",))
    if value["_type"] not in _STATEMENTS:
        raise Untrusted(f"{what} is of another type")
    subjects = value["subject"]
    if not isinstance(subjects, list) or not 0 < len(subjects) <= _MAX_SUBJECTS:
        raise Untrusted(f"{what} has no subjects, or too many")
    read = [_subject(subject, what) for subject in subjects]
    kind = text_of(value["predicateType"], what)
    if _URI.fullmatch(kind) is None:
        raise Untrusted(f"{what}: its predicate type is no URI")
    predicate = value.get("predicate")
    if not isinstance(predicate, dict | str | None) or (predicate is None and kind != SIGNED):
        raise Untrusted(f"{what} has no predicate")
    return Claim(tuple(s for s, _ in read), kind, predicate, ours=all(ours for _, ours in read))


def _subject(value: Any, what: str) -> tuple[tuple[str, str], bool]:
    """Return name and digest of a subject, and whether it says that it is ours."""
    subject = with_keys(
        value, f"{what}: a subject", ("digest",),
        ("name", "annotations", "uri", "mediaType", "downloadLocation", "content"),
    )  # fmt: skip
    digests = subject["digest"]
    if not isinstance(digests, dict) or not digests:
        raise Untrusted(f"{what}: a subject without a digest")
    found = {k: _digest(f"{k}:{v}", what) for k, v in digests.items() if k in ("sha256", "sha512")}
    if len(found) != 1:
        raise Untrusted(f"{what}: a subject has not just one digest of SHA-2")
    notes = subject.get("annotations") or {}
    ours = isinstance(notes, dict) and notes.get(_CREATOR) == _OURS
    return (text_of(subject.get("name", ""), what), next(iter(found.values()))), ours


def _digest(text: Any, what: str) -> Digest:
    try:
        return Digest(text_of(text, what))
    except InvalidDigest:
        raise Untrusted(f"{what}: {one_line(str(text), 80)!r} is not a digest") from None


def _repository(name: str) -> str:
    """Return the repository that a signed name is of."""
    if not name:
        return ""
    try:
        return Reference.parse(name).name
    except (InvalidReference, InvalidDigest):
        raise Untrusted(f"it names {one_line(name, 80)!r}, which is no repository") from None
