"""Whatever comes in, only our own errors come out, and soon."""

from __future__ import annotations

import gzip
import io
import json
import random
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.build.corpus import CASES
from tests.build.image import AMD64, Made, for_platform, put_index
from tests.build.layers import pack_index, stacked
from tests.build.mutants import WHOLE, mutated
from tests.fakes.memory import Memory
from tests.property.strategies import damaged, json_values, loose_text, mutations

from layersmith.assemble.places import Place
from layersmith.errors import LayersmithError
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_CONFIG, Document, ImageConfig, Platform
from layersmith.oci.image import load, select
from layersmith.oci.reference import Reference
from layersmith.oci.strictjson import decode
from layersmith.recipe.recipe import Recipe, User, read_recipe
from layersmith.recipe.target import Target
from layersmith.rootfs.compression import decompress
from layersmith.stores.index import unpack_index
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 5
MEMORY = Memory()
MANIFEST: dict[str, Any] = json.loads(MEMORY.blobs[(MADE := Made().put(MEMORY)).digest])
CONFIG: dict[str, Any] = json.loads(MEMORY.blobs[MANIFEST["config"]["digest"]])
INDEX: dict[str, Any] = json.loads(
    MEMORY.blobs[put_index(MEMORY, [for_platform(MADE, AMD64)] * 2).digest]
)
GOOD_TARS = [case.layers[-1] for case in CASES if case.is_accepted and len(case.layers[-1]) < 9000]
NOISE = random.Random(3).randbytes(3000)
SMALL = bytes(2000) + NOISE
TOML = """target = "3.13-debian13"
platforms = ["linux/amd64"]
[env]
A = "1"
"""


@contextmanager
def ours_and_soon() -> Iterator[None]:
    started = time.monotonic()
    with suppress(LayersmithError):
        yield
    assert time.monotonic() - started < SECONDS


@given(st.sampled_from([*WHOLE, *GOOD_TARS]).flatmap(damaged))
def test_a_damaged_tar(data: bytes) -> None:
    with ours_and_soon():
        stacked(data)


@given(st.integers(0, 2**32))
def test_a_tar_with_odd_headers(seed: int) -> None:
    with ours_and_soon():
        stacked(mutated(random.Random(seed)))


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(bytes(512))), max_size=6).map(b"".join))
def test_bytes_that_are_no_tar(data: bytes) -> None:
    with ours_and_soon():
        stacked(data)


@given(
    st.sampled_from(
        [
            gzip.compress(SMALL, mtime=0),
            gzip.compress(b"a", mtime=0) + gzip.compress(SMALL, mtime=0) + bytes(40),
        ]
    ).flatmap(damaged)
)
def test_a_damaged_gzip(data: bytes) -> None:
    with ours_and_soon():
        list(decompress(io.BytesIO(data), "gzip", len(data)))


@given(
    st.sampled_from(
        [
            zstandard.ZstdCompressor().compress(SMALL),
            zstandard.ZstdCompressor(write_checksum=True).compress(SMALL)
            + zstandard.ZstdCompressor().compress(b"a"),
        ]
    ).flatmap(damaged)
)
def test_a_damaged_zstd(data: bytes) -> None:
    with ours_and_soon():
        list(decompress(io.BytesIO(data), "zstd", len(data)))


@given(damaged(pack_index(1, [])))
def test_a_damaged_layer_index(data: bytes) -> None:
    assert unpack_index(data, "diff") in (None, (1, []))


@given(st.one_of(json_values.map(json.dumps), st.text(max_size=30)).map(str.encode))
def test_any_json(raw: bytes) -> None:
    with ours_and_soon():
        decode(raw, "any")


@given(damaged(json.dumps(MANIFEST).encode()))
def test_damaged_json(raw: bytes) -> None:
    with ours_and_soon():
        decode(raw, "any")


@pytest.mark.parametrize("document", ["manifest", "index"])
@given(data=st.data())
def test_a_manifest_or_index_with_something_else_in_it(document: str, data: st.DataObject) -> None:
    value = data.draw(mutations(MANIFEST if document == "manifest" else INDEX))
    memory = Memory()
    memory.blobs |= MEMORY.blobs
    raw = json.dumps(value).encode()
    media_type = (MANIFEST if document == "manifest" else INDEX)["mediaType"]
    memory.blobs[Digest.of(raw)] = raw
    from layersmith.oci.documents import Descriptor

    memory.tags["t"] = Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))
    with ours_and_soon():
        assert select(memory, load(memory, "t"), AMD64).layers


@given(mutations(CONFIG))
def test_a_config_with_something_else_in_it(value: object) -> None:
    with ours_and_soon():
        document = Document.write(value, OCI_CONFIG, ImageConfig)
        document.value.environment()
        str(document.value.platform)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=mutations(INDEX))
def test_an_index_of_a_layout_with_something_else_in_it(tmp_path: Path, value: object) -> None:
    (tmp_path / "index.json").write_text(json.dumps(value))
    with ours_and_soon():
        Layout(tmp_path).resolve("latest")
    with ours_and_soon():
        Layout(tmp_path).tag("t", MADE)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=damaged(TOML.encode()))
def test_a_damaged_recipe(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "recipe.toml").write_bytes(raw)
    with ours_and_soon():
        read_recipe(tmp_path / "recipe.toml").chosen_platforms()


@given(st.one_of(loose_text, st.from_regex(r"[a-zA-Z0-9./:@_\[\]-]{0,30}", fullmatch=True)))
def test_anything_that_a_person_may_type(text: str) -> None:
    for read in (
        Digest,
        Reference,
        Reference.parse,
        Target.parse,
        User.parse,
        Platform.parse,
        Place.parse,
    ):
        with ours_and_soon():
            read(text)
    with ours_and_soon():
        Recipe(
            env={text: text}, workdir=text, platforms=(text,), user=text, plain_http=(text,)
        ).check()
