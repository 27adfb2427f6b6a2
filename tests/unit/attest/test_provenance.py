"""Provenance: all of it follows from the lock, and a statement that was edited is refused."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layersmith.attest.provenance import (
    MEDIA_TYPE,
    Subject,
    parse_provenance,
    predicate,
    statement,
)
from layersmith.errors import DocumentError, LayersmithError
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX
from layersmith.recipe.lock import Lock, LockedInput, LockedPlatform, Made
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.shape import shape, shape_digest

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, TWO, THREE = (Digest.of(bytes([n])) for n in range(3))
RECIPE = Recipe(target="3.13-debian13", env={"TZ": "UTC"}, compression="zstd:9")
BASE = "gcr.io/distroless/cc-debian13:latest"
SUBJECTS = [Subject("3.13-debian13", ONE), Subject("3.13-debian13 linux/amd64", TWO)]


def lock(base: str = BASE) -> Lock:
    return Lock(
        python="3.13.5",
        recipe_digest=shape_digest(RECIPE),
        made=Made("0.1.0", RECIPE.compressor().identity),
        recipe=shape(RECIPE),
        base=LockedInput(base, ONE, OCI_INDEX, 10),
        builder=LockedInput("docker.io/library/python:3.13-slim-trixie", TWO, OCI_INDEX, 20),
        platforms={"linux/amd64": LockedPlatform(THREE, TWO, 1_700_000_000)},
    )


def made(**about: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(statement(lock(**about), SUBJECTS))
    return document


def read(document: dict[str, Any]) -> Any:
    return parse_provenance(json.dumps(document).encode(), "p.json")


def test_it_is_a_statement_with_slsas_provenance() -> None:
    document = made()
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    assert document["subject"] == [
        {"name": "3.13-debian13", "digest": {"sha256": ONE.encoded}},
        {"name": "3.13-debian13 linux/amd64", "digest": {"sha256": TWO.encoded}},
    ]
    definition = document["predicate"]["buildDefinition"]
    # What SLSA's specification requires of a predicate.
    assert definition.keys() >= {"buildType", "externalParameters"}
    assert "id" in document["predicate"]["runDetails"]["builder"]
    assert definition["externalParameters"] == {
        "target": "3.13-debian13",
        "platforms": ["linux/amd64"],
        "base": BASE,
        "builder": "docker.io/library/python:3.13-slim-trixie",
        "compression": "zstd:9",
        "recipe": {"compression": "zstd:9", "env": {"TZ": "UTC"}, "target": "3.13-debian13"},
    }
    assert [
        (one["name"], one["digest"]["sha256"]) for one in definition["resolvedDependencies"]
    ] == [
        ("base", ONE.encoded),
        ("base linux/amd64", THREE.encoded),
        ("builder", TWO.encoded),
        ("builder linux/amd64", TWO.encoded),
    ]
    assert definition["resolvedDependencies"][1]["uri"] == (
        f"pkg:oci/cc-debian13@{THREE}?arch=amd64"
        "&repository_url=gcr.io/distroless/cc-debian13&tag=latest"
    )
    assert document["predicate"] == predicate(lock())


def test_what_was_written_is_read() -> None:
    claim = read(made())
    assert claim.lock == lock()
    assert list(claim.subjects) == SUBJECTS
    assert statement(claim.lock, claim.subjects) == statement(lock(), SUBJECTS)


def test_an_envelope_and_a_bundle_are_opened() -> None:
    payload = base64.b64encode(statement(lock(), SUBJECTS)).decode()
    envelope = {"payloadType": MEDIA_TYPE, "payload": payload, "signatures": [{"sig": ""}]}
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "dsseEnvelope": envelope,
    }
    assert read(envelope) == read(bundle) == read(made())


def test_a_local_place_is_not_told() -> None:
    document = made(base="")
    assert "uri" not in document["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert read(document).lock.base.reference == ""


def edit(*path: str | int, value: Any = "x") -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        here: Any = document
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = value

    return change


DEFINITION = ("predicate", "buildDefinition")


@pytest.mark.parametrize(
    "change",
    [
        edit("_type"),
        edit("predicateType"),
        edit("predicate"),
        edit("subject", value=[]),
        edit("subject", 0, "digest", value={"sha512": "00"}),
        edit("subject", 0, "digest", "sha256", value="../../x"),
        edit(*DEFINITION, "buildType"),
        edit(*DEFINITION, "externalParameters", "target", value="3.14-debian13"),
        edit(*DEFINITION, "externalParameters", "recipe", "env", "TZ"),
        edit(*DEFINITION, "externalParameters", "more"),
        edit(*DEFINITION, "resolvedDependencies", 0, "digest", "sha256", value=TWO.encoded),
        edit(*DEFINITION, "resolvedDependencies", 0, "uri"),
        edit(*DEFINITION, "resolvedDependencies", value=[]),
        edit(*DEFINITION, "internalParameters", "lock", "recipe", "env", "TZ"),
        edit(*DEFINITION, "internalParameters", "lock", "base", "digest", value=str(TWO)),
        edit(*DEFINITION, "internalParameters", "lock", "base", "reference", value="oci:/etc"),
        edit(*DEFINITION, "internalParameters", "lock", "platforms", value={}),
        edit(*DEFINITION, "internalParameters", "lock", "more"),
        edit(*DEFINITION, "internalParameters", value={}),
    ],
)
def test_what_was_edited_is_refused(change: Callable[[dict[str, Any]], None]) -> None:
    document = made()
    change(document)
    with pytest.raises(DocumentError, match=r"p\.json"):
        read(document)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"null", b"{", b'{"payload": ""}', b'{"dsseEnvelope": 1}',
        b'{"payloadType": "application/vnd.in-toto+json", "payload": "*"}',
        b'{"payloadType": "application/vnd.in-toto+json", "payload": "W10="}',
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        parse_provenance(raw, "p.json")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.data())
def test_only_our_errors(data: st.DataObject) -> None:
    document = made()
    here: Any = document
    while isinstance(here, dict | list) and here:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        if data.draw(st.booleans()) or not isinstance(here[key], dict | list):
            here[key] = data.draw(VALUES)
            break
        here = here[key]
    with suppress(LayersmithError):
        read(document)
