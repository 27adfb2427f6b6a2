"""bundle, assemble --bundle and rebuild, as a user types them, on the smallest world."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.build.site import FILE, Site
from tests.build.tar import archive, file
from typer.testing import CliRunner

from layersmith.assemble.places import Place
from layersmith.cli.app import app
from layersmith.errors import (
    Differs,
    InvalidInput,
    LayerError,
    LayersmithError,
    LockMismatch,
    NotFound,
    RecipeError,
    VerificationError,
)
from layersmith.oci.content import held
from layersmith.oci.digest import Digest
from layersmith.oci.documents import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor
from layersmith.oci.graph import walk
from layersmith.oci.strictjson import decode, encode
from layersmith.rootfs.compression import decompress
from layersmith.rootfs.pack import pack
from layersmith.stores.bundle import Bundle
from layersmith.stores.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def create(site: Site, *options: str) -> str:
    return site.run("bundle", "create", *FILE, "-o", "b.tar", *options)


def quiet(*arguments: str) -> Any:
    """Run a command that takes no cache."""
    done = CliRunner().invoke(app, arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def gone(site: Site) -> None:
    """Leave nothing but the bundle: no inputs, no cache."""
    for name in ("base", "builder", "cache"):
        shutil.rmtree(site.folder / name)
    (site.folder / "layersmith.toml").unlink()


def edit(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Write the tar again with other contents; None leaves a file out."""
    found = []
    with tarfile.open(path) as old:
        for member in old.getmembers():
            content = old.extractfile(member)
            data = change(member.name, content.read()) if content else None
            if data is not None:
                found.append(file(member.name, data))
    path.write_bytes(archive(*found))


def test_a_bundle_alone_gives_the_same_image(site: Site) -> None:
    expected = site.assemble(*FILE)
    assert expected in create(site)
    planned = site.run("plan", *FILE, "--json")
    gone(site)
    assert site.run("plan", "--bundle", "b.tar", "--json") == planned
    assert site.assemble("--bundle", "b.tar", "--output", "oci:x:t") == expected
    layout = Layout(site.folder / "x")
    node = walk(layout, layout.resolve("t"))
    assert all(layout.has(blob) for one in node.nodes() for blob in one.blobs)


@pytest.mark.parametrize("codec", ["gzip", "zstd:3", "none"])
def test_compressed_or_in_parts_it_is_the_same(
    site: Site, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layersmith.cli.bundle._SMALLEST", 1000)
    expected = json.loads(create(site, "--compression", codec, "--split", "2k", "--json"))
    assert len(expected["files"]) > 2
    assert quiet("bundle", "verify", "b.tar.001", "--json", "-q")["damaged"] == []
    gone(site)
    assert site.assemble("--bundle", "b.tar.000") == expected["digest"]


def test_the_same_bytes_whoever_writes_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    create(site)
    first = (site.folder / "b.tar").read_bytes()
    shutil.rmtree(site.folder / "cache")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    before = os.umask(0o077)
    try:
        site.run("lock", *FILE)
        site.run("bundle", "create", "--locked", "-o", "elsewhere.tar")
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert (site.folder / "elsewhere.tar").read_bytes() == first


def test_it_is_a_layout_that_holds_just_what_is_needed(site: Site) -> None:
    done = json.loads(create(site, "--json"))
    bundle = Bundle(site.folder / "b.tar")
    assert bundle.tags() == ["3.13-debian13", "3.13.5-debian13", "base", "builder", "lock"]
    needed = set()
    for tag in bundle.tags():
        for node in walk(bundle, bundle.resolve(tag)).nodes():
            needed |= {node.descriptor.digest, *(blob.digest for blob in node.blobs)}
    assert needed == set(bundle.blobs)
    assert done["blobs"] == len(needed)


def test_inspect_tells_what_is_in_it(site: Site) -> None:
    create(site)
    text = quiet("bundle", "inspect", "b.tar")
    assert "Python 3.13.5" in text
    assert "oci:base:t" in text
    assert "linux/amd64" in text
    found = quiet("bundle", "inspect", "b.tar", "--json")
    assert found["lock"]["python"] == "3.13.5"
    assert set(found["names"]) >= {"base", "builder", "lock", "3.13-debian13"}


def layer_of(site: Site, name: str, number: int) -> Descriptor:
    source = Layout(site.folder / name)
    node = next(walk(source, source.resolve("t")).nodes())
    return node.blobs[1 + number]


def test_a_missing_blob_is_named_with_who_needs_it(site: Site) -> None:
    create(site)
    shared, own = layer_of(site, "base", 0), layer_of(site, "builder", 2)
    lost = [f"blobs/sha256/{blob.digest.encoded}" for blob in (shared, own)]
    edit(site.folder / "b.tar", lambda name, data: None if name in lost else data)
    with pytest.raises(VerificationError, match="0 blobs damaged, 2 missing"):
        quiet("bundle", "verify", "b.tar", "-q")
    gone(site)
    with pytest.raises(NotFound, match="lacks 2 of its blobs") as caught:
        site.assemble("--bundle", "b.tar")
    both = "layer 1 of the base, linux/amd64, layer 1 of the builder, linux/amd64"
    assert f"{shared.digest} ({both})" in str(caught.value)
    assert f"{own.digest} (layer 3 of the builder, linux/amd64)" in str(caught.value)
    assert not (site.folder / "dist").exists()


def test_a_missing_document_is_named_too(site: Site) -> None:
    create(site)
    layout = Layout(site.folder / "builder")
    node = next(walk(layout, layout.resolve("t")).nodes())
    lost = f"blobs/sha256/{node.descriptor.digest.encoded}"
    edit(site.folder / "b.tar", lambda name, data: None if name == lost else data)
    with pytest.raises(NotFound, match=rf"{node.descriptor.digest} \(the builder, linux/amd64\)"):
        site.assemble("--bundle", "b.tar")


def test_a_flipped_bit_is_found(site: Site) -> None:
    create(site)
    blob = layer_of(site, "builder", 2)
    name = f"blobs/sha256/{blob.digest.encoded}"
    edit(site.folder / "b.tar", lambda n, d: d[:-1] + bytes([d[-1] ^ 1]) if n == name else d)
    done = CliRunner().invoke(app, ["bundle", "verify", "b.tar", "--json", "-q"])
    assert isinstance(done.exception, VerificationError)
    assert done.exception.exit_code == 6
    assert json.loads(done.stdout)["damaged"] == [blob.digest]
    gone(site)
    with pytest.raises(VerificationError):
        site.assemble("--bundle", "b.tar")


def test_parts_that_are_swapped_or_missing_are_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layersmith.cli.bundle._SMALLEST", 1000)
    create(site, "--split", "2k")
    one, two = (site.folder / f"b.tar.00{number}" for number in (1, 2))
    kept, moved = one.read_bytes(), two.read_bytes()
    for data in (moved, None):
        one.unlink()
        if data is not None:
            one.write_bytes(data)
            two.write_bytes(kept)
        done = CliRunner().invoke(app, ["bundle", "verify", "b.tar", "-q"])
        assert isinstance(done.exception, VerificationError)
        assert "2 parts damaged or missing" in str(done.exception)
        word = "missing" if data is None else "damaged"
        assert done.stdout.splitlines() == [f"{word} part: b.tar.001", "damaged part: b.tar.002"]
    with pytest.raises(NotFound, match=r"b\.tar\.001 is missing") as caught:
        site.assemble("--bundle", "b.tar")
    assert "bring all parts" in caught.value.hint


def test_a_bundle_cut_short(site: Site) -> None:
    create(site)
    whole = (site.folder / "b.tar").read_bytes()
    (site.folder / "b.tar").write_bytes(whole[: whole.index(b"blobs/sha256/") + 600])
    with pytest.raises(VerificationError, match="88 bytes"):
        quiet("bundle", "verify", "b.tar", "-q")
    with pytest.raises(LayerError) as caught:
        site.assemble("--bundle", "b.tar")
    assert "bundle verify" in caught.value.hint


def test_another_recipe_than_the_bundles(site: Site) -> None:
    create(site)
    with pytest.raises(LockMismatch):
        site.assemble("--bundle", "b.tar", "--env", "A=b")
    assert 'env.A: the recipe says "b"' in site.err
    with pytest.raises(LockMismatch):
        site.assemble("--bundle", "b.tar", "--platform", "linux/arm64")
    with pytest.raises(RecipeError, match="--lock beside"):
        site.assemble("--bundle", "b.tar", "--lock", "x")


@pytest.mark.parametrize("name", ["oci-archive:x.tar", "nothing.tar"])
def test_what_is_no_bundle(site: Site, name: str) -> None:
    if name.startswith("oci"):
        site.assemble(*FILE, "--output", name)
    with pytest.raises(LayersmithError) as caught:
        quiet("bundle", "inspect", name.rpartition(":")[2])
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_a_rebuild_is_equal(site: Site) -> None:
    expected = site.assemble(*FILE, "--output", "oci:out:t")
    create(site)
    assert "equal" in site.run("rebuild", "oci:out:t", "--bundle", "b.tar")
    site.run("lock", *FILE)
    assert "equal" in site.run("rebuild", "oci:out:t", "--lock", "layersmith.lock")
    gone(site)
    found = json.loads(site.run("rebuild", "--bundle", "b.tar", "--json"))
    assert (found["equal"], found["digest"], found["rebuilt"]) == (True, expected, expected)


def test_a_platform_alone_is_rebuilt(site: Site) -> None:
    site.assemble(*FILE, "--output", "oci:out:t")
    create(site)
    quiet("copy", "oci:out:t", "oci:one:t", "--platform", "linux/amd64", "-q")
    assert "equal" in site.run("rebuild", "oci:one:t", "--bundle", "b.tar")


def test_an_image_does_not_name_local_places(site: Site) -> None:
    site.assemble(*FILE, "--output", "oci:out:t")
    raw = quiet("inspect", "oci:out:t", "--json")
    assert str(site.folder) not in json.dumps(raw)
    assert "dev.layersmith.builder.name" not in raw["annotations"]
    with pytest.raises(InvalidInput, match="was a local file"):
        site.run("rebuild", "oci:out:t")
    with pytest.raises(InvalidInput, match="does not say how it was made"):
        site.run("rebuild", "oci:base:t")
    with pytest.raises(InvalidInput, match="nothing to rebuild"):
        site.run("rebuild")


def forge(
    site: Site,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    layer: Callable[[bytes], bytes] | None = None,
    level: int = 6,
) -> None:
    """Put an image beside the true one whose config, or last layer, is another."""
    place = Place.parse("oci:out:t")
    layout = Layout(site.folder / "out")
    index = walk(layout, layout.resolve(place.identifier))
    manifest = index.children[0].document
    assert manifest is not None
    assert index.document is not None
    top = dict(manifest.json)
    with layout.open(manifest.value.config) as stream:
        config = decode(stream.read(), "config")
    change(config)

    def put(data: bytes, media_type: str) -> dict[str, Any]:
        blob = Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data))
        layout.put(blob, held(data))
        return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}

    if layer is not None:
        blob = manifest.value.layers[-1]
        with layout.open(blob) as stream:
            tar = layer(b"".join(decompress(stream, "gzip", blob.size)))
        config["rootfs"]["diff_ids"][-1] = Digest.of(tar)
        data = gzip.compress(tar, level, mtime=0)
        top["layers"] = [*top["layers"][:-1], put(data, f"{OCI_LAYER}+gzip")]
    top["config"] = put(encode(config), manifest.value.config.media_type)
    child = {**index.document.json["manifests"][0], **put(encode(top), OCI_MANIFEST)}
    raw = encode({**index.document.json, "manifests": [child]})
    put(raw, OCI_INDEX)
    layout.tag("forged", Descriptor(media_type=OCI_INDEX, digest=Digest.of(raw), size=len(raw)))


def differences(site: Site) -> list[tuple[str, ...]]:
    done = CliRunner().invoke(
        app, ["rebuild", "oci:out:forged", "--bundle", "b.tar", "--json", "-q", "--cache-dir=c"]
    )
    assert isinstance(done.exception, Differs), done.output
    assert done.exception.exit_code == 1
    found = json.loads(done.stdout)
    assert not found["equal"]
    return [tuple(one.values()) for one in found["differences"]]


@pytest.fixture
def made(site: Site) -> Site:
    site.assemble(*FILE, "--output", "oci:out:t")
    create(site)
    return site


def test_another_config_is_explained(made: Site) -> None:
    forge(made, lambda config: config["config"].update(User="0"))
    assert differences(made) == [("linux/amd64 config", "config.User", '"0"', '"1000:1000"')]


def test_another_file_is_explained(made: Site) -> None:
    forge(made, layer=lambda tar: tar.replace(b"# os\n", b"# no\n"))
    (found,) = differences(made)
    assert found[:2] == ("linux/amd64 layer 3: /usr/local/lib/python3.13/os.py", "content")


def test_another_header_is_explained(made: Site) -> None:
    def change(tar: bytes) -> bytes:
        at = tar.index(b"usr/local/lib/python3.13/os.py\0")
        header = bytearray(tar[at : at + 512])
        header[100:108] = b"0000755\0"
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return tar[:at] + bytes(header) + tar[at + 512 :]

    forge(made, layer=change)
    where = "linux/amd64 layer 3: /usr/local/lib/python3.13/os.py"
    assert differences(made) == [(where, "mode", "0755", "0644")]


def test_a_file_too_many_is_explained(made: Site) -> None:
    forge(made, layer=lambda tar: tar[:-1024] + archive(file("zzz", b"12345")))
    where = "linux/amd64 layer 3: /zzz"
    assert differences(made) == [(where, "the entry itself", "a file of 5 bytes", "none")]


def test_another_compressor_is_explained(made: Site) -> None:
    forge(made, layer=lambda tar: tar, level=1)
    (found,) = differences(made)
    assert found[:2] == ("linux/amd64 layer 3", "same tar, other compressor")
    assert all("libdeflate" in text and "bytes" in text for text in found[2:])


def test_each_compressor_is_the_one_that_made_it(made: Site) -> None:
    made.assemble(*FILE, "--compression", "none", "--output", "oci:out:forged")
    (found,) = [one for one in differences(made) if one[1] == "same tar, other compressor"]
    assert found[2].startswith("none (")
    assert found[3].startswith("libdeflate")


def test_no_earlier_result_is_believed(made: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made.run("rebuild", "--bundle", "b.tar")
    packed = []

    def noted(*about: Any) -> Any:
        packed.append(about)
        return pack(*about)

    monkeypatch.setattr("layersmith.assemble.toplayer.pack", noted)
    made.run("rebuild", "--bundle", "b.tar")
    assert len(packed) == 1
