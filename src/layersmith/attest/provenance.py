"""Provenance: an in-toto Statement v1 with SLSA's provenance v1, and what is read from one.

One statement speaks of the index and of every platform's manifest, for they come out of one
build: whoever verifies an image by a tag or by a platform's digest finds his digest among the
subjects, which is what cosign and slsa-verifier look for. All of it follows from the lock and the
digests: no clock, no number of a run, nothing of this machine. Who built it is for the
signature to say.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from layersmith.analysis.distributions import normalized
from layersmith.attest.names import purl
from layersmith.errors import DocumentError, InvalidInput, LayersmithError, one_line
from layersmith.oci.digest import Digest
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import decode, encode, typed
from layersmith.recipe.lock import Lock, parse_lock, write_lock
from layersmith.recipe.shape import shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layersmith.recipe.lock import LockedInput, Made

__all__ = [
    "APP_TYPE", "MEDIA_TYPE", "PREDICATE_TYPE", "REBASE_TYPE", "Claim", "Subject", "digest_set",
    "located", "parse_provenance", "predicate", "predicate_of", "stated", "statement",
]  # fmt: skip

MEDIA_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
# Changes with the meaning of the parameters: docs/provenance.md.
BUILD_TYPE: Final = "https://layersmith.dev/provenance/assemble/v1"
APP_TYPE: Final = "https://layersmith.dev/provenance/app/v1"
REBASE_TYPE: Final = "https://layersmith.dev/provenance/rebase/v1"
BUILDER_ID: Final = "https://layersmith.dev/provenance/unattested-builder/v1"


class Subject(NamedTuple):
    """What a statement is about."""

    name: str
    digest: Digest


class Claim(NamedTuple):
    """What a statement says: these were made by that."""

    subjects: tuple[Subject, ...]
    lock: Lock


def statement(lock: Lock, subjects: Sequence[Subject]) -> bytes:
    """Return the statement that `subjects` were assembled by `lock`: always the same bytes."""
    return stated(predicate(lock), subjects)


def predicate(lock: Lock) -> dict[str, Any]:
    """Return SLSA's provenance alone: what ``attest --predicate`` of signers takes."""
    return predicate_of(_definition(lock), lock.made)


def stated(what: Mapping[str, Any], subjects: Sequence[Subject]) -> bytes:
    """Return the statement that says a predicate of `subjects`."""
    return encode(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": s.name, "digest": digest_set(s.digest)} for s in subjects],
            "predicateType": PREDICATE_TYPE,
            "predicate": what,
        }
    )


def predicate_of(definition: Mapping[str, Any], made: Made) -> dict[str, Any]:
    """Return provenance with a build definition and the programs that carried it out."""
    version = {"layersmith": made.layersmith, "compressor": made.compressor}
    return {
        "buildDefinition": definition,
        "runDetails": {"builder": {"id": BUILDER_ID, "version": version}},
    }


def parse_provenance(raw: bytes, where: str) -> Claim:
    """Read a statement, bare, in a DSSE envelope or in a sigstore bundle; signatures are not read.

    Raises :class:`DocumentError` for what is none of ours, or contradicts itself, and
    :class:`InvalidInput` for that of an application, which does not say all that it takes.
    """
    value = _unwrapped(_object(decode(raw, where), where), where)
    for key, said in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
        if value.get(key) != said:
            raise DocumentError(
                f"{where}: its {key} is {one_line(str(value.get(key)), 80)!r}, not {said!r}"
            )
    definition = _at(value, where, "predicate", "buildDefinition")
    if definition.get("buildType") in (APP_TYPE, REBASE_TYPE):
        raise InvalidInput(
            f"{where} is of an application: only Python images are made again from a statement",
            hint="build it again from its sources, with layersmith app build",
        )
    if definition.get("buildType") != BUILD_TYPE:
        raise DocumentError(
            f"{where}: not made by layersmith: its buildType is "
            f"{one_line(str(definition.get('buildType')), 80)!r}"
        )
    lock = _lock(_at(definition, where, "internalParameters", "lock"), where)
    if decode(encode(_definition(lock)), where) != definition:
        raise DocumentError(
            f"{where}: parameters and dependencies are not those of its lock: it was edited"
        )
    return Claim(tuple(_subjects(value.get("subject"), where)), lock)


def _definition(lock: Lock) -> dict[str, Any]:
    wish = lock.wish
    recipe = shape(wish)
    platforms = {platform: lock.platforms[platform] for platform in sorted(lock.platforms)}
    settled = structs.replace(lock, recipe=recipe, platforms=platforms)
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "target": wish.target,
            "platforms": list(platforms),
            "base": lock.base.reference,
            "builder": lock.builder.reference,
            "compression": str(wish.compressor()),
            "recipe": recipe,
        },
        "internalParameters": {"lock": decode(encode(settled), "lock")},
        "resolvedDependencies": [
            dependency
            for name, input_ in (("base", lock.base), ("builder", lock.builder))
            if name == "base" or lock.base != lock.builder
            for dependency in _dependencies(settled, name, input_)
        ]
        + list(_wheels(settled)),
    }


def _dependencies(lock: Lock, name: str, input_: LockedInput) -> Iterator[dict[str, Any]]:
    """Yield an input as it was named, and its manifest for each platform."""
    yield {
        "name": name,
        **located(input_.reference, input_.digest, ""),
        "digest": digest_set(input_.digest),
        "mediaType": input_.media_type,
    }
    for platform, about in lock.platforms.items():
        digest = about.base if name == "base" else about.builder
        yield {
            "name": f"{name} {platform}",
            **located(input_.reference, digest, platform),
            "digest": digest_set(digest),
        }


def _wheels(lock: Lock) -> Iterator[dict[str, Any]]:
    """Yield the wheels of a builder image, each once."""
    found = {item for about in lock.platforms.values() for item in about.wheels.items()}
    for filename, digest in sorted(found):
        name, version = [*filename.split("-"), ""][:2]
        uri = purl("pypi", normalized(name), version)
        yield {"name": filename, "uri": uri, "digest": digest_set(digest)}


def located(named: str, digest: Digest, platform: str) -> dict[str, str]:
    """Return where an image is found; places of one machine are nobody else's business."""
    if not named:
        return {}
    reference = Reference.parse(named)
    about = {"repository_url": reference.name, "tag": reference.tag or ""}
    if platform:
        about["arch"] = platform.split("/")[1]
    name = reference.repository.rpartition("/")[2]
    return {"uri": purl("oci", name, str(digest), about)}


def digest_set(digest: Digest) -> dict[str, str]:
    """Return a digest as in-toto has it (attestation spec, "DigestSet")."""
    return {digest.algorithm: digest.encoded}


def _unwrapped(value: dict[str, Any], where: str) -> dict[str, Any]:
    envelope = _object(value.get("dsseEnvelope", value), where)
    if "payload" not in envelope:
        return envelope
    if envelope.get("payloadType") != MEDIA_TYPE:
        raise DocumentError(f"{where}: the envelope holds no in-toto statement")
    try:
        payload = base64.b64decode(str(envelope["payload"]), validate=True)
    except (binascii.Error, ValueError):
        raise DocumentError(f"{where}: the envelope's payload is not base64") from None
    return _object(decode(payload, where), where)


def _lock(value: dict[str, Any], where: str) -> Lock:
    """Read the lock as strictly as its file is read."""
    try:
        lock = parse_lock(write_lock(typed(value, Lock, "the lock")), "the lock")
        for input_ in (lock.base, lock.builder):
            if input_.reference:
                Reference.parse(input_.reference)
    except LayersmithError as error:
        raise DocumentError(f"{where}: {error.message}") from None
    return lock


def _subjects(value: Any, where: str) -> Iterator[Subject]:
    if not isinstance(value, list) or not value:
        raise DocumentError(f"{where}: it has no subject")
    for one in value:
        digests = _at(_object(one, where), where, "digest")
        try:
            digest = Digest(f"sha256:{digests.get('sha256', '')}")
        except InvalidInput:
            raise DocumentError(f"{where}: a subject without a SHA-256") from None
        yield Subject(str(one.get("name", "")), digest)


def _at(value: dict[str, Any], where: str, *path: str) -> dict[str, Any]:
    for key in path:
        value = _object(value.get(key), f"{where}: {key}")
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DocumentError(f"{where}: not a JSON object")
    return value
