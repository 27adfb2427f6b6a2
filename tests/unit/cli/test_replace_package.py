"""--replace-package, as a user types it: refused without, whole with, and the SBOM says so."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.site import FILE, Site
from tests.build.tar import archive, file
from tests.build.world import X86, base_layers, builder_layers

from layersmith.errors import RecipeError
from layersmith.oci.content import read_document
from layersmith.oci.graph import walk
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD = "var/lib/dpkg/status.d/libx1"
OLD = f"{X86.folder}/libx.so.0"


@pytest.fixture
def dated(site: Site) -> Site:
    """A base that has an older libx1 than the builder."""
    sums = f"{hashlib.md5(b'old', usedforsecurity=False).hexdigest()}  {OLD}\n"
    old = archive(
        file(RECORD, b"Package: libx1\nVersion: 1\nArchitecture: amd64\n"),
        file(f"{RECORD}.md5sums", sums.encode()),
        file(OLD, b"old"),
    )
    new = archive(
        file(
            "var/lib/dpkg/status",
            b"Package: libx1\nStatus: install ok installed\nVersion: 2\nArchitecture: amd64\n",
        ),
        file("var/lib/dpkg/info/libx1:amd64.list", f"/.\n/{X86.folder}/libx.so.1\n".encode()),
    )
    put(site, "base", [*base_layers(), old])
    put(site, "builder", [*builder_layers(), new], Env=["PYTHON_VERSION=3.13.5"])
    return site


def put(site: Site, name: str, layers: Sequence[bytes], **runtime: Any) -> None:
    layout = Layout(site.folder / name)
    made = for_platform(Made(layers, runtime=runtime).put(layout), AMD64)
    layout.tag("t", put_index(layout, [made]))


def names(site: Site) -> set[str]:
    """Return the names in the new layer."""
    layout = Layout(site.folder / "out")
    (manifest,) = walk(layout, layout.resolve("t")).children
    assert manifest.document is not None
    raw = read_document(layout, manifest.document.value.layers[-1])
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return set(tar.getnames())


def test_two_versions_are_refused_unless_one_is_to_be_replaced(dated: Site) -> None:
    with pytest.raises(
        RecipeError, match=r"the base has libx1 1 \(amd64\), the builder 2"
    ) as caught:
        dated.run("assemble", *FILE, "--output", "oci:out:t")
    assert "--replace-package libx1" in caught.value.hint


@pytest.mark.parametrize("by_recipe", [False, True])
def test_the_builders_package_takes_the_bases_place(dated: Site, by_recipe: bool) -> None:
    if by_recipe:
        dated.recipe('replace-package = ["libx1"]\n')
    options = () if by_recipe else ("--replace-package", "libx1")
    dated.run("assemble", *FILE, "--output", "oci:out:t", *options)
    marker = f"{X86.folder}/.wh.libx.so.0"
    assert {marker, RECORD, f"{RECORD}.md5sums", f"{X86.folder}/libx.so.1"} <= names(dated)
    document = json.loads(dated.run("sbom", "oci:out:t"))
    (found,) = (one for one in document["packages"] if one["name"] == "libx1")
    assert found["versionInfo"] == "2"
    assert f"./{OLD}" not in {one["fileName"] for one in document["files"]}
    planned = json.loads(dated.run("plan", *FILE, "--json", *options))["platforms"][0]
    assert planned["removed"] == [f"/{OLD}"]
    assert planned["unowned"] == []


def test_a_package_that_is_not_there_cannot_be_replaced(dated: Site) -> None:
    with pytest.raises(RecipeError, match="the base has no package 'nobody' to replace"):
        dated.run("plan", *FILE, "--replace-package", "nobody")
