"""assemble --provenance and rebuild --provenance: what a statement says is enough."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.site import FILE, TARGET, Site
from tests.build.world import ARM, X86, put_base, put_builder
from tests.fakes.registry import FakeRegistry

from layersmith.assemble.places import Place
from layersmith.assemble.referrers import find, referrers_tag
from layersmith.errors import Differs, InvalidInput
from layersmith.oci.content import NoProgress
from layersmith.oci.digest import Digest
from layersmith.oci.graph import walk
from layersmith.stores.layout import Layout
from layersmith.stores.registry import Registries, RegistryOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = f"{TARGET}.provenance.json"
TYPE = "application/vnd.in-toto+json"


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def remote(site: Site, fake: FakeRegistry) -> Site:
    """A site whose inputs are in a registry: what others can find."""
    with Registries(RegistryOptions(), NoProgress()) as registries:
        for name, put in (("base", put_base), ("builder", put_builder)):
            sink = Place.parse(f"{fake.host}/in/{name}:t").sink(registries)
            sink.tag("t", put(sink, X86, ARM))
    shutil.rmtree(site.folder / "base")
    shutil.rmtree(site.folder / "builder")
    (site.folder / "layersmith.toml").write_text(
        f'target = "{TARGET}"\nbase = "{fake.host}/in/base:t"\nbuilder = "{fake.host}/in/builder:t"\n'
        '[env]\nTZ = "UTC"\n'
    )
    return site


def assembled(site: Site, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        site.run("assemble", *FILE, "--json", "--provenance", "--documents", "docs", *options)
    )
    return document


def alone(site: Site) -> None:
    """Leave nothing but the statement and what the network has."""
    shutil.copy(site.folder / "docs" / NAME, site.folder / NAME)
    for name in ("docs", "cache", "out"):
        shutil.rmtree(site.folder / name)
    (site.folder / "layersmith.toml").unlink()


def test_the_statement_alone_gives_the_image_again(remote: Site) -> None:
    done = assembled(remote, "--output", "oci:out:t")
    alone(remote)
    found = json.loads(remote.run("rebuild", "--provenance", NAME, "--json"))
    assert (found["equal"], found["digest"]) == (True, done["digest"])
    assert "equal" in remote.run("rebuild", "--provenance", NAME)


def test_everything_that_came_out_is_a_subject_and_has_it(remote: Site) -> None:
    done = assembled(remote, "--output", "oci:out:t", "--sbom")
    images = [done["digest"], *(one["digest"] for one in done["platforms"])]
    raw = (remote.folder / "docs" / NAME).read_bytes()
    subjects = [f"sha256:{one['digest']['sha256']}" for one in json.loads(raw)["subject"]]
    assert subjects == images
    layout = Layout(remote.folder / "out")
    listed = find(Place.parse("oci:out"), layout, walk(layout, layout.resolve("t")).nodes())
    found = {}
    for one in listed:
        assert one.node.document is not None
        manifest = one.node.document.value
        if manifest.artifact_type == TYPE:
            assert (
                manifest.annotations["in-toto.io/predicate-type"]
                == "https://slsa.dev/provenance/v1"
            )
            found[one.subject] = manifest.layers[0].digest
    assert found == dict.fromkeys(map(Digest, images), Digest.of(raw))


def test_two_runs_give_the_same_digests(remote: Site) -> None:
    first = assembled(remote, "--output", "oci:out:t")
    shutil.rmtree(remote.folder / "cache")
    shutil.rmtree(remote.folder / "out")
    assert assembled(remote, "--output", "oci:out:t")["attached"] == first["attached"]
    assert assembled(remote, "--output", "oci:more:t")["attached"] == first["attached"]


def test_an_image_is_held_against_it(remote: Site) -> None:
    assembled(remote, "--output", "oci:out:t")
    statement = f"docs/{NAME}"
    assert "equal" in remote.run("rebuild", "oci:out:t", "--provenance", statement)
    remote.run("assemble", *FILE, "--env", "A=B", "--output", "oci:other:t")
    with pytest.raises(InvalidInput, match="does not speak of"):
        remote.run("rebuild", "oci:other:t", "--provenance", statement)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_subject_that_does_not_come_out_is_named(remote: Site, at: int) -> None:
    assembled(remote, "--output", "oci:out:t")
    path = remote.folder / "docs" / NAME
    document = json.loads(path.read_bytes())
    document["subject"][at]["digest"]["sha256"] = "0" * 64
    path.write_text(json.dumps(document))
    with pytest.raises(Differs) as caught:
        remote.run("rebuild", "--provenance", str(path))
    assert caught.value.exit_code == 1


def test_a_local_input_is_nobody_elses(site: Site) -> None:
    assembled(site, "--output", "oci:out:t")
    text = (site.folder / "docs" / NAME).read_text()
    assert str(site.folder) not in text
    assert "oci:base" not in text
    with pytest.raises(InvalidInput, match="was a local file"):
        site.run("rebuild", "--provenance", f"docs/{NAME}")


def test_it_stands_alone(site: Site) -> None:
    with pytest.raises(InvalidInput, match="leave out"):
        site.run("rebuild", "--provenance", "x", "--lock", "y")
    with pytest.raises(InvalidInput, match="cannot be read"):
        site.run("rebuild", "--provenance", "x")


def test_a_registry_lists_it_for_the_index_and_each_platform(
    remote: Site, fake: FakeRegistry
) -> None:
    place = f"{fake.host}/team/image"
    done = assembled(remote, "--push", f"{place}:t")
    for one in done["attached"]:
        raw = remote.run_plain(
            "inspect", f"{place}:{referrers_tag(Digest(one['subject']))}", "--raw"
        )
        (listed,) = json.loads(raw)["manifests"]
        assert (listed["digest"], listed["artifactType"]) == (one["digest"], TYPE)
    assert len(done["attached"]) == 3
