"""Documents: parsed once, kept as bytes, never read two ways."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.build.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    descriptor,
    shown,
)

from layersmith.errors import DocumentError, InvalidInput
from layersmith.oci.digest import Digest
from layersmith.oci.documents import (
    LAYER_COMPRESSION,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Document,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)

BLOB = shown(descriptor(b"blob"))
CONFIG = shown(descriptor(b"{}", OCI_CONFIG))
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": CONFIG,
    "layers": [BLOB],
}
INDEX: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_INDEX,
    "manifests": [shown(descriptor(b"m", OCI_MANIFEST))],
}
IMAGE: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "rootfs": {"type": "layers", "diff_ids": [Digest.of(b"")]},
}


def manifest(value: object, media_type: str = OCI_MANIFEST) -> Document[Manifest]:
    raw = json.dumps(value).encode()
    return Document.parse(raw, descriptor(raw, media_type), Manifest)


def index(value: object, media_type: str = OCI_INDEX) -> Document[Index]:
    raw = json.dumps(value).encode()
    return Document.parse(raw, descriptor(raw, media_type), Index)


def config(value: object) -> Document[ImageConfig]:
    raw = json.dumps(value).encode()
    return Document.parse(raw, descriptor(raw, OCI_CONFIG), ImageConfig)


# platforms


def test_arm64_and_arm64_v8_are_one_platform() -> None:
    assert Platform.parse("linux/arm64").key == Platform.parse("linux/arm64/v8").key
    assert str(Platform.parse("linux/arm64/v8")) == "linux/arm64"
    assert Platform.parse("linux/arm64").key != Platform.parse("linux/arm64/v9").key


def test_other_variants_are_platforms_of_their_own() -> None:
    assert Platform.parse("linux/arm/v6").key != Platform.parse("linux/arm/v7").key
    assert str(Platform.parse("linux/arm/v7")) == "linux/arm/v7"


@pytest.mark.parametrize(
    "text", ["", "linux", "linux/", "/amd64", "linux//v8", "linux/a/b/c", "linux/arm64/"]
)
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a platform") as caught:
        Platform.parse(text)
    assert caught.value.exit_code == 2
    assert "linux/amd64" in caught.value.hint


# manifests and indexes


def test_a_manifest_is_read_and_its_bytes_are_kept() -> None:
    raw = json.dumps({**MANIFEST, "x-unknown": 1}, indent=3).encode()
    document = Document.parse(raw, descriptor(raw, OCI_MANIFEST), Manifest)
    assert document.raw == raw
    assert document.json["x-unknown"] == 1
    assert [layer.digest for layer in document.value.layers] == [Digest.of(b"blob")]
    assert document.descriptor.digest == Digest.of(raw)


def test_docker_schema_2_is_read_as_its_equal() -> None:
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {**CONFIG, "mediaType": DOCKER_CONFIG},
        "layers": [{**BLOB, "mediaType": DOCKER_LAYER}],
    }
    assert manifest(value, DOCKER_MANIFEST).value.layers[0].media_type == DOCKER_LAYER
    value = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": []}
    assert index(value, DOCKER_LIST).value.manifests == ()
    assert LAYER_COMPRESSION[DOCKER_LAYER] == "gzip"


def test_a_media_type_may_be_left_out() -> None:
    value = {key: item for key, item in MANIFEST.items() if key != "mediaType"}
    assert manifest(value).value.layers


@pytest.mark.parametrize(
    "value",
    [
        {**MANIFEST, "manifests": []},
        {**MANIFEST, "manifests": None},
        {**MANIFEST, "Manifests": INDEX["manifests"]},
        {**MANIFEST, "fsLayers": []},
    ],
)
def test_a_manifest_that_is_also_an_index_is_refused(value: object) -> None:
    with pytest.raises(DocumentError, match="a manifest that also has"):
        manifest(value)


@pytest.mark.parametrize("key", ["layers", "config", "fsLayers", "Layers", "CONFIG"])
def test_an_index_that_is_also_a_manifest_is_refused(key: str) -> None:
    with pytest.raises(DocumentError, match="an index that also has"):
        index({**INDEX, key: []})


@pytest.mark.parametrize("said", [OCI_INDEX, DOCKER_MANIFEST, "", None, 7, "x\x1b[0m"])
def test_a_document_says_the_type_of_its_descriptor(said: object) -> None:
    with pytest.raises(DocumentError, match="its descriptor") as caught:
        manifest({**MANIFEST, "mediaType": said})
    assert str(caught.value).isprintable()


def test_a_media_type_in_another_spelling_counts_too() -> None:
    value = {key: item for key, item in MANIFEST.items() if key != "mediaType"}
    with pytest.raises(DocumentError, match="its descriptor"):
        manifest({**value, "MediaType": OCI_INDEX})


@pytest.mark.parametrize(
    "value",
    [
        {**MANIFEST, "Layers": []},
        {**MANIFEST, "layers": [{**BLOB, "Digest": Digest.of(b"other")}]},
        {**MANIFEST, "config": {**CONFIG, "\N{LATIN SMALL LETTER LONG S}ize": 3}},
        {**MANIFEST, "layers": [{**BLOB, "\N{LATIN SMALL LETTER LONG S}ize": 3}]},
    ],
)
def test_a_key_in_two_spellings_is_refused(value: object) -> None:
    with pytest.raises(DocumentError, match="in two spellings"):
        manifest(value)


def test_keys_that_are_data_may_differ_in_case() -> None:
    notes = {"Note": "1", "note": "2"}
    assert manifest({**MANIFEST, "annotations": notes}).value.annotations == notes
    runtime = {
        "Labels": notes,
        "Volumes": {"/A": {}, "/a": {}},
        "ExposedPorts": {"1/tcp": {}, "1/TCP": {}},
    }
    found = config({**IMAGE, "config": runtime}).value.config
    assert found is not None
    assert found.labels == notes


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"schemaVersion": 1}, "$.schemaVersion"),
        ({"schemaVersion": 3}, "$.schemaVersion"),
        ({"schemaVersion": "2"}, "$.schemaVersion"),
        ({"schemaVersion": 2.5}, "$.schemaVersion"),
        ({"config": None}, "$.config"),
        ({"config": []}, "$.config"),
        ({"layers": None}, "$.layers"),
        ({"layers": {}}, "$.layers"),
        ({"layers": [None]}, "$.layers[0]"),
        ({"layers": [{}]}, "$.layers[0]"),
        ({"layers": [BLOB, {**BLOB, "size": -1}]}, "$.layers[1].size"),
        ({"layers": [{**BLOB, "size": 2**53 + 1}]}, "$.layers[0].size"),
        ({"layers": [{**BLOB, "size": 1.5}]}, "$.layers[0].size"),
        ({"layers": [{**BLOB, "size": True}]}, "$.layers[0].size"),
        ({"layers": [{**BLOB, "size": "4"}]}, "$.layers[0].size"),
        ({"layers": [{**BLOB, "digest": "../../etc/passwd"}]}, "$.layers[0].digest"),
        ({"layers": [{**BLOB, "digest": {"a": 1}}]}, "$.layers[0].digest"),
        ({"layers": [{**BLOB, "mediaType": 1}]}, "$.layers[0].mediaType"),
        ({"layers": [{**BLOB, "urls": "http://x"}]}, "$.layers[0].urls"),
        ({"layers": [{**BLOB, "annotations": {"a": 1}}]}, "$.layers[0].annotations"),
        ({"annotations": []}, "$.annotations"),
        ({"subject": {}}, "$.subject"),
    ],
)
def test_a_wrong_type_is_named_by_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(DocumentError) as caught:
        manifest({**MANIFEST, **change})
    assert path in str(caught.value)
    assert str(caught.value).startswith("manifest sha256:")


@pytest.mark.parametrize("value", [None, [], "x", 7, True])
def test_a_document_is_an_object(value: object) -> None:
    with pytest.raises(DocumentError, match="not a JSON object"):
        manifest(value)


def test_embedded_data_is_what_the_digest_says() -> None:
    data = base64.b64encode(b"blob").decode()
    found = manifest({**MANIFEST, "layers": [{**BLOB, "data": data}]})
    assert found.value.layers[0].data == data


@pytest.mark.parametrize(
    "data", ["YmxvYg", "!!!!", base64.b64encode(b"blab").decode(), "YmxvYg==x"]
)
def test_embedded_data_that_is_something_else_is_refused(data: str) -> None:
    with pytest.raises(DocumentError, match=r"at `\$\.layers\[0\]`"):
        manifest({**MANIFEST, "layers": [{**BLOB, "data": data}]})


@pytest.mark.parametrize("size", [0, 2**53])
def test_sizes_have_bounds(size: int) -> None:
    found = manifest({**MANIFEST, "layers": [{**BLOB, "size": size}]})
    assert found.value.layers[0].size == size


# configs


def test_a_config_is_read_and_unknown_fields_are_kept() -> None:
    found = config({**IMAGE, "config": {"Env": ["A=1", "B=", "C", "A=2"], "X": 1}, "y": [2]})
    assert found.value.environment() == {"A": "2", "B": "", "C": ""}
    assert found.json["config"]["X"] == 1
    assert found.json["y"] == [2]


def test_a_config_without_runtime_has_no_environment() -> None:
    assert config(IMAGE).value.environment() == {}
    assert config({**IMAGE, "config": None}).value.environment() == {}
    assert config({**IMAGE, "config": {"Env": None, "Cmd": None}}).value.environment() == {}


def test_a_config_says_its_platform() -> None:
    arm = config({**IMAGE, "architecture": "arm64", "variant": "v8"})
    assert arm.value.platform.key == ("linux", "arm64", "")


@pytest.mark.parametrize(
    "change",
    [
        {"rootfs": None},
        {"rootfs": {"type": "layers", "diff_ids": ["x"]}},
        {"architecture": 1},
        {"os": None},
        {"config": []},
        {"config": {"Env": "A=1"}},
        {"config": {"Env": [1]}},
        {"config": {"Cmd": "sh"}},
        {"config": {"User": 0}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"ExposedPorts": ["80/tcp"]}},
        {"config": {"StopSignal": 15}},
        {"created": 0},
        {"created": ""},
        {"created": "yesterday"},
        {"created": "2026-01-02T03:04:05"},
        {"created": "2026-02-30T00:00:00Z"},
        {"history": [{"created": "yesterday"}]},
    ],
)
def test_a_config_of_wrong_types_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="config sha256:"):
        config({**IMAGE, **change})


# writing


def test_what_is_written_reads_back_equal() -> None:
    written = Document.write(MANIFEST, OCI_MANIFEST, Manifest)
    again = Document.parse(written.raw, written.descriptor, Manifest)
    assert again == written
    assert written.descriptor == Descriptor(
        media_type=OCI_MANIFEST, digest=Digest.of(written.raw), size=len(written.raw)
    )


def test_nothing_wrong_can_be_written() -> None:
    with pytest.raises(DocumentError):
        Document.write({**MANIFEST, "layers": [{"digest": "x"}]}, OCI_MANIFEST, Manifest)


def test_a_descriptor_prints_as_its_digest() -> None:
    assert str(descriptor(b"", OCI_LAYER)) == Digest.of(b"")
