"""Bad input of every kind: one clear line, its exit code, and nothing left behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from fixtures import build, registry
from fixtures.apt import PrivateApt
from fixtures.debs import Deb
from fixtures.distroless import CREATED
from fixtures.entries import Entry, file, pack, whiteout
from fixtures.layout import CONFIG, MANIFEST, PLATFORMS, REF_NAME, Json, Layout, put_image
from tests.interop.conftest import TARGET, Assembled, Result, layersmith

pytestmark = pytest.mark.interop


def complains(done: Result, code: int, *words: str) -> None:
    """Say that a run failed as it should: one line, perhaps a hint, no traceback."""
    assert done.code == code, done.err
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if not line.endswith(" ...")]
    errors = [line for line in lines if line.startswith("layersmith: error: ")]
    assert len(errors) == 1
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """A place for output, where nothing must be found afterwards."""
    place = tmp_path / "made" / "out"
    yield place
    assert not place.parent.exists() or not list(place.parent.rglob("*"))


def test_an_unknown_target(out: Path) -> None:
    done = layersmith("assemble", "3.13-debian31", "--output", f"oci:{out}")
    complains(done, 2, "<python>-<debian>[-debug]", "did you mean 3.13-debian13")


def test_a_platform_that_the_base_has_not(mirrors: tuple[str, ...], out: Path) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--platform", "linux/riscv64", "--output", f"oci:{out}"
    )
    complains(done, 3, "linux/riscv64", "it has: linux/amd64, linux/arm64")


def test_a_registry_that_refuses_connections(out: Path) -> None:
    done = layersmith(
        "assemble", TARGET, "--mirror=docker.io=127.0.0.1:1", "--mirror=gcr.io=127.0.0.1:1",
        "--output", f"oci:{out}",
    )  # fmt: skip
    complains(done, 5, "127.0.0.1:1", "refused")


def test_a_tag_that_is_not_there(mirrors: tuple[str, ...], out: Path) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--builder", "python:3.99-slim", "--output", f"oci:{out}"
    )
    complains(done, 3, "docker.io/library/python:3.99-slim")


def test_a_blob_that_was_corrupted_in_the_registry(
    images: build.Fixtures, peers: None, tmp_path: Path, out: Path
) -> None:
    with registry.serve() as running:
        running.seed(images.repositories())
        largest = max(running.storage.rglob("data"), key=lambda path: path.stat().st_size)
        damaged = bytearray(largest.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        largest.write_bytes(damaged)
        repository = f"{running.host}/team/python"
        done = layersmith(
            "assemble", TARGET, f"--mirror=docker.io={running.host}",
            f"--mirror=gcr.io={running.host}", "--cache-dir", f"{tmp_path}/cache",
            "--push", repository, "--output", f"oci:{out}",
        )  # fmt: skip
        complains(done, 6, largest.parent.name)
        assert requests.get(f"{running.url}/v2/team/python/tags/list", timeout=5).status_code == 404
    assert list((tmp_path / "cache").rglob(".new-*")) == []


def test_an_output_that_cannot_be_written(mirrors: tuple[str, ...], assembled: Assembled) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--output", "oci:/dev/null/out",
        "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    complains(done, 9, "/dev/null/out")


def test_a_push_that_is_refused_leaves_the_other_output_alone(
    mirrors: tuple[str, ...], assembled: Assembled, out: Path
) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--output", f"oci:{out}", "--push", "127.0.0.1:1/team/python",
        "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    complains(done, 5, "127.0.0.1:1")


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_and_leaves_nothing(
    signal_: signal.Signals, mirrors: tuple[str, ...], tmp_path: Path, out: Path
) -> None:
    cache = tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-m", "layersmith", "assemble", TARGET, *mirrors, "--quiet",
         "--cache-dir", cache, "--output", f"oci:{out}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not list(cache.rglob(".new-*")):
        time.sleep(0.01)
    process.send_signal(signal_)
    said, complaint = process.communicate(timeout=60)
    complains(Result(process.returncode, said, complaint), 130, "interrupted")
    assert list(cache.rglob(".new-*")) == []


def test_a_recipe_with_an_unknown_key(tmp_path: Path, out: Path) -> None:
    recipe = tmp_path / "layersmith.toml"
    recipe.write_text(f'target = "{TARGET}"\n\nplatform = ["linux/amd64"]\n')
    done = layersmith("assemble", "--file", str(recipe), "--output", f"oci:{out}")
    complains(done, 2, f"{recipe}:3", "unknown key 'platform'", "platforms")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--user", "root:0:0"], 2, "NAME:UID:GID"),
        (["--user", "me:65532:65532"], 2, "nonroot"),
        (["--include", "no/such/thing"], 2, "matches nothing"),
        (["--exclude", "usr/local/bin/python*"], 2, "/usr/local/bin/python"),
        (["--exclude", "usr/local/lib/libpython*"], 8, "libpython3.13.so.1.0"),
        (["--exclude", "usr/lib/**/libgdbm*"], 8, "_gdbm"),
        (["--env", "WITHOUT"], 2, "NAME=VALUE"),
        (["--workdir", "relative"], 2, "absolute"),
        (["--mirror", "docker.io=///"], 2, "mirror"),
        (["--push", "host/name@sha256:" + "0" * 64], 2, "digest"),
    ],
)
def test_options_that_make_no_sense(
    options: list[str], code: int, words: str, mirrors: tuple[str, ...], assembled: Assembled,
    out: Path,
) -> None:  # fmt: skip
    done = layersmith(
        "assemble", TARGET, *mirrors, "--cache-dir", str(assembled.cache),
        "--output", f"oci:{out}", *options,
    )  # fmt: skip
    complains(done, code, words)


@pytest.fixture(scope="session")
def old_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with the C library of Debian 12."""
    apt = PrivateApt("bookworm", ["amd64"])
    names = ["libc6", "libgcc-s1", "libstdc++6", "libssl3", "base-files", "zlib1g"]
    debs = apt.obtain(names, "amd64")
    layout = Layout(tmp_path_factory.mktemp("old") / "cc-debian12")
    layers = [layout.put_layer(pack(Deb(path).entries)) for path in debs.values()]
    image = put_image(
        layout, PLATFORMS[0], layers, config={}, history=[{} for _ in layers], created=CREATED
    )
    layout.finish({"latest": image})
    return layout.root


def test_a_builder_that_needs_a_newer_glibc_than_the_base_has(
    old_base: Path, mirrors: tuple[str, ...], assembled: Assembled, out: Path
) -> None:
    done = layersmith(
        "assemble", "3.13-debian12", *mirrors, "--base", f"oci:{old_base}",
        "--builder", "python:3.13-slim-trixie", "--platform", "linux/amd64",
        "--cache-dir", str(assembled.cache), "--output", f"oci:{out}",
    )  # fmt: skip
    complains(done, 8, "GLIBC_2.38", "libc.so.6", "libsqlite3.so.0", "GLIBC_2.36")


def test_tkinter_brought_back_lacks_tk_as_expected(
    mirrors: tuple[str, ...], assembled: Assembled, tmp_path: Path
) -> None:
    done = layersmith(
        "assemble", TARGET, *mirrors, "--cache-dir", str(assembled.cache), "--json",
        "--platform", "linux/amd64", "--output", f"oci:{tmp_path}/out", "--include", "tkinter",
    )  # fmt: skip
    assert done.code == 0, done.err
    (platform,) = done.document["platforms"]
    assert {"libtcl8.6.so", "libtk8.6.so"} <= {item["soname"] for item in platform["unresolved"]}
    assert "tkinter" not in {item["name"] for item in platform["left_out"]}


def changed(
    layout: Path, tag: str, out: Path, *, extra: list[Entry] | None = None, **config: object
) -> str:
    """Write a layout with the amd64 image of another one, changed; return how to name it."""
    made = Layout(out)
    shutil.copytree(layout / "blobs", out / "blobs")

    def read(digest: str) -> Json:
        document: Json = json.loads((out / "blobs" / digest.replace(":", "/")).read_bytes())
        return document

    tags = json.loads((layout / "index.json").read_text())["manifests"]
    top = next(m for m in tags if m["annotations"][REF_NAME] == tag)
    child = next(
        m
        for m in read(top["digest"])["manifests"]
        if m["platform"]["architecture"] == config.get("take", "amd64")
    )
    manifest = read(child["digest"])
    document = {**read(manifest["config"]["digest"]), **config}
    document.pop("take", None)
    if extra:
        layer = made.put_layer(pack(extra))
        manifest["layers"].append(layer.descriptor())
        document["rootfs"]["diff_ids"].append(layer.diff_id)
        document["history"].append({})
    manifest["config"] = made.put_json(document, CONFIG).descriptor()
    made.finish({"x": made.put_json(manifest, MANIFEST)})
    return f"oci:{out}:x"


DYNLOAD = "usr/local/lib/python3.13/lib-dynload"
PROGRAM = "usr/local/bin/python3.13"


@pytest.mark.parametrize(
    ("extra", "code", "words"),
    [
        ([file(f"{DYNLOAD}/_bz2.cpython-313-x86_64-linux-gnu.so", b"\x7fELF cut")], 8, "damaged"),
        ([file(f"{DYNLOAD}/_bz2.cpython-313-x86_64-linux-gnu.so", b"hello")], 8, "not an ELF"),
        ([whiteout("usr/local/lib/python3.13")], 8, "no standard library"),
        ([whiteout(PROGRAM), file(PROGRAM, b"#!/nope", mode=0o755)], 2, "no program"),
        ([whiteout(PROGRAM), file(PROGRAM, b"text")], 2, "not executable"),
    ],
)
def test_a_builder_whose_python_could_not_start(
    extra: list[Entry], code: int, words: str, images: build.Fixtures, mirrors: tuple[str, ...],
    assembled: Assembled, tmp_path: Path, out: Path,
) -> None:  # fmt: skip
    builder = changed(images.builder, "3.13-slim-trixie", tmp_path / "builder", extra=extra)
    done = layersmith(
        "assemble", TARGET, *mirrors, "--builder", builder, "--platform", "linux/amd64",
        "--cache-dir", str(assembled.cache), "--output", f"oci:{out}",
    )  # fmt: skip
    complains(done, code, words)


def test_a_builder_of_another_machine_than_its_config_says(
    images: build.Fixtures,
    mirrors: tuple[str, ...],
    assembled: Assembled,
    tmp_path: Path,
    out: Path,
) -> None:
    builder = changed(
        images.builder, "3.13-slim-trixie", tmp_path / "builder", take="arm64",
        architecture="amd64", variant="",
    )  # fmt: skip
    done = layersmith(
        "assemble", TARGET, *mirrors, "--builder", builder, "--platform", "linux/amd64",
        "--cache-dir", str(assembled.cache), "--output", f"oci:{out}",
    )  # fmt: skip
    complains(done, 8, "machine 183")


@pytest.mark.parametrize(
    ("target", "words"),
    [("3.14-debian13", "3.13-debian13"), ("3.13.1-debian13", "Python 3.13"),
     ("3.13-debian12", "Debian 13")],
)  # fmt: skip
def test_inputs_that_are_not_what_the_target_names(
    target: str, words: str, images: build.Fixtures, assembled: Assembled, out: Path
) -> None:
    done = layersmith(
        "assemble", target, "--base", f"oci:{images.base}:latest",
        "--builder", f"oci:{images.builder}:3.13-slim-trixie",
        "--cache-dir", str(assembled.cache), "--output", f"oci:{out}",
    )  # fmt: skip
    complains(done, 2, words)


def test_a_layout_that_cannot_be_added_to_keeps_every_other_tag_where_it_is(
    served: registry.Registry, mirrors: tuple[str, ...], assembled: Assembled, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "index.json").write_text('{"schemaVersion":2,"mani')
    done = layersmith(
        "assemble", TARGET, *mirrors, "--push", f"{served.host}/moved/python:v1",
        "--output", f"oci:{tmp_path}/broken", "--cache-dir", str(assembled.cache),
    )  # fmt: skip
    complains(done, 7, "index.json")
    tags = requests.get(f"{served.url}/v2/moved/python/tags/list", timeout=5)
    assert tags.status_code == 404
    assert [path.name for path in (tmp_path / "broken").iterdir()] == ["index.json"]
