"""What a statement says of an application: each thing once, by digest, and no place."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from layersmith.attest.applications import Below, Ingredient, Making, distribution
from layersmith.attest.provenance import APP_TYPE, PREDICATE_TYPE, Subject
from layersmith.oci.digest import Digest
from layersmith.recipe.lock import Made

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")
LONG = Digest(f"sha512:{hashlib.sha512(b'').hexdigest()}")


def said(*ingredients: Ingredient) -> dict[str, Any]:
    making = Making(
        kind=APP_TYPE, asked={"python": "3.13-debian13"}, found={}, ingredients=ingredients,
        made=Made("1.2", "zlib 1.3"),
    )  # fmt: skip
    raw = making.statement([Subject("application", ONE)])
    assert raw == making.statement([Subject("application", ONE)])
    value: dict[str, Any] = json.loads(raw)
    return value


def test_a_statement_names_its_subjects_and_who_made_them() -> None:
    value = said()
    assert value["predicateType"] == PREDICATE_TYPE
    assert value["subject"] == [{"name": "application", "digest": {"sha256": ONE.encoded}}]
    builder = value["predicate"]["runDetails"]["builder"]
    assert builder["version"] == {"layersmith": "1.2", "compressor": "zlib 1.3"}
    assert value["predicate"]["buildDefinition"]["buildType"] == APP_TYPE


def test_a_wheel_of_both_platforms_is_named_once() -> None:
    wheel = distribution("demo", "1.0+local.1", "demo-1.0-py3-none-any.whl", ONE)
    other = distribution("demo", "1.0+local.1", "demo-1.0-cp313-cp313-linux.whl", LONG)
    found = said(wheel, other, wheel)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert found == [
        {
            "name": "demo-1.0-py3-none-any.whl",
            "uri": "pkg:pypi/demo@1.0%2Blocal.1",
            "digest": {"sha256": ONE.encoded},
        },
        {
            "name": "demo-1.0-cp313-cp313-linux.whl",
            "uri": "pkg:pypi/demo@1.0%2Blocal.1",
            "digest": {"sha512": LONG.encoded},
        },
    ]


def test_an_image_is_named_whole_and_by_platform_where_others_find_it() -> None:
    below = Below("python", "h.example/team/python:3.13", ONE, {"linux/arm64": TWO})
    top, arm = below.ingredients()
    assert (top.name, top.digest) == ("python", ONE)
    where = f"pkg:oci/python@{ONE.replace(':', '%3A')}"
    assert top.uri.replace("%3A", ":") == where.replace("%3A", ":") + (
        "?repository_url=h.example/team/python&tag=3.13"
    )
    assert (arm.name, arm.digest) == ("python linux/arm64", TWO)
    assert "arch=arm64" in arm.uri
    assert [one.uri for one in Below("python", "", ONE).ingredients()] == [""]
