"""Finding the image of a platform: indexes in every shape that registries hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.image import (
    AMD64,
    ARM64,
    DOCKER_LIST,
    Made,
    for_platform,
    platform_json,
    put,
    put_index,
    put_json,
    shown,
)
from tests.fakes.memory import Memory

from layersmith.errors import DigestMismatch, DocumentError, NotFound
from layersmith.oci.derived import make_index
from layersmith.oci.documents import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Platform
from layersmith.oci.image import Image, load, select

if TYPE_CHECKING:
    from layersmith.oci.documents import Descriptor

ARM64_V8 = Platform(os="linux", architecture="arm64", variant="v8")
UNKNOWN = Platform(os="unknown", architecture="unknown")


@pytest.fixture
def memory() -> Memory:
    return Memory("memory")


def find(memory: Memory, top: Descriptor, platform: Platform) -> Image:
    memory.tag("t", top)
    return select(memory, load(memory, "t"), platform)


def test_the_image_of_each_platform_is_found(memory: Memory) -> None:
    amd, arm = Made(platform=AMD64).put(memory), Made(platform=ARM64).put(memory)
    top = put_index(memory, [for_platform(amd, AMD64), for_platform(arm, ARM64)])
    assert find(memory, top, AMD64).manifest.descriptor.digest == amd.digest
    assert find(memory, top, ARM64).manifest.descriptor.digest == arm.digest


def test_only_the_wanted_image_is_read(memory: Memory) -> None:
    amd, arm = Made(platform=AMD64).put(memory), Made(platform=ARM64).put(memory)
    top = put_index(memory, [for_platform(amd, AMD64), for_platform(arm, ARM64)])
    found = find(memory, top, ARM64)
    assert memory.asked("open") == [top.digest, arm.digest, found.config.descriptor.digest]


@pytest.mark.parametrize("written", [ARM64, ARM64_V8])
@pytest.mark.parametrize("wanted", [ARM64, ARM64_V8])
@pytest.mark.parametrize("configured", [ARM64, ARM64_V8])
def test_arm64_is_found_with_and_without_its_variant(
    memory: Memory, written: Platform, wanted: Platform, configured: Platform
) -> None:
    arm = Made(platform=configured).put(memory)
    top = put_index(memory, [for_platform(arm, written)])
    assert find(memory, top, wanted).manifest.descriptor.digest == arm.digest


def test_the_first_of_two_images_for_one_platform_is_taken(memory: Memory) -> None:
    first, second = Made(runtime={"User": "1"}).put(memory), Made(runtime={"User": "2"}).put(memory)
    top = put_index(memory, [for_platform(first, AMD64), for_platform(second, AMD64)])
    assert find(memory, top, AMD64).manifest.descriptor.digest == first.digest


def test_an_index_in_an_index_is_looked_into(memory: Memory) -> None:
    amd, arm = Made(platform=AMD64).put(memory), Made(platform=ARM64).put(memory)
    inner = put_index(memory, [for_platform(arm, ARM64_V8)], DOCKER_LIST)
    top = put_index(memory, [for_platform(amd, AMD64), shown(inner)])
    assert find(memory, top, ARM64).manifest.descriptor.digest == arm.digest


def test_indexes_in_indexes_have_an_end(memory: Memory) -> None:
    top = Made().put(memory)
    for _ in range(3):
        top = put_index(memory, [shown(top)])
    assert find(memory, top, AMD64).platform == AMD64
    with pytest.raises(DocumentError, match="nested deeper than 3"):
        find(memory, put_index(memory, [shown(top)]), AMD64)


def test_an_index_that_repeats_itself_is_read_once(memory: Memory) -> None:
    top = Made().put(memory)
    for _ in range(3):
        top = put_index(memory, [shown(top)] * 500)
    with pytest.raises(NotFound):
        find(memory, top, ARM64)
    assert len(memory.asked("open")) == 5


def test_an_index_of_very_many_others_is_not_followed_to_its_end(memory: Memory) -> None:
    many = [shown(put_index(memory, [], annotations={"n": str(n)})) for n in range(300)]
    with pytest.raises(DocumentError, match="more than 200 documents"):
        find(memory, put_index(memory, many), AMD64)


def test_attestations_are_no_platform(memory: Memory) -> None:
    attestation = put_json(
        memory,
        {"schemaVersion": 2, "config": shown(put_json(memory, {}, OCI_CONFIG)), "layers": []},
        OCI_MANIFEST,
    )
    marked = for_platform(
        attestation, UNKNOWN, annotations={"vnd.docker.reference.type": "attestation-manifest"}
    )
    top = put_index(
        memory,
        [
            for_platform(attestation, UNKNOWN),
            marked,
            shown(attestation, annotations=marked["annotations"]),
        ],
    )
    for platform in (UNKNOWN, AMD64):
        with pytest.raises(NotFound) as caught:
            find(memory, top, platform)
        assert caught.value.hint == "it has: none"
    assert attestation.digest not in memory.asked("open")


def test_what_is_no_image_and_says_no_platform_is_passed_by(memory: Memory) -> None:
    artifact = put_json(
        memory,
        {
            "schemaVersion": 2,
            "config": shown(put(memory, b"{}", "application/vnd.oci.empty.v1+json")),
            "layers": [],
        },
        OCI_MANIFEST,
    )
    unknown = shown(put(memory, b"x", "application/x-unknown"))
    amd = Made().put(memory)
    top = put_index(memory, [shown(artifact), unknown, shown(amd)])
    assert find(memory, top, AMD64).manifest.descriptor.digest == amd.digest


def test_a_single_image_is_found_by_its_config(memory: Memory) -> None:
    assert find(memory, Made(platform=ARM64).put(memory), ARM64).platform == ARM64
    with pytest.raises(NotFound, match="has no image for linux/amd64") as caught:
        find(memory, Made(platform=ARM64).put(memory), AMD64)
    assert caught.value.hint == "it has: linux/arm64"


def test_a_missing_platform_names_those_that_are_there(memory: Memory) -> None:
    amd, arm = Made(platform=AMD64).put(memory), Made(platform=ARM64_V8).put(memory)
    top = put_index(memory, [for_platform(amd, AMD64), for_platform(arm, ARM64_V8)])
    with pytest.raises(NotFound) as caught:
        find(memory, top, Platform.parse("linux/s390x"))
    assert caught.value.hint == "it has: linux/amd64, linux/arm64"


def test_an_index_may_say_what_a_config_leaves_open(memory: Memory) -> None:
    """Many configs name no variant, and none a Windows version that its index has."""
    v7 = Platform(os="linux", architecture="arm", variant="v7")
    unsaid = Made(platform=Platform(os="linux", architecture="arm")).put(memory)
    windows = Platform(os="windows", architecture="amd64", os_version="10.0.17763.1")
    other = Made(platform=Platform(os="windows", architecture="amd64")).put(memory)
    about = shown(other, platform={**platform_json(windows), "os.version": windows.os_version})
    memory.tag("t", put_index(memory, [for_platform(unsaid, v7), about]))
    top = load(memory, "t")
    assert select(memory, top, v7).platform == v7
    image = select(memory, top, windows)
    assert image.platform == windows
    (entry,) = make_index([image], {}).json["manifests"]
    assert entry["platform"]["os.version"] == windows.os_version


def test_an_index_that_lies_about_a_platform_is_not_believed(memory: Memory) -> None:
    amd = Made(platform=AMD64).put(memory)
    with pytest.raises(NotFound):
        find(memory, put_index(memory, [for_platform(amd, ARM64)]), ARM64)


def test_docker_schema_2_is_an_image(memory: Memory) -> None:
    top = put_index(memory, [for_platform(Made(docker=True).put(memory), AMD64)], DOCKER_LIST)
    image = find(memory, top, AMD64)
    assert [layer.compression for layer in image.layers] == ["gzip"]


def test_an_image_knows_its_layers_by_both_digests(memory: Memory) -> None:
    image = find(
        memory, Made((b"one" * 1000, b"two" * 1000), compression="zstd").put(memory), AMD64
    )
    blobs = [layer.descriptor.digest for layer in image.layers]
    assert blobs == [layer.digest for layer in image.manifest.value.layers]
    assert [layer.diff_id for layer in image.layers] == list(image.config.value.rootfs.diff_ids)
    assert image.size == sum(layer.descriptor.size for layer in image.layers)
    assert {layer.compression for layer in image.layers} == {"zstd"}


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (Made(config={"rootfs": {"type": "layers", "diff_ids": []}}), "1 layers, but 0 diff_ids"),
        (Made(layer={"mediaType": "application/x-layer"}), "unknown type 'application/x-layer'"),
        (Made(layer={"mediaType": f"{OCI_LAYER}+br"}), "unknown type"),
        (Made(manifest={"layers": []}), "0 layers, but 1 diff_ids"),
    ],
)
def test_an_image_that_does_not_fit_together_is_refused(
    memory: Memory, made: Made, why: str
) -> None:
    with pytest.raises(DocumentError, match=why) as caught:
        find(memory, made.put(memory), AMD64)
    assert str(caught.value).startswith("memory: ")


def test_an_artifact_is_no_image(memory: Memory) -> None:
    empty = put(memory, b"{}", "application/vnd.oci.empty.v1+json")
    artifact = put_json(
        memory, {"schemaVersion": 2, "config": shown(empty), "layers": []}, OCI_MANIFEST
    )
    with pytest.raises(DocumentError, match="not an image"):
        find(memory, artifact, AMD64)


def test_what_is_neither_manifest_nor_index_is_refused(memory: Memory) -> None:
    with pytest.raises(DocumentError, match="neither an image manifest nor an index"):
        find(memory, put(memory, b"{}", OCI_CONFIG), AMD64)


def test_a_document_of_other_bytes_is_refused(memory: Memory) -> None:
    top = put_index(memory, [])
    memory.blobs[top.digest] = memory.blobs[top.digest].replace(b"2", b"1")
    with pytest.raises(DigestMismatch):
        find(memory, top, AMD64)


def test_a_document_is_of_the_type_that_named_it(memory: Memory) -> None:
    manifest = Made().put(memory)
    index = put_index(memory, [shown(manifest, mediaType=OCI_INDEX)])
    with pytest.raises(DocumentError, match="an index that also has config, layers"):
        find(memory, index, AMD64)


def test_documents_of_too_many_bytes_are_not_read(memory: Memory) -> None:
    many = [
        shown(put_index(memory, [], annotations={"n": str(n), "x": "x" * (3 << 20)}))
        for n in range(6)
    ]
    with pytest.raises(DocumentError, match="more than 16 MiB of documents"):
        find(memory, put_index(memory, many), AMD64)


def test_an_image_of_very_many_layers_is_refused(memory: Memory) -> None:
    few, many = ([b"layer"] * count for count in (1000, 1001))
    assert len(find(memory, Made(few).put(memory), AMD64).layers) == 1000
    with pytest.raises(DocumentError, match="1001 layers"):
        find(memory, Made(many).put(memory), AMD64)
