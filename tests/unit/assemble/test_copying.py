"""Copying between places: every digest, everything below, the tag last."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.image import AMD64, ARM64, Made, for_platform, put, put_index, put_json, shown
from tests.fakes.registry import FakeRegistry, Reply

from layersmith.assemble.copying import Copied, copy
from layersmith.assemble.crew import Crew
from layersmith.assemble.places import Place
from layersmith.assemble.referrers import referrers_tag
from layersmith.errors import DocumentError, InvalidInput, NotFound, VerificationError
from layersmith.oci.content import NoProgress
from layersmith.oci.documents import OCI_INDEX, OCI_MANIFEST, Descriptor, Platform
from layersmith.oci.graph import walk
from layersmith.stores.layout import Layout
from layersmith.stores.registry import Registries, RegistryOptions
from layersmith.stores.registry_options import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layersmith.oci.content import Sink

EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass
class World:
    """A registry, and a directory for the other places."""

    fake: FakeRegistry
    folder: Path
    registries: Registries

    def place(self, name: str) -> str:
        """Return a place: `registry:t` is in the registry, the others in the directory."""
        kind, _, rest = name.partition(":")
        if kind == "registry":
            return f"{self.fake.host}/team/image" + (f":{rest}" if rest else "")
        path, _, tag = rest.partition(":")
        return f"{kind}:{self.folder}/{path}" + (f":{tag}" if tag else "")

    def copy(
        self, src: str, dst: str, platform: Platform | None = None, *, referrers: bool = False
    ) -> Copied:
        places = Place.parse(self.place(src)), Place.parse(self.place(dst))
        crew = Crew(NoProgress())
        return copy(self.registries, crew, places, platform, referrers=referrers)

    def digests(self, name: str) -> set[str]:
        """Return everything below a name, all of it read and verified."""
        place = Place.parse(self.place(name))
        source = place.source(self.registries)
        node = walk(source, source.resolve(place.identifier))
        found = {one.descriptor.digest for one in node.nodes()}
        for blob in (blob for one in node.nodes() for blob in one.blobs):
            with source.open(blob) as stream:
                stream.read()
            found.add(blob.digest)
        return set(found)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    options = RegistryOptions(limits=Limits(connect=2, read=2))
    with FakeRegistry() as fake, Registries(options) as registries:
        yield World(fake, tmp_path, registries)


def planted(sink: Sink, tag: str = "t") -> Descriptor:
    """Put an index of two platforms and an attestation."""
    one, two = Made().put(sink), Made(platform=ARM64, docker=True).put(sink)
    about = shown(one, platform={"os": "unknown", "architecture": "unknown"})
    children = [for_platform(one, AMD64), for_platform(two, ARM64), about]
    top = put_index(sink, children, annotations={"a": "b"})
    sink.tag(tag, top)
    return top


def attached(sink: Sink, subject: Descriptor, text: bytes, **more: object) -> Descriptor:
    """Put an artifact that refers to `subject`, listed nowhere yet."""
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/x-note",
        "config": shown(put(sink, b"{}", EMPTY)),
        "layers": [shown(put(sink, text, "text/plain"))],
        "subject": shown(subject),
        "annotations": {"note": "yes"},
        **more,
    }
    return put_json(sink, manifest, OCI_MANIFEST)


def listed(sink: Sink, subject: Descriptor, *referrers: Descriptor) -> None:
    index = put_index(sink, [shown(one) for one in referrers])
    sink.tag(referrers_tag(subject.digest), index)


PLACES = ["oci:x", "oci-archive:x.tar", "registry:"]


@pytest.mark.parametrize("src", PLACES)
@pytest.mark.parametrize("dst", ["oci:y", "oci-archive:y.tar", "registry:"])
def test_every_digest_arrives(world: World, src: str, dst: str) -> None:
    planted(Layout(world.folder / "origin"))
    world.copy("oci:origin:t", f"{src.rstrip(':')}:t")
    done = world.copy(f"{src.rstrip(':')}:t", f"{dst.rstrip(':')}:u")
    name = f"{dst.rstrip(':')}:u"
    assert done.name == world.place(name)
    assert world.digests(name) == world.digests("oci:origin:t")
    assert (done.manifests, done.blobs) == (3, 3)  # their layers are the same bytes


def test_a_tag_is_the_source_s_unless_it_is_said(world: World) -> None:
    planted(Layout(world.folder / "x"), "3.13")
    assert world.copy("oci:x", "oci-archive:y.tar").name.endswith(":3.13")
    assert world.copy("oci:x:3.13", "oci:z").name.endswith("z:3.13")
    assert world.copy("oci:x:3.13", "oci:z:w").name.endswith("z:w")


def test_a_digest_needs_a_tag_to_go_to(world: World) -> None:
    top = planted(Layout(world.folder / "x"))
    world.copy("oci:x:t", "registry:t")
    by_digest = Place.parse(f"{world.fake.host}/team/image@{top.digest}")
    crew = Crew(NoProgress())
    for dst, fits in (("oci:y", False), ("oci:y:t", True)):
        places = by_digest, Place.parse(world.place(dst))
        if fits:
            assert copy(world.registries, crew, places, None, referrers=False).top.digest
        else:
            with pytest.raises(InvalidInput, match="no tag"):
                copy(world.registries, crew, places, None, referrers=False)


def test_one_platform_is_a_manifest(world: World) -> None:
    planted(Layout(world.folder / "x"))
    done = world.copy("oci:x:t", "oci:y", ARM64)
    assert done.manifests == 1
    assert done.top.media_type != OCI_INDEX
    with pytest.raises(NotFound, match="no image for"):
        world.copy("oci:x:t", "oci:y", Platform(os="linux", architecture="s390x"))


def test_a_docker_archive_takes_one_platform(world: World) -> None:
    planted(Layout(world.folder / "x"))
    with pytest.raises(InvalidInput, match="one platform, there are 2") as caught:
        world.copy("oci:x:t", "docker-archive:y.tar")
    assert "--platform" in caught.value.hint
    assert not (world.folder / "y.tar").exists()
    done = world.copy("oci:x:t", "docker-archive:y.tar", AMD64)
    assert world.digests("docker-archive:y.tar:t") >= {done.top.digest}
    again = world.copy("docker-archive:y.tar:t", "registry:t")
    assert again.top.digest == done.top.digest
    with pytest.raises(InvalidInput, match="referrers"):
        world.copy("oci:x:t", "docker-archive:y.tar", AMD64, referrers=True)


def test_copying_again_moves_nothing(world: World) -> None:
    planted(Layout(world.folder / "x"))
    world.copy("oci:x:t", "registry:t")
    world.fake.log.clear()
    world.copy("oci:x:t", "registry:t")
    assert [r.method for r in world.fake.log] == ["HEAD"]
    world.copy("oci:x:t", "oci-archive:y.tar")
    before = (world.folder / "y.tar").read_bytes()
    world.copy("oci:x:t", "oci-archive:y.tar")
    assert (world.folder / "y.tar").read_bytes() == before


def test_blobs_of_the_same_registry_are_mounted(world: World) -> None:
    planted(Layout(world.folder / "x"))
    world.copy("oci:x:t", "registry:t")
    world.fake.log.clear()
    places = Place.parse(world.place("registry:t")), Place.parse(f"{world.fake.host}/other:t")
    copy(world.registries, Crew(NoProgress()), places, None, referrers=False)
    counts = world.fake.counts()
    assert counts["GET blobs"] == counts["PUT uploads"] == 0
    assert set(world.fake.blobs["other"]) == set(world.fake.blobs["team/image"])


def test_tags_come_last_and_failures_leave_none(world: World) -> None:
    layout = Layout(world.folder / "x")
    top = planted(layout)
    world.copy("oci:x:t", "registry:t")
    puts = [r.path.rpartition("/")[2] for r in world.fake.log if r.method == "PUT"]
    assert puts[-2:] == [top.digest, "t"]
    blob = next(p for p in (world.folder / "x/blobs/sha256").iterdir() if p.stat().st_size > 80)
    layers = [b for n in walk(layout, top).nodes() for b in n.blobs if "layer" in b.media_type]
    blob = world.folder / "x/blobs/sha256" / layers[0].digest.encoded
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    for dst in ("oci:new", "oci-archive:new.tar", "registry:new"):
        if dst.startswith("registry"):
            world.fake.blobs.clear()
        with pytest.raises(VerificationError):
            world.copy("oci:x:t", dst)
    assert not [p for p in world.folder.iterdir() if "new" in p.name]
    assert "new" not in world.fake.tags["team/image"]


@pytest.mark.parametrize("dst", ["oci:y", "oci-archive:y.tar", "registry:"])
def test_referrers_go_along(world: World, dst: str) -> None:
    layout = Layout(world.folder / "x")
    top = planted(layout)
    child = walk(layout, top).children[0].descriptor
    note = attached(layout, top, b"a note")
    signature = attached(layout, note, b"a signature of it")
    on_child = attached(layout, child, b"on one platform")
    listed(layout, top, note)
    listed(layout, note, signature)
    listed(layout, child, on_child)
    done = world.copy("oci:x:t", f"{dst.rstrip(':')}:t", referrers=True)
    expected = {note.digest, signature.digest, on_child.digest}
    assert {d.digest for d in done.referrers} == expected
    back = world.copy(f"{dst.rstrip(':')}:t", "oci:back", referrers=True)
    assert {d.digest for d in back.referrers} == expected
    source = Layout(world.folder / "back")
    index = walk(source, source.resolve(referrers_tag(top.digest)))
    assert index.document is not None
    entry = index.document.value.manifests[0]
    assert (entry.artifact_type, entry.annotations) == ("application/x-note", {"note": "yes"})


def test_a_list_keeps_what_it_has(world: World) -> None:
    layout, other = Layout(world.folder / "x"), Layout(world.folder / "y")
    top = planted(layout)
    planted(other)
    listed(layout, top, attached(layout, top, b"new"))
    known = attached(other, top, b"known")
    listed(other, top, known)
    for _ in range(2):
        world.copy("oci:x:t", "oci:y:t", referrers=True)
        index = walk(other, other.resolve(referrers_tag(top.digest)))
        assert len(index.children) == 2
        assert known.digest in {child.descriptor.digest for child in index.children}


def test_a_registry_with_the_api_keeps_its_own_list(world: World) -> None:
    layout = Layout(world.folder / "x")
    top = planted(layout)
    note = attached(layout, top, b"a note")
    listed(layout, top, note)
    empty = Reply(200, {"Content-Type": OCI_INDEX}, b'{"schemaVersion":2,"manifests":[]}')
    world.fake.once("GET", "/referrers/", empty)
    world.copy("oci:x:t", "registry:t", referrers=True)
    assert set(world.fake.tags["team/image"]) == {"t"}
    full = {"schemaVersion": 2, "manifests": [shown(note)]}
    raw = json.dumps(full).encode()
    world.fake.once("GET", f"/referrers/{top.digest}", Reply(200, {"Content-Type": OCI_INDEX}, raw))
    done = world.copy("registry:t", "oci:y", referrers=True)
    assert [d.digest for d in done.referrers] == [note.digest]


def tagged(sink: Sink, subject: Descriptor, kind: str) -> Descriptor:
    """Put what cosign does: a manifest that refers to nothing, under a tag made of a digest."""
    made = Made(manifest={"annotations": {"about": f"{kind} of {subject.digest}"}}).put(sink)
    sink.tag(f"{referrers_tag(subject.digest)}.{kind}", made)
    return made


@pytest.mark.parametrize("dst", ["oci:y", "oci-archive:y.tar", "registry:"])
def test_what_cosign_tags_goes_along(world: World, dst: str) -> None:
    layout = Layout(world.folder / "x")
    top = planted(layout)
    child = walk(layout, top).children[0].descriptor
    note = attached(layout, top, b"a note")
    listed(layout, top, note)
    signature = tagged(layout, top, "sig")
    about = [signature, tagged(layout, child, "att"), tagged(layout, note, "sbom"),
             tagged(layout, signature, "sig")]  # fmt: skip
    tagged(layout, Made(runtime={"User": "x"}).put(layout), "sig")  # of another image
    name = f"{dst.rstrip(':')}:t"
    assert world.copy("oci:x:t", name).referrers == []
    done = world.copy("oci:x:t", name, referrers=True)
    assert {d.digest for d in done.referrers} == {note.digest, *(d.digest for d in about)}
    back = world.copy(name, "oci:back", referrers=True)
    assert {d.digest for d in back.referrers} == {d.digest for d in done.referrers}
    source = Layout(world.folder / "back")
    assert source.resolve(f"{referrers_tag(top.digest)}.sig").digest == signature.digest
    assert len(source.tags()) == 6
    if dst != "registry:":  # what is beside the only image does not make it one of many
        assert world.copy(dst, "oci:again").top.digest == top.digest


def test_cosign_s_tags_come_before_the_image_s(world: World) -> None:
    layout = Layout(world.folder / "x")
    top = planted(layout)
    tagged(layout, top, "sig")
    world.copy("oci:x:t", "registry:t", referrers=True)
    puts = [r.path.rpartition("/")[2] for r in world.fake.log if r.method == "PUT"]
    assert puts[-2:] == [f"{referrers_tag(top.digest)}.sig", "t"]


def test_a_list_that_lies_is_an_error(world: World) -> None:
    layout = Layout(world.folder / "x")
    top = planted(layout)
    other = Made(runtime={"User": "x"}).put(layout)
    listed(layout, top, attached(layout, other, b"of something else"))
    with pytest.raises(DocumentError, match="does not refer to it"):
        world.copy("oci:x:t", "oci:y", referrers=True)


def test_what_may_not_be_distributed_stays_where_it_is(world: World) -> None:
    layout = Layout(world.folder / "x")
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    foreign = put(layout, b"foreign", "application/vnd.oci.image.layer.nondistributable.v1.tar")
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": shown(put_json(layout, config, "application/vnd.oci.image.config.v1+json")),
        "layers": [shown(foreign, urls=["https://elsewhere.example/layer"])],
    }
    layout.tag("t", put_json(layout, manifest, OCI_MANIFEST))
    done = world.copy("oci:x:t", "registry:t")
    assert [blob.digest for blob in done.left] == [foreign.digest]
    assert foreign.digest not in world.fake.blobs["team/image"]
