"""Every compressor on every kind of base: one config, a manifest that is OCI's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.build.image import (
    AMD64,
    DOCKER_CONFIG,
    DOCKER_LIST,
    Made,
    for_platform,
    put_index,
)
from tests.build.world import base_layers, write_world

from layersmith.assemble.assembling import assemble
from layersmith.assemble.workshop import Workshop
from layersmith.oci.content import NoProgress
from layersmith.oci.documents import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from layersmith.recipe.recipe import Recipe
from layersmith.recipe.target import Target
from layersmith.stores.layout import Layout
from layersmith.stores.registry import RegistryOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from layersmith.assemble.outcome import Assembled

TARGET = Target.parse("3.13-debian13")
CODECS = ("gzip", "gzip:1", "zstd", "none")
SUFFIX = {"gzip": "+gzip", "zstd": "+zstd", "none": ""}


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Assembled]:
    base, builder = write_world(tmp_path)

    def make(compression: str, base: str = base) -> Assembled:
        recipe = Recipe(
            base=base, builder=builder, platforms=("linux/amd64",), compression=compression,
            output=f"oci:{tmp_path}/out-{compression.replace(':', '-')}:t",
        )  # fmt: skip
        with Workshop(tmp_path / "cache", RegistryOptions(), NoProgress()) as workshop:
            return assemble(workshop, TARGET, recipe)

    return make


def test_all_of_them_have_one_config(made: Callable[..., Assembled]) -> None:
    images = [made(codec).outcome.made[0].image for codec in CODECS]
    assert len({image.config.raw for image in images}) == 1
    assert len({image.manifest.raw for image in images}) == len(CODECS)
    types = [image.manifest.value.layers[-1].media_type for image in images]
    assert types == [f"{OCI_LAYER}{SUFFIX[codec.partition(':')[0]]}" for codec in CODECS]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_docker_base_becomes_an_oci_image(
    made: Callable[..., Assembled], tmp_path: Path, compression: str, codec: str
) -> None:
    layout = Layout(tmp_path / "docker")
    image = Made(base_layers(), compression=compression, docker=True)
    top = put_index(layout, [for_platform(image.put(layout), AMD64)], DOCKER_LIST)
    layout.tag("t", top)
    manifest = made(codec, f"oci:{tmp_path}/docker:t").outcome.made[0].image.manifest
    assert manifest.value.media_type == OCI_MANIFEST
    assert manifest.value.config.media_type == OCI_CONFIG != DOCKER_CONFIG
    below = [f"{OCI_LAYER}{SUFFIX[compression]}"] * len(base_layers())
    ours = f"{OCI_LAYER}{SUFFIX[codec.partition(':')[0]]}"
    assert [layer.media_type for layer in manifest.value.layers] == [*below, ours]
