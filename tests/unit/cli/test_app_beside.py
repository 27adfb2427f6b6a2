"""app build and rebase --sign, --sbom, --provenance: what is said of applications, and when."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.site import FILE, TARGET
from tests.build.wheels import requirements, wheel
from tests.fakes.package_index import serve_index
from tests.fakes.registry import FakeRegistry
from tests.unit.cli.test_app import DEMO, both_platforms, built, image, no_index, prepare

from layersmith.assemble import describing
from layersmith.assemble.signing import Signer
from layersmith.errors import InvalidInput, InvalidKey, LayersmithError, NotFound, RecipeError
from layersmith.oci.digest import Digest
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.build.site import Site

__all__ = ["no_index"]

NAME = "registry.example/team/shop"
DOCUMENTS = ("--sbom", "--provenance", "--documents", "docs")
SIGNED = ("--sign", "k.key", "--sign-as", NAME)
ONTO = ("--onto", TARGET, *FILE)


@pytest.fixture(autouse=True)
def key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYERSMITH_KEY_PASSWORD", "")
    site.run_plain("key", "generate", "-o", "k")


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


def verified(site: Site, ref: str, *more: str) -> Any:
    found = site.run_plain("verify", ref, "--key", "k.pub", "--repository", NAME, "--json", *more)
    return json.loads(found)["accepted"]


def statement(site: Site) -> Any:
    return json.loads((site.folder / "docs/app.provenance.json").read_bytes())


def said(site: Site) -> dict[str, Any]:
    definition: dict[str, Any] = statement(site)["predicate"]["buildDefinition"]
    return definition


def ingredients(site: Site) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in said(site)["resolvedDependencies"]}


def state(site: Site, *folders: str) -> dict[str, Any]:
    """Return every file there, and when it was written; of an index, which is anew, its bytes."""
    paths = [path for folder in folders for path in (site.folder / folder).rglob("*")]
    files = [path for path in paths if path.is_file()]
    return {
        str(path): path.read_bytes() if path.name == "index.json" else path.stat().st_mtime_ns
        for path in files
    }


def rebased(site: Site, *options: str, ref: str = "oci:dist/app:latest") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(site.run("rebase", ref, "--json", *ONTO, *options))
    return value


def test_index_and_platforms_are_signed_and_what_is_attached_is_attested(
    site: Site, fake: FakeRegistry
) -> None:
    prepare(site, DEMO)
    both_platforms(site)
    name = f"{fake.host}/team/shop"
    done = built(site, *DOCUMENTS, *SIGNED, "--push", f"{name}:1")
    tops = [done["digest"], *(one["digest"] for one in done["platforms"])]
    assert {one["digest"] for one in done["signed"]} == set(tops)
    assert len(done["signed"]) == len(tops) + len(tops) + 2  # a statement each, and two SBOMs
    for digest in tops:
        at = f"{name}@{digest}"
        assert len(verified(site, at)) == 1
        (by,) = verified(site, at, "--attestation", "slsaprovenance1")
        assert by["predicate"] == statement(site)["predicate"]
    for one in done["platforms"]:
        at = f"{name}@{one['digest']}"
        (by,) = verified(site, at, "--attestation", "spdx")
        own = site.run("sbom", at, "--platform", one["platform"])
        assert by["predicate"] == json.loads(own)
        file = f"docs/app-{one['platform'].replace('/', '-')}.spdx.json"
        assert (site.folder / file).read_text() == own
        purls = [
            ref["referenceLocator"]
            for package in by["predicate"]["packages"]
            for ref in package.get("externalRefs", ())
        ]
        assert "pkg:pypi/demo@1.0" in purls
    tree = site.run_plain("tree", f"{name}:1")
    assert tree.count("application/spdx+json") == 2
    assert "slsa.dev/provenance/v1" in tree


def test_a_second_run_changes_nothing_and_reads_no_layer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site, DEMO)
    options = (*DOCUMENTS, *SIGNED)
    first = built(site, *options)
    before, papers = state(site, "dist"), statement(site)

    def look(*_: object) -> None:
        raise AssertionError("something was read again")

    monkeypatch.setattr(describing, "inventory", look)
    again = built(site, *options)
    assert state(site, "dist") == before
    assert statement(site) == papers
    assert [one["known"] for one in again["signed"]] == [True] * len(first["signed"])
    for key in ("digest", "tags", "attached"):
        assert again[key] == first[key]


def test_from_a_cold_cache_and_elsewhere_the_documents_are_the_same_bytes(site: Site) -> None:
    prepare(site, DEMO)
    first = built(site, *DOCUMENTS)
    papers = (site.folder / "docs/app.provenance.json").read_bytes()
    shutil.rmtree(site.folder / "cache")
    shutil.move(site.folder / "wheels", site.folder / "moved")
    lock = site.folder / "pylock.toml"
    lock.write_text(lock.read_text().replace("wheels/", "moved/"))
    other = built(site, *DOCUMENTS, "--output", "oci:elsewhere:x")
    assert other["attached"][0] == first["attached"][0]  # the SBOM
    assert other["digest"] == first["digest"]
    one, two = json.loads(papers), statement(site)
    lines = [d["predicate"]["buildDefinition"]["resolvedDependencies"] for d in (one, two)]
    differing = [a["name"] for a, b in zip(*lines, strict=True) if a != b]
    assert differing == ["pylock.toml"]


def test_the_statement_names_what_went_in_by_digest_and_nothing_of_this_machine(
    site: Site,
) -> None:
    prepare(site, DEMO, app='entrypoint = "main:run"\nports = ["8000"]\n[app.env]\nMODE = "x"\n')
    done = built(site, *DOCUMENTS)
    about, found = said(site), ingredients(site)
    assert about["buildType"] == "https://layersmith.dev/provenance/app/v1"
    asked = about["externalParameters"]
    assert (asked["python"], asked["platforms"]) == (TARGET, ["linux/amd64"])
    assert asked["application"] == {
        "entrypoint": "main:run", "env": {"MODE": "x"}, "ports": ["8000"],
    }  # fmt: skip
    lock = (site.folder / "pylock.toml").read_bytes()
    (platform,) = done["platforms"]
    digests = {
        "python": done["image"]["digest"],
        "pylock.toml": Digest.of(lock),
        platform["wheels"][0]["filename"]: platform["wheels"][0]["digest"],
        "application linux/amd64": platform["application"]["diff_id"],
    }
    for name, digest in digests.items():
        assert found[name]["digest"] == {"sha256": digest.removeprefix("sha256:")}
    assert found[platform["wheels"][0]["filename"]]["uri"] == "pkg:pypi/demo@1.0"
    assert set(found) == {*digests, "python linux/amd64", "base", "builder"}
    base = Layout(site.folder / "base").resolve("t").digest
    assert found["base"]["digest"] == {"sha256": base.encoded}
    subjects = [f"sha256:{one['digest']['sha256']}" for one in statement(site)["subject"]]
    assert subjects == [done["digest"], platform["digest"]]
    version = statement(site)["predicate"]["runDetails"]["builder"]["version"]
    assert set(version) == {"layersmith", "compressor"}
    assert str(site.folder) not in json.dumps(statement(site))
    assert "wheels/" not in json.dumps(statement(site))


def test_an_application_that_is_a_wheel_is_named_by_it(site: Site) -> None:
    prepare(site, DEMO)
    own = wheel(name="shop", version="2.1+site.1")
    own.write(site.folder / "own")
    recipe = site.folder / "layersmith.toml"
    recipe.write_text(recipe.read_text().replace('source = "src"', f'wheel = "own/{own.filename}"'))
    built(site, *DOCUMENTS)
    one = ingredients(site)[own.filename]
    assert one["uri"] == "pkg:pypi/shop@2.1%2Bsite.1"
    assert f"sha256:{one['digest']['sha256']}" == own.digest.removeprefix("--hash=")
    assert not any(name.startswith("application") for name in ingredients(site))


def test_every_file_of_the_lock_is_named_and_no_index(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(site, DEMO)
    other = wheel(name="other")
    (site.folder / "more.txt").write_text(requirements(other))
    (site.folder / "requirements.txt").write_text("-r more.txt\n" + requirements(DEMO))
    recipe = site.folder / "layersmith.toml"
    recipe.write_text(recipe.read_text().replace("pylock.toml", "requirements.txt"))
    with serve_index(DEMO, other) as index:
        url = index.url.replace("://", "://somebody:s3cret@")
        monkeypatch.setenv("PIP_INDEX_URL", url)
        built(site, *DOCUMENTS)
    for name in ("requirements.txt", "more.txt"):
        digest = Digest.of((site.folder / name).read_bytes())
        assert ingredients(site)[name]["digest"] == {"sha256": digest.encoded}
    text = json.dumps(statement(site))
    assert "s3cret" not in text
    assert "127.0.0.1" not in text
    assert "http:" not in text


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        (("--output", "docker-archive:a.tar", "--sbom"), InvalidInput, "cannot hold"),
        (("--output", "oci-archive:a.tar", *SIGNED), InvalidInput, "is an archive"),
        (("--sign", "k.key"), InvalidInput, "--sign-as"),
        (("--sbom-format", "x"), InvalidInput, "no format"),
        (("--documents", "docs"), RecipeError, "--documents"),
        (("--sign", "nothing.key"), InvalidKey, "nothing.key"),
        (("--sign", ""), InvalidInput, "--sign is empty"),
    ],
)
@pytest.mark.parametrize("command", ["build", "rebase"])
def test_what_cannot_be_is_said_before_anything_is_made(
    site: Site, command: str, options: tuple[str, ...], error: type[LayersmithError], word: str
) -> None:
    prepare(site, DEMO)
    if command == "rebase":
        built(site)
        site.move(b"another builder")
    before = state(site, "cache", "dist")
    with pytest.raises(error) as caught:
        built(site, *options) if command == "build" else rebased(site, *options)
    assert word in f"{caught.value.message} {caught.value.hint}"
    made = set(state(site, "cache", "dist")) - set(before)
    assert not [path for path in made if "/layers/" in path or "/dist/" in path]


@pytest.mark.parametrize("command", ["build", "rebase"])
def test_no_tag_appears_unsigned(
    site: Site, fake: FakeRegistry, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    prepare(site, DEMO)
    if command == "rebase":
        built(site)
        site.move(b"another builder")
    name = f"{fake.host}/team/shop:1"
    options = ("--push", name, "--sign", "k.key", "--provenance")

    def fail(*_: object) -> None:
        raise InvalidKey("the key is gone")

    with monkeypatch.context() as broken:
        broken.setattr(Signer, "say", fail)
        with pytest.raises(InvalidKey):
            built(site, *options) if command == "build" else rebased(site, *options)
    with pytest.raises(NotFound):
        site.run_plain("digest", name)
    done = built(site, *options) if command == "build" else rebased(site, *options)
    assert site.run_plain("digest", name).strip() == done["digest"]
    kind = ("--attestation", "slsaprovenance1", "--json")
    assert json.loads(site.run_plain("verify", name, "--key", "k.pub", *kind))["accepted"]


@pytest.mark.parametrize("which", ["dependencies", "application", "python"])
def test_a_layer_that_rotted_is_made_again_before_it_is_described(site: Site, which: str) -> None:
    prepare(site, DEMO)
    first = built(site)
    layers = image(site).manifest.value.layers
    digest = layers[{"dependencies": -2, "application": -1, "python": -3}[which]].digest
    for path in (site.folder / "cache/v1/layers").glob("*/*"):
        path.unlink()
    blob = site.folder / "cache/v1/blobs/sha256" / digest.encoded
    raw = bytearray(blob.read_bytes())
    raw[len(raw) // 2] ^= 1
    blob.write_bytes(raw)
    done = built(site, *DOCUMENTS)
    assert done["digest"] == first["digest"]
    packages = json.loads((site.folder / "docs/app-linux-amd64.spdx.json").read_bytes())["packages"]
    assert "demo" in {one["name"] for one in packages}


def test_what_is_rebased_is_described_and_signed_anew(site: Site) -> None:
    prepare(site, DEMO)
    before = built(site)["digest"]
    site.move(b"another builder", version="3.13.9")
    done = rebased(site, *DOCUMENTS, *SIGNED)
    at = f"oci:dist/rebased@{done['digest']}"
    (by,) = verified(site, at, "--attestation", "slsaprovenance1")
    assert by["predicate"] == statement(site)["predicate"]
    about, found = said(site), ingredients(site)
    assert about["buildType"] == "https://layersmith.dev/provenance/rebase/v1"
    assert about["externalParameters"]["onto"] == TARGET
    assert found["application"]["digest"] == {"sha256": before.removeprefix("sha256:")}
    assert found["python"]["digest"] == {"sha256": done["image"]["digest"].removeprefix("sha256:")}
    assert str(site.folder) not in json.dumps(statement(site))
    old, settled = state(site, "dist"), statement(site)
    again = rebased(site, *DOCUMENTS, *SIGNED)
    assert all(one["known"] for one in again["signed"])
    assert (state(site, "dist"), statement(site)) == (old, settled)
    text = site.run("rebase", "oci:dist/app:latest", *ONTO, *SIGNED)
    assert "of them were there" in text
    assert "next: layersmith inspect" in text


def test_what_stands_there_already_is_signed_where_it_is_brought(
    site: Site, fake: FakeRegistry
) -> None:
    prepare(site, DEMO)
    before = built(site)["digest"]
    name = f"{fake.host}/team/shop:1"
    done = rebased(site, "--push", name, "--sign", "k.key", "--sbom", "--provenance")
    assert (done["digest"], done["same"], done["tags"]) == (before, True, [name])
    assert [one["kind"] for one in done["attached"]] == ["spdx.json"]  # nothing was made
    accepted = site.run_plain("verify", name, "--key", "k.pub", "--json")
    assert json.loads(accepted)["accepted"]
    assert rebased(site, *SIGNED)["tags"] == []
    assert not (site.folder / "dist/rebased").exists()


def test_a_statement_of_an_application_makes_no_image_again(site: Site) -> None:
    prepare(site, DEMO)
    built(site, *DOCUMENTS)
    with pytest.raises(InvalidInput, match="of an application"):
        site.run("rebuild", "--provenance", "docs/app.provenance.json")
