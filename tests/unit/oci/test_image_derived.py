"""Derived images: the base's documents with one layer and our settings merged in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.build.image import AMD64, ARM64, DOCKER_LAYER, Made, descriptor
from tests.fakes.memory import Memory

from layersmith.oci.derived import NewLayer, Settings, derive, make_index
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor, Platform
from layersmith.oci.image import Image, Layer, load, select

LAYER = Layer(descriptor(b"top", f"{OCI_LAYER}+gzip"), Digest.of(b"top uncompressed"))
ADDED = NewLayer(LAYER, "layersmith assemble 3.13-debian13")
SETTINGS = Settings(
    created="2026-01-02T03:04:05Z",
    user="1000:1000",
    env={"LANG": "C.UTF-8"},
    entrypoint=("/usr/local/bin/python",),
    cmd=None,
    workdir=None,
    labels={},
    annotations={},
)


def image(made: Made) -> Image:
    memory = Memory()
    memory.tag("t", made.put(memory))
    return select(memory, load(memory, "t"), made.platform)


def config(base: Made, settings: Settings = SETTINGS) -> Any:
    return derive(image(base), ADDED, settings).config.json


def runtime(base: Made, settings: Settings = SETTINGS) -> Any:
    return config(base, settings)["config"]


def test_has_the_layers_of_the_base_and_one_more() -> None:
    base = image(Made((b"one", b"two")))
    made = derive(base, ADDED, SETTINGS)
    assert made.manifest.json["layers"][:2] == base.manifest.json["layers"]
    assert made.layers == (*base.layers, LAYER)
    assert made.platform == base.platform


def test_has_the_history_of_the_base_and_one_entry_more() -> None:
    history = [{"created_by": "a", "x": 1}, {"created_by": "b", "empty_layer": True}]
    found = config(Made(config={"history": history}))["history"]
    assert found[:2] == history
    assert found[2:] == [
        {
            "created": "2026-01-02T03:04:05Z",
            "created_by": "layersmith assemble 3.13-debian13",
            "comment": "layersmith",
        }
    ]


@pytest.mark.parametrize("history", [None, []])
def test_has_one_history_entry_on_a_base_without_history(history: object) -> None:
    assert len(config(Made(config={"history": history}))["history"]) == 1


def test_is_created_when_the_settings_say() -> None:
    assert config(Made(config={"created": "1970-01-01T00:00:00Z"}))["created"] == SETTINGS.created


def test_unknown_fields_survive() -> None:
    found = config(
        Made(
            config={"author": "x", "os.features": ["a"], "x-new": {"deep": [1, None]}},
            runtime={"StopSignal": "SIGINT", "Healthcheck": {"Test": ["NONE"]}, "x": 1},
        )
    )
    assert (found["author"], found["os.features"]) == ("x", ["a"])
    assert found["x-new"] == {"deep": [1, None]}
    assert found["config"]["StopSignal"] == "SIGINT"
    assert found["config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert found["config"]["x"] == 1


def test_the_entrypoint_and_command_of_the_base_are_reset() -> None:
    debug = Made(runtime={"Entrypoint": ["/busybox/sh"], "Cmd": ["-l"]})
    found = runtime(debug)
    assert found["Entrypoint"] == ["/usr/local/bin/python"]
    assert "Cmd" not in found


def test_an_empty_entrypoint_is_none() -> None:
    settings = replace(SETTINGS, entrypoint=(), cmd=("sh", "-c", "x"))
    found = runtime(Made(runtime={"Entrypoint": ["/busybox/sh"]}), settings)
    assert "Entrypoint" not in found
    assert found["Cmd"] == ["sh", "-c", "x"]


def test_the_environment_of_the_base_is_inherited_in_its_order() -> None:
    base = Made(runtime={"Env": ["PATH=/bin", "SSL_CERT_FILE=/etc/ssl/x", "LANG=de_DE"]})
    assert runtime(base)["Env"] == ["PATH=/bin", "SSL_CERT_FILE=/etc/ssl/x", "LANG=C.UTF-8"]
    settings = replace(SETTINGS, env={"A": "x=y", "PATH": ""})
    assert runtime(base, settings)["Env"] == [
        "PATH=",
        "SSL_CERT_FILE=/etc/ssl/x",
        "LANG=de_DE",
        "A=x=y",
    ]


def test_the_user_is_ours_and_the_workdir_only_where_one_is_set() -> None:
    base = Made(runtime={"User": "65532", "WorkingDir": "/home/nonroot"})
    assert runtime(base)["User"] == "1000:1000"
    assert runtime(base)["WorkingDir"] == "/home/nonroot"
    assert runtime(base, replace(SETTINGS, workdir="/app"))["WorkingDir"] == "/app"


def test_labels_are_added_to_those_of_the_base() -> None:
    base = Made(runtime={"Labels": {"b": "base", "a": "base"}})
    settings = replace(SETTINGS, labels={"a": "ours"})
    assert runtime(base, settings)["Labels"] == {"a": "ours", "b": "base"}
    assert "Labels" not in runtime(Made(runtime={"Labels": None}))


def test_annotations_about_the_base_as_a_base_are_dropped() -> None:
    about = {
        "org.opencontainers.image.base.name": "debian",
        "org.opencontainers.image.ref.name": "latest",
        "org.opencontainers.image.vendor": "Google",
        "org.opencontainers.image.version": "1",
        "example.com/kept": "c",
    }
    settings = replace(
        SETTINGS, annotations={"org.opencontainers.image.version": "3.13.5", "a": "b"}
    )
    made = derive(image(Made(manifest={"annotations": about})), ADDED, settings)
    assert made.manifest.json["annotations"] == {
        "a": "b",
        "example.com/kept": "c",
        "org.opencontainers.image.version": "3.13.5",
    }


def test_what_a_base_manifest_is_about_is_not_what_ours_is_about() -> None:
    subject = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"s"), "size": 1}
    made = derive(image(Made(manifest={"subject": subject})), ADDED, SETTINGS)
    assert "subject" not in made.manifest.json


def test_layers_of_docker_keep_their_bytes_under_the_name_of_oci() -> None:
    base = image(Made((b"one",), docker=True))
    made = derive(base, ADDED, SETTINGS)
    assert base.manifest.json["layers"][0]["mediaType"] == DOCKER_LAYER
    assert made.manifest.json["layers"][0] == {
        **base.manifest.json["layers"][0],
        "mediaType": f"{OCI_LAYER}+gzip",
    }
    assert made.manifest.json["mediaType"] == OCI_MANIFEST


def test_what_a_layer_descriptor_says_beside_survives() -> None:
    made = derive(image(Made(layer={"annotations": {"k": "v"}, "x": 1})), ADDED, SETTINGS)
    first = made.manifest.json["layers"][0]
    assert (first["annotations"], first["x"]) == ({"k": "v"}, 1)


def test_the_base_is_not_changed() -> None:
    base = image(Made(runtime={"Env": ["A=1"], "Labels": {"x": "y"}}))
    before = (base.config.raw, dict(base.config.json), base.manifest.raw)
    derive(base, ADDED, replace(SETTINGS, labels={"a": "b"}))
    assert (base.config.raw, base.config.json, base.manifest.raw) == before


def test_the_same_settings_give_the_same_bytes() -> None:
    first = derive(image(Made()), ADDED, replace(SETTINGS, labels={"a": "1", "b": "2"}))
    second = derive(image(Made()), ADDED, replace(SETTINGS, labels={"b": "2", "a": "1"}))
    assert first.manifest.raw == second.manifest.raw


def test_an_index_lists_platforms_in_one_order() -> None:
    amd, arm = (derive(image(Made(platform=p)), ADDED, SETTINGS) for p in (AMD64, ARM64))
    index = make_index([arm, amd], {"b": "2", "a": "1"})
    assert index == make_index([amd, arm], {"a": "1", "b": "2"})
    assert index.descriptor.media_type == OCI_INDEX
    assert [m["platform"] for m in index.json["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert [m.digest for m in index.value.manifests] == [
        amd.manifest.descriptor.digest,
        arm.manifest.descriptor.digest,
    ]
    assert list(index.json["annotations"]) == ["a", "b"]


def test_an_index_without_annotations_has_none() -> None:
    made = derive(image(Made(platform=Platform.parse("linux/arm/v7"))), ADDED, SETTINGS)
    index = make_index([made], {})
    assert "annotations" not in index.json
    assert index.json["manifests"][0]["platform"]["variant"] == "v7"


def test_descriptors_are_written_without_what_they_do_not_have() -> None:
    made = derive(image(Made()), ADDED, SETTINGS)
    assert made.manifest.json["layers"][-1] == {
        "mediaType": f"{OCI_LAYER}+gzip",
        "digest": LAYER.descriptor.digest,
        "size": 3,
    }
    assert isinstance(made.manifest.value.config, Descriptor)


def test_ports_are_added_and_a_stop_signal_replaced() -> None:
    base = Made(runtime={"ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGTERM"})
    plain = runtime(base)
    assert (plain["ExposedPorts"], plain["StopSignal"]) == ({"80/tcp": {}}, "SIGTERM")
    ours = runtime(base, replace(SETTINGS, ports=("53/udp",), stop_signal="SIGINT"))
    assert (ours["ExposedPorts"], ours["StopSignal"]) == ({"53/udp": {}, "80/tcp": {}}, "SIGINT")
