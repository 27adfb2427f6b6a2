"""SPDX and CycloneDX: valid by the official schemas, complete, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.sboms import debian, faults, taken
from tests.build.tar import archive, file

from layersmith.attest.cyclonedx import cyclonedx
from layersmith.attest.spdx import spdx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layersmith.attest.inventory import Inventory

    Writer = Callable[[Inventory], bytes]

WRITERS = [spdx, cyclonedx]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("layers", [None, (archive(),), (archive(file("a", b"")),)])
def test_the_official_schema_accepts_it(write: Writer, layers: tuple[bytes, ...] | None) -> None:
    found = taken(layers) if layers else taken()
    assert faults(write(found)) == []


@pytest.mark.parametrize(
    ("write", "path", "value"),
    [
        (spdx, ("packages", 0, "downloadLocation"), None),
        (spdx, ("files", 0, "checksums", 0, "algorithm"), "SHA1024"),
        (spdx, ("relationships", 0, "relationshipType"), "OWNS"),
        (cyclonedx, ("components", 0, "type"), "package"),
        (cyclonedx, ("serialNumber",), "urn:uuid:x"),
        (cyclonedx, ("components", 1, "components", 0, "hashes", 0, "content"), "xyz"),
        (cyclonedx, ("components", 1, "licenses"), [{"license": {"id": "no such"}}]),
    ],
)
def test_the_schema_would_say_so(write: Writer, path: tuple[Any, ...], value: Any) -> None:
    document = json.loads(write(taken()))
    here = document
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    assert faults(json.dumps(document).encode())


@pytest.mark.parametrize("write", WRITERS)
def test_two_runs_give_the_same_bytes(write: Writer) -> None:
    assert write(taken()) == write(taken())


@pytest.mark.parametrize("write", [spdx.__module__, cyclonedx.__module__])
def test_another_process_gives_the_same_bytes(write: str) -> None:
    name = write.rpartition(".")[2]
    code = (
        f"import sys, hashlib; from {write} import {name}; from tests.build.sboms import taken\n"
        f"sys.stdout.write(hashlib.sha256({name}(taken())).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": "."},
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }  # fmt: skip
    assert len(runs) == 1


def test_spdx_says_of_every_file_whose_it_is_and_where_it_came_from() -> None:
    found = taken()
    document = json.loads(spdx(found))
    ids = [one["SPDXID"] for one in (*document["packages"], *document["files"])]
    assert len(ids) == len(set(ids))
    relations = [
        (one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"])
        for one in document["relationships"]
    ]
    assert len(relations) == len(set(relations))
    assert {end for one in relations for end in one[::2]} <= {*ids, "SPDXRef-DOCUMENT"}
    files = {one["SPDXID"]: one for one in document["files"]}
    owners = Counter(to for _, kind, to in relations if kind == "CONTAINS" and to in files)
    assert owners == dict.fromkeys(files, 1)
    layers = Counter(
        of for of, kind, _ in relations if kind == "EXPANDED_FROM_ARCHIVE" and of in files
    )
    assert layers == dict.fromkeys(files, 1)
    assert len(files) == len(found.files)
    for one in document["files"]:
        assert [c["algorithm"] for c in one["checksums"]] == ["SHA1", "SHA256"]


def test_a_layer_that_an_image_has_twice_is_there_once() -> None:
    empty = archive()
    document = json.loads(spdx(taken([empty, archive(file("a", b"a")), empty])))
    ids = [one["SPDXID"] for one in document["packages"]]
    relations = [tuple(one.values()) for one in document["relationships"]]
    assert len(ids) == len(set(ids)) == 3
    assert len(relations) == len(set(relations))


@pytest.mark.parametrize(
    ("said", "declared"),
    [("MIT", "MIT"), ("(MIT OR Apache-2.0) AND BSD-3-Clause", None), ("LicenseRef-own", "NOASSERTION"),
     ("see <file>", "NOASSERTION"), ("MIT\n", "MIT")],
)  # fmt: skip
def test_only_a_licence_that_spdx_lists_is_declared(said: str, declared: str | None) -> None:
    place = "usr/lib/python3/dist-packages/x-1.dist-info/METADATA"
    text = f"Name: x\nVersion: 1\nLicense-Expression: {said}\n"
    document = json.loads(spdx(taken([archive(file(place, text.encode()))])))
    (found,) = (one for one in document["packages"] if one["name"] == "x")
    assert found["licenseDeclared"] == (declared or said)


def test_spdx_verification_codes_are_over_the_files_that_are_contained() -> None:
    document = json.loads(spdx(taken()))
    sha1 = {one["SPDXID"]: one["checksums"][0]["checksumValue"] for one in document["files"]}
    for package in document["packages"]:
        inside = [
            sha1[one["relatedSpdxElement"]]
            for one in document["relationships"]
            if one["spdxElementId"] == package["SPDXID"]
            and one["relationshipType"] == "CONTAINS"
            and one["relatedSpdxElement"] in sha1
        ]
        if package["SPDXID"] == "SPDXRef-Image":
            inside = list(sha1.values())
        assert package["filesAnalyzed"] == bool(inside)
        if inside:
            code = hashlib.sha1("".join(sorted(inside)).encode(), usedforsecurity=False).hexdigest()
            assert package["packageVerificationCode"]["packageVerificationCodeValue"] == code


def test_spdx_tells_scanners_what_they_ask() -> None:
    packages = {one["name"]: one for one in json.loads(spdx(taken()))["packages"]}
    python = [r["referenceLocator"] for r in packages["python"]["externalRefs"]]
    assert python == ["pkg:generic/python@3.13.5", "cpe:2.3:a:python:python:3.13.5:*:*:*:*:*:*:*"]
    library = packages["libstdc++6"]
    assert library["sourceInfo"] == "built package from: gcc-14 14.2.0-19"
    assert library["supplier"] == (
        "Organization: Debian GCC Maintainers (debian-gcc@lists.debian.example)"
    )
    assert packages["Flask.X"]["licenseDeclared"] == "BSD-3-Clause"


def test_a_supplier_is_whatever_its_record_says() -> None:
    for said, told in (
        ("A B <a@b>", "A B (a@b)"),
        ("A <b> <c>", "A <b> <c>"),
        (f"a{' ' * 50_000}b", f"a{' ' * 50_000}b"),  # in no time
    ):
        layer = archive(*debian("xy", {}, f"Maintainer: {said}"))
        (package,) = (p for p in json.loads(spdx(taken([layer])))["packages"] if p["name"] == "xy")
        assert package["supplier"] == f"Organization: {told}"


def below(components: list[Any]) -> Iterator[Any]:
    for one in components:
        yield one
        yield from below(one.get("components", []))


def test_cyclonedx_has_every_file_in_its_package() -> None:
    found = taken()
    document = json.loads(cyclonedx(found))
    every = list(below(document["components"]))
    references = [one["bom-ref"] for one in (*every, document["metadata"]["component"])]
    assert len(references) == len(set(references))
    assert sum(one["type"] == "file" for one in every) == len(found.files)
    packages = {one["name"]: one for one in document["components"] if one["type"] != "file"}
    assert [one["name"] for one in packages["libffi8"]["components"]] == ["/usr/lib/libffi.so.8.1"]
    assert packages["debian"]["type"] == "operating-system"
    assert packages["python"]["purl"] == "pkg:generic/python@3.13.5"
    assert packages["python"]["cpe"] == "cpe:2.3:a:python:python:3.13.5:*:*:*:*:*:*:*"
    about = {one["name"]: one["value"] for one in packages["libstdc++6"]["properties"]}
    assert about["layersmith:source:name"] == "gcc-14"
    layers = {p["value"] for p in document["metadata"]["component"]["properties"]}
    assert all(
        one["value"] in layers
        for component in every
        for one in component.get("properties", [])
        if one["name"] == "layersmith:layer"
    )


@pytest.mark.parametrize("write", WRITERS)
def test_names_of_an_image_never_break_a_document(write: Writer) -> None:
    title = {"org.opencontainers.image.title": 'a"\\b/../@c?\n\x01 é'}
    odd = archive(file(b"\x80\x81", b"1"), file("\u202e.py", b"2"), file('"\\.py', b"3"))
    document = write(taken([odd], annotations=title))
    assert faults(document) == []
    assert b"\\\\x80\\\\x81" in document
